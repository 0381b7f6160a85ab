"""Our arrays beside those of other frameworks: every row of CELLS x SITUATIONS x dtype that an oracle can compute.

float64: every array within 1e-12. float32: the oracle in float64, fed the float32 numbers, is the truth; an array may be
off by twice (gradients three times) what a float32 peer is off, plus 1e-6. The peer is float32 NumPy, and the oracle's own
float32 when float32 NumPy is what is checked. An oracle without float64 is the truth in float32, within 2e-6;
of one without gradients the outputs and states are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from .. import backends, cells
from ..measure import EXACT, Row, budget, compare, error
from ..typing import Array
from .cases import CELLS, SITUATIONS, Problem, cast, problem, solve
from .oracles import autodiff, block_lstm, keras_layers, legacy_peephole, onnx_runtime, torch_nn

ORACLES = (keras_layers, legacy_peephole, block_lstm, torch_nn, autodiff, onnx_runtime)
DTYPES = ("float64", "float32")
FLOAT32_BUDGET = 2e-6  # float32 against float32


def parity(cell: str | None = None, backend: str = "reference", dtype: str | None = None) -> Iterator[Row]:
    """Run `backend` beside every oracle and yield one row per oracle, cell, situation and dtype.

    cell     only this one, as in cells.by_name; None: all
    dtype    float64 or float32; None: both
    A case outside of what an oracle computes is no row (see uncovered); a framework that is not installed gives rows with
    error None, whose text says what to install. Raises ValueError for an unknown cell, backend or dtype.
    """
    for oracle, name, situation, kind, reason in table(cell, dtype):
        if not reason:
            yield row(oracle, name, situation, kind, backend)


def uncovered(cell: str | None = None, dtype: str | None = None) -> Iterator[tuple[str, str, str, str, str]]:
    """Oracle, cell, situation, dtype and reason of every case that is outside of what the oracle computes."""
    for oracle, name, situation, kind, reason in table(cell, dtype):
        if reason:
            yield oracle.NAME, name, situation, kind, reason


def table(cell: str | None, dtype: str | None) -> Iterator[tuple[Any, str, str, str, str]]:
    """Every oracle module, cell, situation and dtype, with the oracle's reason against it or ''."""
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")
    wanted = type(cells.by_name(cell)) if cell else None
    names = [name for name, c in CELLS.items() if wanted in (None, type(c))]
    for oracle in ORACLES:
        for name in names:
            for situation in SITUATIONS:
                for kind in DTYPES if dtype is None else (dtype,):
                    yield oracle, name, situation, kind, oracle.cannot(problem(CELLS[name], situation, kind))


def row(oracle: Any, name: str, situation: str, dtype: str, backend: str) -> Row:
    """Run one case on the backend and on the oracle."""
    if missing := oracle.missing():
        return Row(oracle.NAME, name, situation, dtype, None, None, missing)
    p = problem(CELLS[name], situation, dtype)
    ours = solve(p, backend)
    if oracle is block_lstm:
        ours.update(tape_arrays(p, backend))
    if dtype == "float64" or getattr(oracle, "FLOAT32_ONLY", False):
        truth = answer(oracle, name, situation, dtype, dtype)
        budgets = dict.fromkeys(truth, EXACT if dtype == "float64" else FLOAT32_BUDGET)
    else:
        truth = answer(oracle, name, situation, dtype, "float64")
        peer = answer(oracle, name, situation, dtype, dtype) if backend == "reference" else solve(p)
        budgets = {array: budget(array, error(peer[array], truth[array])) for array in truth}
    compared = {"y", *p.cell.states} if getattr(oracle, "OUTPUTS_ONLY", False) else set(ours)
    if unknown := compared - set(truth):
        text = f"{oracle.NAME} computed no {', '.join(sorted(unknown))}"
        return Row(oracle.NAME, name, situation, dtype, float("inf"), 0.0, text)
    worst, e, allowed = compare(ours, truth, budgets)
    return Row(oracle.NAME, name, situation, dtype, e, allowed, worst)


@cache
def answer(oracle: Any, name: str, situation: str, drawn: str, dtype: str) -> dict[str, Array]:
    """What the oracle computes in `dtype` for the problem drawn in dtype `drawn`; kept, so that a second backend costs nothing."""
    return oracle.solve(cast(problem(CELLS[name], situation, drawn), dtype))


def tape_arrays(p: Problem, backend: str) -> dict[str, Array]:
    """The gates of the tape, and c after every step, by the names that block_lstm gives them: [B,T,H] in the time order of x."""
    tape = backends.forward(p.cell, p.params, p.x, **p.options, backend=backend)[2]
    assert tape is not None
    c = tape.states[1]
    after = c[:, :-1] if tape.go_backwards else c[:, 1:]
    return {"tape.c": after, **{f"tape.{name}": tape.gate(name) for name in p.cell.saved}}
