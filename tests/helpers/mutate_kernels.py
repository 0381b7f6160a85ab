"""Breaks prelude.h, step.cu and column_sum.cu in one place at a time, and says what nobody noticed.

    python -m tests.helpers.mutate_kernels        # every barrier, index, bound and selection; about three minutes on two CPUs

A mutant is caught if the emulator reports a fault or a result is off by more than 1e-12.
"""

from __future__ import annotations

import sys

import numpy as np

from rnn_from_scratch import backends, cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import gxx
from rnn_from_scratch.backends.gpu import call
from rnn_from_scratch.measure import EXACT, compare, error
from rnn_from_scratch.verify.cases import CELLS, problem, solve

from .planted_changes import MASKS, Mutant, mutants, planted, survivors
from .sample import drawn

FILES = ("prelude.h", "step.cu", "column_sum.cu")
LOCAL = {"xgs", "hgs", "s_prev", "s_new", "kept", "extras", "d", "ds_prev", "dxgs", "dhgs", "dps", "tapes"}  # small arrays of one thread
SELECTIONS = MASKS | {  # what is replaced by what
    r"K == 0 && on \?": ["K == 0 ?"],
    r"bool on = is_live\(live, b, step, T, rev\)": ["bool on = true"],
    r"return !live \|\| ": ["return "],
    r"scales \?": ["!scales ?"],
    r"scales <= 1": ["scales <= 2", "scales < 1"],
    r"scale \?": ["!scale ?"],
    r"zero_masked \|\| step == 0 \?": ["step == 0 ?", "zero_masked ?"],
    r"step >= first\[b\]": ["step > first[b]"],
    r"if \(dy && dy_used\)": ["if (dy)", "if (dy_used)"],
    r"if \((saved)\)|if \((!operand)\)": ["if (true)", "if (false)"],
    r"if \(tapes\[k\]\)": ["if (true)", "if (false)"],
    r"\bk == 0\b": ["k != 0"],
    r"\bphase == K\b": ["true", "false"],
    r"step \+ 1 < T && is_live\(live, b, step \+ 1, T, rev\)": ["step + 1 < T", "is_live(live, b, step, T, rev) && step + 1 < T"],
    r" \|\| !is_live\(live, b, 0, T, rev\)": [""],
    r"&& !is_live\(live, b, step, T, rev\)": [""],
    r"!live \|\| live\[row\] \?": ["true ?"],
    r"live && !live\[row\]": ["false"],
    r"b >= B\b": ["b > B"],
    r"\b([jn]) >= ([HN])\b": [r"\1 > \2"],
    r"row >= (size_t\(B\) \* T|rows)": [r"row > \1"],
    r"column < C\b": ["column <= C"],
    r"begin \+ 256 < N \?": ["begin + 257 < N ?", "false ?"],
    r"row < end": ["row <= end", "row + 1 < end"],
    r"row \+= 8": ["row += 7", "row += 9"],
    r"k = 1; k < 8": ["k = 0; k < 8", "k = 2; k < 8", "k = 1; k < 7"],
    r"\(lane == 0 &&": ["(lane == 1 &&", "("],
}
KNOWN = {  # (what, the line it is in): what changes nothing, and why
    (
        "step >= first[b] -> step > first[b]",
        "bool dy_used = !live || on || (!zero_masked && step >= first[b]);",
    ): "step first[b] is live, and dy of live steps is used anyway",
    (
        "a -> 0",
        "for (int a = FIRST; a < FIRST + COUNT; a++) xg[(row * W + a) * H + j] = kept[a];",
    ): "phase 1 of the reset-before GRU reads z alone of what phase 0 put there, and z is gate 0",
    **dict.fromkeys(
        [
            ("k -> 0", "if (tapes[k]) store(&tapes[k][slots + size_t(after) * H], value);"),
            ("k -> 0", "if (tapes[k]) store(&tapes[k][(size_t(b) * (T + 1) + (rev ? T : 0)) * H + j], s[k * BH + unit]);"),
        ],
        "a tape has all its states or none: whether the first is there says it for all",
    ),
    (
        "k -> 0",
        "for (int k = 0; k < S; k++) s_prev[k] = load(&tapes[k][(b * (T + 1) + before) * H + j]);",
    ): "the operands of the cells of the table are made of h, the first state",
    ("scales <= 1 -> scales <= 2", "if (scales <= 1) {"): "scales is 0, 1 or the number of gates, and no cell has two",
    (
        "scales <= 1 -> scales <= 2",
        "if (scales <= 1) return scales ? back[unit] * scale[unit] : back[unit];",
    ): "scales is 0, 1 or the number of gates, and no cell has two",
}
LIMIT = 1200  # seconds for all of them


