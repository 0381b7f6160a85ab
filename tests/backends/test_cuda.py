"""The cuda backend's host code against a stand-in for CuPy, whose kernels the emulator runs."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from bench.gpu_timing import micro_text
from rnn_from_scratch import backends, backward_vjp, cells, jvp
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.gpu import cuda
from rnn_from_scratch.backends.gpu.source import step_text
from rnn_from_scratch.bptt import Gradients
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS, problem, solve

from ..helpers import cupy_stand_in
from ..helpers.second_order import direction, flat, taped

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


@pytest.mark.parametrize("name", ["PeepholeLSTM", pytest.param("GRU reset before", marks=pytest.mark.check)])
def test_second_order_of_cupy_and_numpy_arrays(cupy, name):
    p = problem(CELLS[name], "scale per gate, any mask")
    v = direction(p)
    truth = flat(backward_vjp(taped(p, "emulated"), p.dy, p.dstate, v))
    there, gpu = flat(backward_vjp(taped(p, "cuda"), p.dy, p.dstate, v)), on_device(p, cupy)
    on_gpu = Gradients(cupy.asarray(v.x), {n: cupy.asarray(a) for n, a in v.params.items()}, tuple(map(cupy.asarray, v.initial_state)))
    ours = flat(backward_vjp(taped(gpu, "auto"), gpu.dy, gpu.dstate, on_gpu))
    for key, array in truth.items():
        assert type(there[key]) is np.ndarray and type(ours[key]) is cupy.ndarray, key
        assert there[key].tobytes() == ours[key].get().tobytes() and error(there[key], array) <= 1e-12, key
    assert type(jvp(taped(gpu, "auto"), on_gpu.x).y) is cupy.ndarray


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

    def no_nvrtc():
        raise RuntimeError('Failure finding "libnvrtc.so.12"')

    def no_driver():
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorInsufficientDriver: no CUDA driver")

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", no_driver)
    ok, why_not = backends.available()["cuda"]
    assert not ok
    assert why_not == "CuPy is here, but no GPU that it can use: cudaErrorInsufficientDriver: no CUDA driver"
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 1)
    nvrtc = sys.modules["cupy_backends.cuda.libs.nvrtc"]
    monkeypatch.setattr(nvrtc, "getVersion", no_nvrtc)
    why_not = cuda.available()[1]
    assert why_not.startswith('CuPy and a GPU are here, but not cuBLAS and NVRTC: pip install "rnn_from_scratch[cuda12]" or ')
    assert why_not.endswith('(Failure finding "libnvrtc.so.12")')
    monkeypatch.setattr(nvrtc, "getVersion", lambda: (12, 9))
    monkeypatch.delattr(sys.modules["cupy_backends.cuda.libs"], "cublas")
    monkeypatch.delitem(sys.modules, "cupy_backends.cuda.libs.cublas")
    assert "not cuBLAS and NVRTC" in cuda.available()[1]
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert cuda.available()[1].startswith('needs CuPy: pip install "rnn_from_scratch[cuda12]" or "rnn_from_scratch[cuda13]"')


# ---- the stand-in's own checks, each seen to fail

WRONG_LAUNCHES = {  # what is wrong with the launch of `end`: grid, block, change of the arguments, what the stand-in says
    "a parameter less": ((1, 1, 1), (32, 2, 1), lambda a: a[:-1], AssertionError, "expected 9 arguments, got 8"),
    "a parameter more": ((1, 1, 1), (32, 2, 1), lambda a: (*a, np.int32(0)), AssertionError, "expected 9 arguments, got 10"),
    "a Python number, 64 bits to CUDA": ((1, 1, 1), (32, 2, 1), lambda a: (*a[:-1], 0), TypeError, "rev: expected np.int32, got int"),
    "a number of another width": ((1, 1, 1), (32, 2, 1), lambda a: (*a[:-1], np.int64(0)), TypeError, "rev: expected int32, got int64"),
    "two arrays swapped": ((1, 1, 1), (32, 2, 1), lambda a: (a[3], *a[1:3], a[0], *a[4:]), TypeError, "ds: expected float64, got uint8"),
    "an array for a number": ((1, 1, 1), (32, 2, 1), lambda a: (*a[:-1], a[0]), TypeError, "rev: expected np.int32, got ndarray"),
    "a grid of two numbers": ((1, 1), (32, 2, 1), lambda a: a, AssertionError, "three numbers"),
    "a grid too high": ((1, 2**16, 1), (32, 2, 1), lambda a: a, AssertionError, "too large"),
    "an empty grid": ((1, 0, 1), (32, 2, 1), lambda a: a, AssertionError, "empty"),
    "a block too large": ((1, 1, 1), (32, 64, 1), lambda a: a, AssertionError, "too large"),
}


@pytest.mark.parametrize("wrong", WRONG_LAUNCHES)
def test_wrong_launches_are_refused(cupy, wrong):
    grid, block, change, kind, message = WRONG_LAUNCHES[wrong]
    arrays = [cupy.zeros((1, 2, 5), "float64"), cupy.zeros((1, 2, 5), "float64"), np.uintp(0), cupy.zeros((2, 3), "uint8")]
    args = (*arrays, *map(np.int32, (2, 3, 5, 0, 0)))
    end = cupy.RawModule(code=step_text(cells.LSTM(), "float64"), options=cuda.OPTIONS).get_function("end")
    end((1, 1, 1), (32, 2, 1), args)
    with pytest.raises(kind, match=message):
        end(grid, block, change(args))


def test_cooperative_grids_and_shared_memory_are_held_to_their_rules(cupy):
    module = cupy.RawModule(code=micro_text(), enable_cooperative_groups=True)
    barrier, args = module.get_function("barrier"), (cupy.zeros((1,), "uint32"), np.int32(1))
    barrier((1, 3, 1), (32, 1, 1), args)
    with pytest.raises(AssertionError, match="shrink a one-dimensional cooperative grid"):
        barrier((3, 1, 1), (32, 1, 1), args)
    with pytest.raises(AssertionError, match="set before the launch"):
        barrier((1, 1, 1), (32, 1, 1), (cupy.zeros((1,), "uint32"), np.int32(1)), shared_mem=64 << 10)
    barrier.max_dynamic_shared_size_bytes = 64 << 10
    barrier((1, 1, 1), (32, 1, 1), (cupy.zeros((1,), "uint32"), np.int32(1)), shared_mem=64 << 10)


def test_wrong_leading_dimensions_are_refused(cupy, monkeypatch):
    monkeypatch.setattr(cuda.CupyDevice, "layout", lambda self, a: (0, 1))
    p = problem(CELLS["LSTM"])
    with pytest.raises(AssertionError, match="cuBLAS refuses such a leading dimension"):
        solve(p, "cuda")
