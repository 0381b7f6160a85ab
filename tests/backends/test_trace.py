"""What a student sees of one thread: python -m rnn_from_scratch.backends.emulator --trace CELL_KERNEL."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest

from rnn_from_scratch import cells, forward, init_params
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import __main__ as command
from rnn_from_scratch.backends.emulator import trace
from rnn_from_scratch.backends.emulator.program import Program, memory
from rnn_from_scratch.backends.gpu.source import Parameter

from ..helpers.emulator_cases import put

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)

REVERSED = """#line 1 "reversed.cu"
extern "C" __global__ void reversed(const float* x, float* y, int n) {
    __shared__ float s[2][4];
    int i = threadIdx.x;
    s[i / 4][i % 4] = 2 * x[i];
    __syncthreads();
    if (i < n) y[i] = s[(7 - i) / 4][(7 - i) % 4];
}
"""


def test_every_line_of_one_thread():
    x, y = put(np.arange(8, dtype="f4").reshape(4, 2)), memory((8,), np.float32)
    expected = """\
  arrays:  x [4,2], y [8]
  numbers: n = 8
reversed.cu:4: s[i / 4][i % 4] = 2 * x[i];
    reads  x[2,1] = 5
    writes s[1,1] = 10
reversed.cu:5: __syncthreads();
    waits  at __syncthreads
reversed.cu:6: if (i < n) y[i] = s[(7 - i) / 4][(7 - i) % 4];
    reads  s[0,2] = 4
    writes y[5] = 4
"""
    for program, seed in product(map(Program, (REVERSED, REVERSED), ("-O0", "-O1")), range(5)):  # whatever the others do in between
        output = program.launch("reversed", (1, 1, 1), (8, 1, 1), [x, y, np.int32(8)], seed=seed, traced=((0, 0, 0), (5, 0, 0)))
        assert output == expected
    assert np.array_equal(y, [14, 12, 10, 8, 6, 4, 2, 0])


@pytest.mark.parametrize("thread", [((1, 0, 0), (5, 0, 0)), ((0, 0, 0), (8, 0, 0)), ((0, 0, 0), (0, 1, 0))])
def test_a_thread_that_is_not_there_does_nothing(thread):
    args = [put(np.ones(8, "f4")), memory((8,), np.float32), np.int32(8)]
    assert Program(REVERSED).launch("reversed", (1, 1, 1), (8, 1, 1), args, traced=thread) == ""


def test_null_pointers_and_two_names_of_one_memory_are_named():
    x = memory((2, 3), np.float32)
    signature = [Parameter(name, "float32", True) for name in "abc"] + [Parameter("T", "int32", False)]
    output = trace.arguments(signature, [x, None, x, np.int32(4)])
    assert output == "  arrays:  a [2,3], c [2,3] (the memory of a)\n  null:    b\n  numbers: T = 4\n"


def test_an_index_outside_of_the_argument_stays_flat():
    assert trace.index("[5]", (2, 3)) == "[1,2]"
    assert trace.index("[6]", (2, 3)) == "[6]"
    assert trace.index("", (2, 3)) == ""


def traced_by(capsys, *arguments):
    command.main(list(arguments))
    return capsys.readouterr().out


def test_the_numbers_are_those_of_the_cell(capsys):
    """Every value that unit 3 of row 1 reads and writes at step 1 of an LSTM, beside the reference."""
    output = traced_by(capsys, "--trace", "lstm_forward", "--thread", "3,1,0").split("launch ")[2]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 2, 3))
    p = init_params(cells.LSTM(), 3, 5, dtype="float64")
    xg = (x @ p["Wx"])[1, 1].reshape(4, 5)[:, 3]
    y, _, tape = forward(cells.LSTM(), p, x, backend="reference")
    h, c = (s[1, 1] for s in tape.states)
    xg += (h @ p["Wh"]).reshape(4, 5)[:, 3]
    expected = {f"reads  xg[1,1,{g},3]": xg[g] for g in range(4)}
    expected |= {f"reads  bx[{3 + 5 * g}]": float(g == 1) for g in range(4)}
    expected |= {"reads  s[0,1,3]": h[3], "reads  s[1,1,3]": c[3], "reads  y[1,0,3]": y[1, 0, 3]}
    expected |= {f"writes xg[1,1,{g},3]": tape.saved[1, 1, g, 3] for g in range(4)}
    expected |= {"writes s[0,1,3]": y[1, 1, 3], "writes s[1,1,3]": tape.states[1][1, 2, 3]}
    expected |= {"writes tape0[1,2,3]": y[1, 1, 3], "writes tape1[1,2,3]": tape.states[1][1, 2, 3], "writes y[1,1,3]": y[1, 1, 3]}
    found = dict(re.findall(r"(reads  \w+\[[\d,]+\]|writes \w+\[[\d,]+\]) = (\S+)", output))
    assert set(found) == set(expected)
    for what, value in expected.items():
        assert float(found[what]) == pytest.approx(value, rel=1e-8, abs=1e-12), what


@pytest.mark.parametrize(
    ("arguments", "beginning", "line"),
    [
        (("peephole_lstm_forward", "--thread", "1,1,0"), "launch 2: forward", "    reads  p[1,1] = "),
        (("gru_backward", "--thread", "1,1,0"), "launch 4: backward", "    writes dhg[1,1,2,1] = "),
        (("gru_dual_backward", "--thread", "1,1,0"), "launch 13: dual_backward", "    writes dhg[1,1,2,1] = "),
        (("simple_rnn_first_live", "--mask"), "launch 4: first_live", "    reads  live[0,0] = 1\n"),
        (("gru_column_sum", "--thread", "2,0,0"), "launch 8: column_sum", "    waits  at __syncthreads\n"),
        (("lstm_forward", "--sizes", "1,1,1,40", "--block", "0,1,0", "--thread", "7,0,0"), "launch 2: forward", " y[0,0,39] = "),
        (("gru_backward", "--thread", "31,1,0"), "no launch of backward has a thread (31, 1, 0)", "that touches memory"),
    ],
)
def test_the_command(capsys, arguments, beginning, line):
    output = traced_by(capsys, "--trace", *arguments)
    assert output.startswith(beginning)
    assert line in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trace", "gruu_backward"), f"--trace gruu_backward: cell: expected one of {', '.join(cells.CELLS)}, got 'gruu'"),
        (("--trace", "lstm"), "expected CELL_KERNEL, such as gru_backward; the kernels are forward, begin, "),
        (("--thread", "1"), "expected x,y,z, each at least 0, got 1"),
        (("--sizes", "2,x,3,5"), "expected B,T,I,H, each at least 1, got 2,x,3,5"),
    ],
)
def test_wrong_use_is_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        command.main(list(arguments))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_without_gxx_the_command_says_so(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit):
        command.main([])
    assert "error: needs g++" in capsys.readouterr().err


def test_a_kernel_may_have_the_name_of_a_function_of_the_c_library():
    """glibc has a function called step."""
    text = 'extern "C" __global__ void step(double* h) {\n    __shared__ double part[N];\n    part[0] = h[0];\n    h[0] = 2 * part[0];\n}\n'
    h = memory((1,), "float64")
    h[...] = 1
    said = Program("#define N 4\n" + text).launch("step", (1, 1, 1), (1, 1, 1), [h], traced=((0, 0, 0), (0, 0, 0)))
    assert h[0] == 2
    assert "writes part[0] = 1" in said
