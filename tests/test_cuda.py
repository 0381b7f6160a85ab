"""The cuda backend's host code against a stand-in for CuPy, whose kernels the emulator runs."""

from __future__ import annotations

import pytest

from rnn_from_scratch import backends
from rnn_from_scratch.backends import cuda, emulated
from rnn_from_scratch.verify.cases import CELLS, problem, solve
from rnn_from_scratch.verify.measure import error

from . import cupy_stand_in

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture
def cupy(monkeypatch):
    cuda.handles.clear()
    cuda.kernel.cache_clear()
    yield cupy_stand_in.install(monkeypatch)
    cuda.handles.clear()
    cuda.kernel.cache_clear()


def on_device(p, cupy):
    """The problem with CuPy arrays everywhere."""
    options = {n: v if v is None or isinstance(v, bool) else cupy.asarray(v) for n, v in p.options.items() if n != "initial_state"}
    options["initial_state"] = tuple(cupy.asarray(s) for s in p.options["initial_state"])
    params, dstate = {name: cupy.asarray(a) for name, a in p.params.items()}, tuple(map(cupy.asarray, p.dstate))
    return p._replace(params=params, x=cupy.asarray(p.x), options=options, dy=cupy.asarray(p.dy), dstate=dstate)


SOME = ["SimpleRNN", "PeepholeLSTM", "GRU reset after", "GRU reset before"]


@pytest.mark.parametrize("situation", ["plain", "any mask, reversed, zeroed", "scale per gate, any mask"])
@pytest.mark.parametrize("name", SOME)
def test_cupy_arrays_in_and_out(cupy, name, situation):
    p = problem(CELLS[name], situation)
    truth = solve(p)
    assert backends.choose(p.cell, p.params, cupy.asarray(p.x)) == ("cuda", "CuPy arrays")
    ours = solve(on_device(p, cupy), "auto")
    for key, array in ours.items():
        assert type(array) is cupy.ndarray, key
        assert error(array.get(), truth[key]) <= 1e-12, key
