"""Bugs planted in the products of bfloat16 words are caught, by whole numbers that must come out exactly and by threads.

Only bugs that the code for float32 does not share; those are in test_mutants_of_native.py.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rnn_from_scratch import backends
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import loader
from rnn_from_scratch.verify.cases import CELLS, cast, problem, solve
from rnn_from_scratch.verify.mutants.planted import of

from ..backends.test_bfloat16 import ROUNDED, distance, exact_results, tamed, whole_numbers
from ..helpers import native_build
from ..helpers.native_build import CXX

MUTANTS = [
    *of(
        "native/bfloat16.cpp",
        ("the second half of a vector is the first", "load(from + at + L, n - at - L)", "load(from + at, n - at - L)"),
        ("the second row of a pair is the first", "two_rows(row(a), row(b))", "two_rows(row(a), row(a))"),
        ("words are transposed in the wrong order", "b[i] = low(a[i], a[i + 1])", "b[i] = low(a[i + 1], a[i])"),
        ("the packed weights of a slice begin with those of the first", "w + k * k_stride", "w"),
        ("the second tile of rows begins one row late", "part->a + STEP * part->stride + k", "part->a + (STEP + 1) * part->stride + k"),
        ("columns of the next tile are those of this one", "b += now * b_stride", "b += 0 * b_stride"),
    ),
    *of(
        "native/backward_tile.h",
        ("gate gradients of one panel alone are rounded", "dgates.operand(column, row) + u / 2", "dgates.operand(column, row)"),
        ("the recurrent side of n is not rounded", "phase + 1 == cell.phases", "false"),
    ),
    *of(
        "native/weight_operands.h",
        ("a pair of rows is two times the first", "row(at + 1, second)", "row(at, second)"),
        ("the live rows of D are not found", "own.rows[n].place", "n"),
    ),
    *of("native/weight_gradients.h", ("the words of the first rows serve all blocks", "n0 / 2 * L", "0 * L")),
    *of("native/forward_operands.h", ("h is rounded without its dropout", "call.h_scale ? scaled_h : h", "h")),
]
OF_TILES = ("the second tile of rows begins one row late", "columns of the next tile are those of this one")  # of AMX alone
UNITS = "native|bfloat16|pool|digest|tensorflow_op|(lstm|gru|simple_rnn)-float"


def differs() -> str:
    """Where products in words are wrong, or ''."""
    for sizes in ((3, 2, 1, 5), (33, 5, 35, 70), (97, 7, 2, 18)):
        for seed in range(2):
            exact, found, _ = exact_results(*whole_numbers(sizes, seed), seed == 1)
            for i, (a, b) in enumerate(zip(exact, found)):
                if not np.array_equal(a, b):
                    return f"whole numbers, {sizes}, {seed}: result {i}"
    for name in ("LSTM", "GRU reset after", "GRU reset before"):
        p = tamed(problem(CELLS[name], "scale per gate, any mask", "float32", (37, 9, 33, 41)))
        truth, same, ours = solve(cast(p, "float64")), solve(p, **ROUNDED), solve(p, "native", **ROUNDED)
        for key, exact in truth.items():
            if not (np.isfinite(ours[key]).all() and distance(ours[key], exact) <= 2 * distance(same[key], exact)):
                return f"{name}: {key}"
    return ""


@pytest.mark.check
@pytest.mark.skipif(shutil.which(CXX) is None, reason=f"no compiler {CXX}")
@pytest.mark.skipif(not backends.rounds("bfloat16", "native"), reason="this machine has no products in bfloat16")
@pytest.mark.parametrize("instructions", ["avx512", "amx"])
def test_the_bugs_are_caught(instructions, tmp_path, monkeypatch):
    if instructions not in loader.BFLOAT16[: loader.library().rnn_best_precision() + 1]:
        pytest.skip("this processor has AVX512-BF16 alone")
    monkeypatch.setenv("RNN_NATIVE_BFLOAT16", instructions)
    with native_build.with_bugs(tmp_path, MUTANTS, "-march=x86-64-v4", units=UNITS) as planted:
        assert native.bfloat16() == instructions and differs() == ""
        missed = []
        for number, m in enumerate(MUTANTS, 1):
            planted.value = number
            if (instructions == "amx" or m.what not in OF_TILES) and not differs():
                missed.append(f"{m.file}: {m.what}")
        planted.value = 0
    assert not missed, "\n".join(missed)