def every() -> list[Mutant]:
    return [mutant for file in FILES for mutant in mutants(file, SELECTIONS, LOCAL)]


def caught(mutant: Mutant) -> str:
    """How the mutant was noticed; "" if it was not."""
    try:
        with planted(mutant, (call, "step_text"), (call, "column_sum_text")):
            check_column_sums() if mutant.file == "column_sum.cu" else check_step()
    except (gxx.EmulatorError, AssertionError) as report:
        return str(report)
    return ""


def check_step() -> None:
    """Results that must not change, what sees most first."""
    names = [*reversed(cells.forms())]
    masked = ["scale per gate, any mask", "any mask, reversed, zeroed", "any mask"]
    situations = [*masked, "scale per gate, reversed", "one scale", "plain"]
    for situation in situations:
        for name in names:
            check_case(name, situation)
    for name in names:
        check_dead_row(name)


def check_dead_row(name: str) -> None:
    """A row without a live step: nothing of it reaches a parameter, and no parameter reaches it, whatever they are."""
    p = problem(CELLS[name], sizes=(3, 3, 3, 5))
    p.options["mask"] = np.array([[True] * 3, [False] * 3, [True, False, True]])
    for state in p.options["initial_state"]:
        state[1] = np.nan
    truth, ours = solve(p), solve(p, "emulated")
    for key in truth:
        if key not in ("dx", *p.cell.states):
            assert error(ours[key], truth[key]) <= EXACT, f"{name}: {key} has seen a dead row"
    _, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated")
    backends.backward(tape, None, p.dstate)  # nothing reads a dy that is not there
    backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", save=False)  # nor writes where nothing is kept
    p.params["Wh"][...] = np.inf
    with np.errstate(invalid="ignore"):
        assert np.array_equal(solve(p, "emulated")["dh0"][1], p.dstate[0][1]), f"{name}: a dead row has seen Wh"


def check_case(name: str, situation: str) -> None:
    p = problem(CELLS[name], situation, sizes=(9, 3, 3, 5))  # more rows than a block has
    truth = solve(p)
    worst, e, _ = compare(solve(p, "emulated"), truth, dict.fromkeys(truth, EXACT))
    assert e <= EXACT, f"{name}, {situation}: {worst} is off by {e:.1g}"
    _, _, ours = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated")
    _, _, own = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
    for a, b in zip((*ours.states, ours.saved), (*own.states, own.saved)):
        assert error(a, b) <= EXACT, f"{name}, {situation}: the tape is off"


def check_column_sums() -> None:
    for N, C in ((1, 1), (257, 33), (600, 5)):
        a = np.random.default_rng(N).standard_normal((N, C))
        device = emulated.EmulatedDevice(seed=N)
        assert error(device.get(call.column_sum(device, device.put(a))), a.sum(0)) <= EXACT, f"sums of [{N},{C}] are off"


def unexplained() -> list[Mutant]:
    """The mutants that nobody noticed and KNOWN does not explain."""
    check_step()  # unbroken, all is well
    check_column_sums()
    return [m for m in survivors(drawn(every()), caught, KNOWN, LIMIT) if (m.what, m.where) not in KNOWN]


if __name__ == "__main__":
    sys.exit(bool(unexplained()))
