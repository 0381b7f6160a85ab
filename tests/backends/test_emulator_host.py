"""Around the emulator: building and its cache, memory and guards, arguments, what it says when it cannot run."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rnn_from_scratch import backends, cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import gxx
from rnn_from_scratch.backends.emulator.program import Program, memory
from rnn_from_scratch.backends.gpu import source

from ..helpers.emulator_cases import put

usable, why_not = emulated.available()
needs_gxx = pytest.mark.skipif(not usable, reason=why_not)

TWICE = """#line 1 "twice.cu"
extern "C" __global__ void twice(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}
"""

RECURSION = """__device__ float dig(const float* x, int n) {
    float a[300];
    for (int k = 0; k < 300; k++) a[k] = x[k % 70];
    return n ? a[n] + dig(x, n - 1) : 0;
}
"""


def launch(program, x, y, n, **options):
    return program.launch("twice", (3, 1, 1), (32, 1, 1), [x, y, n], **options)


@needs_gxx
def test_arguments_must_be_of_the_exact_type():
    program, x, y = Program(TWICE), memory((70,), np.float32), memory((70,), np.float32)
    for args, message in (
        ((x, y, 70), "n: expected np.int32, got int"),
        ((x, y, np.int64(70)), "n: expected int32, got int64"),
        ((x, y.astype("f8"), np.int32(70)), "y: expected float32, got float64"),
        ((x, np.zeros(70, "f4"), np.int32(70)), "y: expected an array in the emulated device's memory"),
        ((np.int32(1), y, np.int32(70)), "x: expected an array, got int32"),
    ):
        with pytest.raises(TypeError, match=f"twice: {message}"):
            launch(program, *args)
    with pytest.raises(TypeError, match="expected 3 arguments, got 2"):
        program.launch("twice", (1, 1, 1), (32, 1, 1), [x, y])


@needs_gxx
def test_a_null_pointer_is_out_of_bounds():
    with pytest.raises(gxx.EmulatorError, match="out of bounds"):
        launch(Program(TWICE), None, memory((70,), np.float32), np.int32(70))


@needs_gxx
def test_guards_see_what_the_hooks_cannot():
    text = TWICE.replace("y[i] = 2 * x[i]", "memcpy(y + i + 1, x + i, n - 66)")  # a call, not an access
    with pytest.raises(gxx.EmulatorError, match="guard bytes around y were overwritten"):
        launch(Program(text), put(np.ones(70, "f4")), memory((70,), np.float32), np.int32(70))


@needs_gxx
def test_memory_is_nan_between_guards():
    array = memory((3, 5), np.float32)
    assert np.isnan(array).all()
    assert array.ctypes.data % 256 == 0
    assert memory((0, 5), np.float64).shape == (0, 5)


@needs_gxx
def test_more_threads_than_may_be_alive_run_in_waves():
    x, y = put(np.arange(70, dtype="f4")), memory((70,), np.float32)
    launch(Program(TWICE), x, y, np.int32(70), resident=32)
    assert np.array_equal(y, 2 * x)


@needs_gxx
def test_runaway_threads_and_stacks_are_reported():
    forever = TWICE.replace("2 * x[i]", "0; while (i < n && x[0] == 0) y[i] = 1")
    with pytest.raises(gxx.EmulatorError, match="endless: thread"):
        launch(Program(forever), put(np.zeros(70, "f4")), memory((70,), np.float32), np.int32(70))
    deep = TWICE.replace("y[i] = 2 * x[i]", "{ float a[20000]; for (int k = 0; k < n; k++) a[k * 285] = x[k]; y[i] = a[n]; }")
    with pytest.raises(gxx.EmulatorError, match=r"the frame size of \d+ bytes is larger"):
        Program(deep)
    deeper = TWICE.replace('extern "C"', RECURSION + 'extern "C"').replace("2 * x[i]", "dig(x, n)")
    with pytest.raises(gxx.EmulatorError, match="stack overflow"):
        launch(Program(deeper), put(np.zeros(70, "f4")), memory((70,), np.float32), np.int32(70))


@needs_gxx
def test_what_gxx_refuses_is_shown():
    with pytest.raises(gxx.EmulatorError, match=r"g\+\+ refused the kernels:\n(.|\n)*twice.cu:3"):
        Program(TWICE.replace("y[i]", "z[i]"))


@pytest.mark.check
@needs_gxx
def test_compiled_once_and_by_two_processes_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code = f"from rnn_from_scratch.backends.emulator.program import Program; print(Program({TWICE!r}).path)"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate(timeout=100)[0].strip() for process in started}
    assert len(paths) == 1
    made = sorted((tmp_path / "rnn_from_scratch/emulator").iterdir())
    assert len(made) == 2, made  # the machine and the kernels, no leftovers
    times = [p.stat().st_mtime_ns for p in made]
    assert str(Program(TWICE).path) in paths
    assert [p.stat().st_mtime_ns for p in made] == times


def test_without_gxx_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    usable, why_not = backends.available()["emulated"]
    assert not usable
    assert why_not.startswith("needs g++")
    assert "\n" not in why_not
    x = np.zeros((1, 1, 1), "f4")
    params = {"Wx": np.zeros((1, 1), "f4"), "Wh": np.zeros((1, 1), "f4"), "b": np.zeros(1, "f4")}
    with pytest.raises(ValueError, match=r"^backend: emulated is not usable here: needs g\+\+"):
        backends.forward(cells.SimpleRNN(), params, x, backend="emulated")


def test_on_other_machines_it_says_what_it_needs(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert emulated.available() == (False, f"the emulator runs on Linux, x86-64 or arm64; this is {sys.platform}, riscv64")


def test_signatures_are_read_from_the_text():
    found = source.signatures(source.step_text(cells.LSTM(), "float32", "float16"))
    assert set(found) == {"forward", "backward", "begin", "end", "first_live", "input_rows", "operand_rows", "scaled_sum"}
    numbers = [(n, "int32", False) for n in ("B", "T", "rev")]
    assert found["first_live"] == [("live", "uint8", True), ("first", "int32", True), *numbers]
    assert [p.dtype for p in found["begin"][:6]] == ["float32", *["uint16"] * 4, "float32"]
    assert source.signatures(source.column_sum_text("float64"))["column_sum"][2] == ("N", "int64", False)
