"""Breaks dual.h and second_order.cu in one place at a time, and says what nobody noticed.

    python -m tests.helpers.mutate_second_order        # every term, index, bound and selection; about five minutes on two CPUs

A mutant is caught if the emulator reports a fault or a result is off by more than 1e-12.
"""

from __future__ import annotations

import sys

import numpy as np

from rnn_from_scratch import backward_vjp, jvp
from rnn_from_scratch.backends.emulator import gxx
from rnn_from_scratch.backends.gpu import second_order
from rnn_from_scratch.measure import EXACT, error
from rnn_from_scratch.verify.cases import CELLS, Problem, problem

from .planted_changes import MASKS, Mutant, mutants, planted, survivors
from .sample import drawn
from .second_order import direction, flat, taped

FILES = ("dual.h", "second_order.cu")
LOCAL = {"xgs", "hgs", "s_prev", "s_new", "kept", "extras", "d", "ds_prev", "dxgs", "dhgs", "dps", "tapes"}  # small arrays of one thread
SELECTIONS = MASKS | {  # what is replaced by what
    # a term of a derivative dropped, or its sign
    r"x\.d \* y\.v \+ x\.v \* y\.d": ["x.d * y.v", "x.v * y.d"],
    r"x\.d - q \* y\.d": ["x.d", "- q * y.d"],
    r"\by \* x\.d\b": ["x.d", "y"],
    r"\(1 - y \* y\) \* x\.d": ["x.d", "1 - y * y"],
    r", -x\.d": [", x.d"],
    r", x\.d \+ y\.d": [", x.d", ", y.d"],
    r", x\.d - y\.d": [", x.d", ", x.d + y.d"],
    r"\+ n, x\.d\}": ["+ n, 0}"],
    r"n \+ x\.v, x\.d": ["n + x.v, 0"],
    r"x\.d / n": ["x.d"],
    r"x\.v ([<>]) n": [r"x.v \1 n + 1"],
    r"x\.v ([<>])= n": ["true", "false"],
    r"x\.v == y\.v": ["false"],
    # where tangents lie, and which gradient is by what
    r"BH \* T \* [WAG]\b": ["BH * T"],
    r"BH \* \(T \+ 1\)": ["BH * T"],
    r"BH \* COUNT": ["BH"],
    r"\b2 \* BH\b": ["BH"],
    r"unit \+ BH": ["unit"],
    r"2 \* k \* BH": ["k * BH"],
    r"\{p\[far\], p\[0\]\}": ["{p[0], p[far]}"],
    r"p\[far\] = x\.v, p\[0\] = x\.d": ["p[0] = x.v, p[far] = x.d", "p[far] = x.v"],
    r"p \? p\[at\] : 0": ["0"],
    r"tangent \? tangent\[at\] : 0": ["0"],
    r"dps\[e\]\.d": ["dps[e].v"],
    r"d\[0\]\.v \+=": ["d[0].d +="],
    r"value\.([vd]) \* factor": [r"value.\1"],
    # what step.cu has too
    r"FIRST \+ i\) \* H": ["FIRST) * H"],
    r"if \(hg\)": ["if (false)"],
    r"K == 0 && on \?": ["K == 0 ?"],
    r"bool on = is_live\(live, b, step, T, rev\)": ["bool on = true"],
    r"zero_masked \|\| step == 0 \?": ["step == 0 ?", "zero_masked ?"],
    r"step >= first\[b\]": ["step > first[b]"],
    r"if \(dy && dy_used\)": ["if (dy)", "if (dy_used)"],
    r"if \(saved\)": ["if (true)", "if (false)"],
    r"if \(tapes\[k\]\)": ["if (true)", "if (false)"],
    r"\bk == 0\b": ["k != 0"],
    r"step \+ 1 < T && is_live\(live, b, step \+ 1, T, rev\)": ["step + 1 < T", "is_live(live, b, step, T, rev) && step + 1 < T"],
    r"live && !live\[row\]": ["false"],
    r"scale \?": ["!scale ?"],
    r"b >= B\b": ["b > B"],
    r"\bj >= H\b": ["j > H"],
    r"row >= size_t\(B\) \* T": ["row > size_t(B) * T"],
}
KNOWN = {  # (what, the line it is in): what changes nothing, and why
    (
        "step >= first[b] -> step > first[b]",
        "bool dy_used = !live || on || (!zero_masked && step >= first[b]);  // as in step.cu",
    ): "step first[b] is live, and dy of live steps is used anyway",
    (
        "!zero_masked && step >= first[b] -> !zero_masked",
        "bool dy_used = !live || on || (!zero_masked && step >= first[b]);  // as in step.cu",
    ): "before the first live step dy reaches the first-order gradient of the initial state alone, which is no result of second order",
    (
        "a -> 0",
        "store(&xg[(row * W + a) * H + j], BH * T * W, kept[a]);",
    ): "phase 1 of the reset-before GRU reads z alone of what phase 0 put there, and z is gate 0",
    (
        "k -> 0",
        "if (tapes[k]) store(&tapes[k][slots + size_t(after) * H], BH * (T + 1), value);",
    ): "a tape has all its states or none: whether the first is there says it for all",
    (
        "k -> 0",
        "s_prev[k] = load(&tapes[k][(b * (T + 1) + before) * H + j], BH * (T + 1));",
    ): "the operands of the cells of the table are made of h, the first state",
}
LIMIT = 1800  # seconds for all of them


