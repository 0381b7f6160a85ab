"""The sequence tier of the cuda backend, against the stand-in for CuPy, whose kernels the emulator runs."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_from_scratch import backends
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import device as emulator_device
from rnn_from_scratch.backends.gpu import cuda, planner, sequence
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS, problem, solve

from ..helpers import cupy_stand_in
from ..helpers.sequence_cases import DESERTED, PATIENCE_IN_TESTS, SMALL
from .test_cuda import on_device

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)
CASES = [("PeepholeLSTM", "any mask"), ("PeepholeLSTM", "scale per gate, any mask"), ("GRU reset before", "scale per gate, any mask")]


@pytest.fixture
def cupy(monkeypatch):
    """A device of six multiprocessors and blocks of 32 threads, told to take the sequence tier."""
    cuda.handles.clear()
    module = cupy_stand_in.install(monkeypatch)
    small = cuda.limits(0)._replace(threads=(32,))
    monkeypatch.setattr(cuda, "limits", lambda device: small)
    monkeypatch.setenv("RNN_GPU_TIER", "sequence")
    yield module
    cuda.handles.clear()


def test_what_a_device_says_of_itself(monkeypatch):
    cupy_stand_in.install(monkeypatch)
    expected = planner.Limits("no H100 but a stand-in", 6, 64 << 10, 1.0, 64, 2, 1 << 22, 0.32, capability=(7, 5))
    assert cuda.limits(0) == expected
    older = {**cupy_stand_in.Device.attributes, "ComputeCapabilityMajor": 6, "ComputeCapabilityMinor": 1}
    monkeypatch.setattr(cupy_stand_in.Device, "attributes", older)
    cuda.limits.cache_clear()
    before = {"cooperative": False, "capability": (6, 1)}  # no release and acquire before 7.0
    assert cuda.limits(0) == expected._replace(lanes=128, lanes64=4, **before)
    cuda.limits.cache_clear()


@pytest.mark.parametrize(("name", "situation"), CASES)
def test_cupy_arrays_in_and_out(cupy, name, situation):
    p = problem(CELLS[name], situation)
    truth, ours = solve(p), solve(on_device(p, cupy), "auto")
    for key, array in ours.items():
        assert type(array) is cupy.ndarray, key
        assert error(array.get(), truth[key]) <= 1e-12, key
    shapes = {name: grid for name, grid, *_ in cupy_stand_in.launches}
    assert shapes["forward"] == shapes["backward"]
    assert shapes["forward"][0] == 1  # CuPy shrinks grids of one dimension


def test_the_same_bits_as_emulated(cupy):
    p = problem(CELLS["LSTM"], "any mask", "float32")
    ours, theirs = solve(p, "cuda"), solve(p, "emulated")
    assert {n for n in ours if ours[n].tobytes() != theirs[n].tobytes()} == set()


def test_tensor_cores_give_the_same_bits_as_emulated(cupy):
    p = problem(CELLS["GRU reset before"], "scale per gate, any mask", "float32")
    ours, theirs = (solve(p, backend, storage="float16", math="tensor") for backend in ("cuda", "emulated"))
    assert {n for n in ours if np.asarray(ours[n]).tobytes() != theirs[n].tobytes()} == set()
    for storage, factors in (("bfloat16", "bfloat16"), (None, "TF32")):
        with pytest.raises(ValueError, match=f"products in {factors} need compute capability 8.0, and no H100 but a stand-in has 7.5"):
            backends.forward(p.cell, p.params, p.x, backend="cuda", storage=storage, math="tensor")


def test_shared_memory_is_asked_for_before_the_launch(cupy, monkeypatch):
    p = problem(CELLS["LSTM"], sizes=(2, 1, 2, 56))
    plan = planner.with_tiles(planner.Tiles(28, 2, 32, 56, False), p.cell, 2, 56, "float64", False)
    assert plan.shared > 48 << 10
    monkeypatch.setattr(cuda.CupyDevice, "plan", lambda *_: plan)
    solve(p, "cuda")  # the stand-in would refuse it


def test_no_room_for_all_blocks_at_once_is_an_error(cupy, monkeypatch):
    monkeypatch.setattr(cuda, "limits", lambda device: emulator_device.LIMITS._replace(multiprocessors=2))
    p, device = problem(CELLS["LSTM"]), cuda.CupyDevice(host=True)
    plan = planner.with_tiles(planner.Tiles(1, 2, 32, 8, False), p.cell, 6, 5, "float64", False)
    monkeypatch.setattr(cuda.CupyDevice, "plan", lambda *_: plan)
    with pytest.raises(RuntimeError, match="15 blocks of 32 threads and .* must run at the same time, and .* hold 2; RNN_GPU_TIER=step"):
        solve(p, "cuda")
    assert device.failed


def test_a_block_that_gave_up_is_told_by_the_same_call_or_the_next(cupy, monkeypatch):
    monkeypatch.setattr(sequence, "PATIENCE", PATIENCE_IN_TESTS)
    real, p = sequence.sequence_text, problem(CELLS["LSTM"])
    plan = planner.with_tiles(SMALL, p.cell, 6, 5, "float64", False)
    monkeypatch.setattr(cuda.CupyDevice, "plan", lambda *_: plan)
    backends.forward(p.cell, p.params, p.x, backend="cuda")  # so much is enough if all blocks are there
    monkeypatch.setattr(sequence, "sequence_text", lambda *args: real(*args).replace(*DESERTED))
    with pytest.raises(RuntimeError, match="waited in vain"):
        backends.forward(p.cell, p.params, p.x, backend="cuda")
    monkeypatch.setattr(sequence, "sequence_text", real)
    backends.forward(p.cell, p.params, p.x, backend="cuda")  # the flag is down again
    cuda.flag(0)[0] = 1  # as a kernel sets it that was still running when the call returned
    with pytest.raises(RuntimeError, match="RNN_GPU_TIER=step avoids it"):
        backends.forward(p.cell, p.params, p.x, backend="cuda")
