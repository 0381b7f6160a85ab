"""The cuda backend's host code against a stand-in for CuPy, whose kernels the emulator runs."""

from __future__ import annotations

import sys

import numpy as np
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


def test_numpy_arrays_go_there_and_come_back(cupy):
    p = problem(CELLS["LSTM"], "any mask")
    ours, truth = solve(p, "cuda"), solve(p)
    assert all(type(a) is np.ndarray and error(a, truth[key]) <= 1e-12 for key, a in ours.items())


@pytest.mark.parametrize("storage", backends.STORAGES)
def test_16_bit_storage_is_the_same_as_emulated(cupy, storage):
    p = problem(CELLS["GRU reset before"], "any mask", "float32")
    y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="cuda", storage=storage)
    theirs = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", storage=storage)
    assert y.dtype == theirs[0].dtype == tape.saved.dtype
    assert y.tobytes() == theirs[0].tobytes()
    assert state[0].dtype == np.float32
    grads = backends.backward(tape, p.dy, p.dstate)
    assert grads.params["Wx"].dtype == grads.x.dtype == np.float32


def test_nothing_but_steps_products_and_sums_is_launched(cupy):
    p = on_device(problem(CELLS["PeepholeLSTM"], "any mask"), cupy)
    _, _, tape = backends.forward(p.cell, p.params, p.x, **p.options)
    T = p.x.shape[1]
    assert [name for name, *_ in cupy_stand_in.launches] == ["begin"] + ["forward"] * T
    assert len(cupy_stand_in.products) == 1 + T
    cupy_stand_in.launches.clear()
    cupy_stand_in.products.clear()
    backends.backward(tape, p.dy, p.dstate)
    names = [name for name, *_ in cupy_stand_in.launches]
    assert names == ["first_live"] + ["backward"] * T + ["end", "input_rows", "operand_rows"] + ["column_sum"] * 4  # b and three p
    assert len(cupy_stand_in.products) == T + 3  # dWx, dWh, dx
    assert len(cuda.handles) == 1


def test_an_empty_batch_launches_nothing(cupy):
    for name in SOME:
        ours = solve(problem(CELLS[name], "scale per gate, any mask", sizes=(0, 3, 2, 4)), "cuda")
        assert ours["y"].shape == (0, 3, 4)
        assert not any(a.any() for key, a in ours.items() if key.startswith("d"))
    assert cupy_stand_in.launches == []
    assert cupy_stand_in.products == []


def test_kinds_are_not_mixed(cupy):
    p = problem(CELLS["LSTM"])
    gpu = on_device(p, cupy)
    with pytest.raises(TypeError, match=r"Wx: expected a CuPy array, as x is, got a NumPy array; use cupy.asarray\(Wx\)"):
        backends.forward(p.cell, p.params, gpu.x)
    with pytest.raises(TypeError, match=r"Wx: expected a NumPy array, as x is, got a CuPy array; use cupy.asnumpy\(Wx\)"):
        backends.forward(p.cell, gpu.params, p.x)
    with pytest.raises(TypeError, match="x: backend='reference' runs on NumPy arrays, got a CuPy array"):
        backends.forward(p.cell, gpu.params, gpu.x, backend="reference")
    _, _, tape = backends.forward(p.cell, gpu.params, gpu.x)
    with pytest.raises(TypeError, match="dy: expected a CuPy array"):
        backends.backward(tape, p.dy)


def test_lengths_of_any_kind(cupy):
    p = on_device(problem(CELLS["SimpleRNN"]), cupy)
    lengths = [7, 0, 3, 1, 7, 2]
    every = [lengths, np.array(lengths), cupy.asarray(np.array(lengths))]
    y = [backends.forward(p.cell, p.params, p.x, lengths=kind)[0].get() for kind in every]
    assert y[0].tobytes() == y[1].tobytes() == y[2].tobytes()


def test_available_tells_the_truth(cupy, monkeypatch):
    assert cuda.available() == (True, "")
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    assert cuda.available() == (False, "CuPy is here, but this machine has no GPU")

    def no_driver():
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorInsufficientDriver: no CUDA driver")

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", no_driver)
    ok, why_not = backends.available()["cuda"]
    assert not ok
    assert why_not == "CuPy is here, but no GPU that it can use: cudaErrorInsufficientDriver: no CUDA driver"
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert cuda.available()[1].startswith('needs CuPy: pip install "rnn_from_scratch[cuda12]" or "rnn_from_scratch[cuda13]"')