def every() -> list[Mutant]:
    return [mutant for file in FILES for mutant in mutants(file, SELECTIONS, LOCAL)]


def caught(mutant: Mutant) -> str:
    """How the mutant was noticed; "" if it was not."""
    try:
        with planted(mutant, (second_order, "second_order_text")):
            check()
    except (gxx.EmulatorError, AssertionError) as report:
        return str(report)
    return ""


def check() -> None:
    """Results that must not change, what sees most first."""
    for name in ("PeepholeLSTM", "GRU reset before", "GRU reset after"):
        for situation in ("scale per gate, any mask", "any mask, reversed, zeroed", "one scale", "any mask", "plain"):
            check_case(problem(CELLS[name], situation, sizes=(9, 3, 3, 5)))  # more rows than a block has
        check_dead_row(name)
    for name in ("GRU reset after, relu, hard_sigmoid", "SimpleRNN linear, no bias"):
        check_case(problem(CELLS[name], "any mask", sizes=(9, 3, 3, 5)))


def check_case(p: Problem) -> None:
    v = direction(p)
    truth = flat(backward_vjp(taped(p), p.dy, p.dstate, v))
    ours = flat(backward_vjp(taped(p, "emulated"), p.dy, p.dstate, v))
    for key, array in truth.items():
        assert error(ours[key], array) <= EXACT, f"{type(p.cell).__name__}: {key} is off by {error(ours[key], array):.1g}"


def check_dead_row(name: str) -> None:
    """A row without a live step: nothing of it reaches a parameter, and no parameter reaches it, whatever they are.

    And nothing is read or written that is not there.
    """
    p = problem(CELLS[name], sizes=(3, 3, 3, 5))
    p.options["mask"] = np.array([[True] * 3, [False] * 3, [True, False, True]])
    for state in p.options["initial_state"]:
        state[1] = np.nan
    v = direction(p)
    with np.errstate(invalid="ignore"):
        tape, own = taped(p, "emulated"), taped(p)
        truth, ours = (flat(backward_vjp(t, p.dy, p.dstate, v, wrt="params")) for t in (own, tape))
    for key, array in truth.items():
        assert error(ours[key], array) <= EXACT, f"{name}: {key} has seen a dead row"
    backward_vjp(tape, None, p.dstate, v)  # nothing reads a dy that is not there
    jvp(tape, v.x)  # nor writes where nothing is kept
    p.params["Wh"][...] = np.inf
    with np.errstate(invalid="ignore"):
        second = backward_vjp(taped(p, "emulated"), p.dy, p.dstate, v, wrt="initial_state")
    assert not second.initial_state[0][1].any(), f"{name}: a dead row has seen Wh"


def unexplained() -> list[Mutant]:
    """The mutants that nobody noticed and KNOWN does not explain."""
    check()  # unbroken, all is well
    return [m for m in survivors(drawn(every()), caught, KNOWN, LIMIT) if (m.what, m.where) not in KNOWN]


if __name__ == "__main__":
    sys.exit(bool(unexplained()))
