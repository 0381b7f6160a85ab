"""The kernels on the threads of another runtime: the same bits, and their own threads where that has too few."""

import ctypes
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from rnn_from_scratch import backends, backward, backward_vjp, cells, forward  # noqa: E402
from rnn_from_scratch.backends.native import loader, threads  # noqa: E402
from rnn_from_scratch.torch import openmp  # noqa: E402
from rnn_from_scratch.verify.cases import CELLS, problem, solve  # noqa: E402

from ..backends.test_native_grids import SHAPES as SHAPES_OF_GRIDS  # noqa: E402
from ..backends.test_native_grids import assert_same, divided_so  # noqa: E402
from ..helpers.second_order import direction, flat, taped  # noqa: E402

FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
PARALLEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
SIZE = ctypes.CFUNCTYPE(ctypes.c_int)
SHAPES = [(30, 7, 5, 40), (1, 9, 64, 256)]  # threads with rows of their own, and threads that meet at each step


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    backends.set_num_threads(None)
    openmp.join()


def runtime(given):
    """An OpenMP runtime of Python threads that gives `given` threads, whatever is asked for; calls: how often it was asked."""
    calls = []

    def parallel(function, data, wanted, flags):
        calls.append(wanted)
        team = [threading.Thread(target=FUNCTION(function), args=(data,)) for _ in range(given)]
        for thread in team:
            thread.start()
        for thread in team:
            thread.join()

    return SimpleNamespace(GOMP_parallel=PARALLEL(parallel), omp_get_num_threads=SIZE(lambda: given), calls=calls)


def arrays(form, sizes, dtype="float32"):
    p = problem(CELLS[form], "any mask", dtype, sizes)
    y, state, tape = forward(p.cell, p.params, p.x, **p.options, backend="native")
    grads = backward(tape, p.dy, p.dstate)
    return [y, *state, grads.x, *grads.params.values(), *grads.initial_state]


@pytest.mark.parametrize("sizes", SHAPES)
@pytest.mark.parametrize("form", CELLS)
def test_the_same_bits_on_other_threads(form, sizes):
    backends.set_num_threads(3)
    threads.use_team(loader.library(), None)
    own = arrays(form, sizes)
    for given in (1, 2, 3, 5):
        fake = runtime(given)
        threads.use_team(loader.library(), fake)
        assert all(np.array_equal(a, b) for a, b in zip(arrays(form, sizes), own)), given
        assert fake.calls and set(fake.calls) <= {2, 3}
    threads.use_team(loader.library(), None)
    asked = len(fake.calls)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(form, sizes), own)) and len(fake.calls) == asked


def test_torchs_own_threads_give_the_same_bits():
    if not openmp.join():
        pytest.skip("torch uses another OpenMP than GNU's here")
    for sizes in SHAPES:
        for count in (1, 2, 5):
            backends.set_num_threads(count)
            threads.use_team(loader.library(), None)
            own = arrays("LSTM", sizes)
            assert openmp.join()
            assert all(np.array_equal(a, b) for a, b in zip(arrays("LSTM", sizes), own))


@pytest.mark.parametrize("what", SHAPES_OF_GRIDS)
@pytest.mark.parametrize("form", cells.forms())
def test_sixteen_of_torchs_threads_give_the_bits_of_one(form, what):
    if not openmp.join():
        pytest.skip("torch uses another OpenMP than GNU's here")
    p = divided_so(what, form, "any mask", "float32")
    found = []
    for count in (1, 16):
        backends.set_num_threads(count)
        v, tape = direction(p), taped(p, "native")
        found.append({**solve(p, "native"), **flat(backward_vjp(tape, p.dy, p.dstate, v))})
    assert_same(found[1], found[0])


FORKED = """
import os, sys
import numpy as np, torch
from rnn_from_scratch import backends
from rnn_from_scratch.torch import LSTM
backends.set_num_threads(2)
module, x = LSTM(64, 128), torch.randn(50, 8, 64)
y = module(x)[0]
y.sum().backward()
child = os.fork()
if not child:
    torch.set_num_threads(1)
    os._exit(0 if torch.equal(module(x)[0], y) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_has_threads_of_its_own():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
