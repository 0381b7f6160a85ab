"""Breaks the kernels of step.cu and column_sum.cu in one place at a time, and says what nobody noticed.

    python -m tests.mutate_kernels        # every barrier, index, bound and selection; about three minutes on two CPUs

A mutant is caught if the emulator reports a fault or a result is off by more than 1e-12.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from rnn_from_scratch import backends
from rnn_from_scratch.backends import emulated, gxx, source, steps
from rnn_from_scratch.verify.cases import CELLS, problem, solve
from rnn_from_scratch.verify.measure import EXACT, compare, error

LOCAL = {"xgs", "hgs", "s_prev", "s_new", "kept", "extras", "d", "ds_prev", "dxgs", "dhgs", "dps"}  # small arrays of one thread
SELECTIONS = {  # a condition on masks, phases, scales or direction -> what it is replaced by
    r"\bon \?": ["true ?", "false ?"],
    r"\bif \(on\)": ["if (true)", "if (false)"],
    r"K == 0 && on \?": ["K == 0 ?"],
    r"rev \?": ["!rev ?"],
    r"bool on = is_live\(live, b, step, T, rev\)": ["bool on = true"],
    r"return !live \|\| ": ["return "],
    r"scales \?": ["!scales ?"],
    r"scales <= 1": ["scales <= 2", "scales < 1"],
    r"scale \?": ["!scale ?"],
    r"zero_masked \|\| step == 0 \?": ["step == 0 ?", "zero_masked ?"],
    r"!zero_masked && step >= first\[b\]": ["step >= first[b]", "!zero_masked", "!zero_masked && step > first[b]"],
    r"!live \|\| on \|\|": ["!live ||"],
    r"if \(dy && heard\)": ["if (dy)", "if (heard)"],
    r"\bk == 0\b": ["k != 0"],
    r"if \((saved)\)|if \((!operand)\)": ["if (true)", "if (false)"],
    r"\bphase (== 0|> 0)": ["true", "false"],
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
        "!zero_masked && step >= first[b] -> !zero_masked && step > first[b]",
        "bool heard = !live || on || (!zero_masked && step >= first[b]);  // by y: a masked step repeats the last live output",
    ): "step first[b] is live, and live steps are heard anyway",
    (
        "a -> 0",
        "for (int a = FIRST; a < FIRST + COUNT; a++) xg[(row * W + a) * H + j] = kept[a];",
    ): "phase 1 of the reset-before GRU reads z alone of what phase 0 put there, and z is gate 0",
    ("scales <= 1 -> scales <= 2", "if (scales <= 1) {"): "scales is 0, 1 or the number of gates, and no cell has two",
    (
        "scales <= 1 -> scales <= 2",
        "if (scales <= 1) return scales ? back[unit] * scale[unit] : back[unit];",
    ): "scales is 0, 1 or the number of gates, and no cell has two",
}
LIMIT = 1200  # seconds for all of them


class Mutant(NamedTuple):
    """One break: what is replaced by what, in which line of a file, and the whole text that results."""

    file: str
    line: int
    what: str
    where: str
    text: str


def mutants(file: str, selections: dict[str, list[str]] = SELECTIONS, local: set[str] = LOCAL) -> Iterator[Mutant]:
    """Every way in which a file is broken: barriers dropped, selections replaced, indices moved by one, those of local arrays to 0."""
    text = (source.folder() / file).read_text(encoding="utf-8")
    code = re.sub(r"//[^\n]*|#define[^\n]*", lambda m: " " * len(m[0]), text)  # the same places, without comments

    def made(start: int, end: int, new: str) -> Mutant:
        old = text[start:end]
        what = f"{old.strip()} -> {new.strip() or 'nothing'}"
        line = text.count("\n", 0, start)
        return Mutant(file, line + 1, what, text.splitlines()[line].strip(), text[:start] + new + text[end:])

    for barrier in re.finditer(r"__syncthreads\(\);", code):
        yield made(*barrier.span(), ";")
    for pattern, replacements in selections.items():
        for found in re.finditer(pattern, code):
            for new in replacements:
                yield made(*found.span(), found.expand(new))
    for name, start, end in subscripts(code):
        inside = text[start:end]
        if name not in local:
            yield made(start, end, f"({inside}) + 1")
        elif inside != "0":
            yield made(start, end, "0")


def subscripts(code: str) -> Iterator[tuple[str, int, int]]:
    """(array, start, end) of what is inside every pair of brackets that is an index, not a declaration or a capture."""
    for opened in re.finditer(r"(\w+|\))(\[)", code):
        line = code[code.rfind("\n", 0, opened.start()) + 1 : opened.start()]
        if re.search(r"^\s*(extern|REAL|Four|bool|RNN_FN|__shared__)\s", line) and "=" not in line:
            continue
        depth, end = 1, opened.end()
        while depth:
            depth += {"[": 1, "]": -1}.get(code[end], 0)
            end += 1
        yield opened[1], opened.end(), end - 1


def caught(mutant: Mutant) -> str:
    """How the mutant was noticed; "" if it was not."""
    original = (source.folder() / mutant.file).read_text(encoding="utf-8")
    mark = f'#line 1 "{mutant.file}"\n'

    def broken(assemble):
        return lambda *args: assemble(*args).replace(mark + original, mark + mutant.text)

    kept = steps.step_text, steps.column_sum_text
    steps.step_text, steps.column_sum_text = map(broken, kept)
    try:
        if mutant.file == "column_sum.cu":
            check_column_sums()
        else:
            check_step()
    except (gxx.EmulatorError, AssertionError) as report:
        return str(report)
    finally:
        steps.step_text, steps.column_sum_text = kept
    return ""


def check_step() -> None:
    """Results that must not change, what sees most first."""
    names = ["PeepholeLSTM", "GRU reset before", "GRU reset after", "SimpleRNN"]
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
        assert error(device.get(steps.column_sum(device, device.put(a))), a.sum(0)) <= EXACT, f"sums of [{N},{C}] are off"


def survivors(show: bool = False) -> list[Mutant]:
    """The mutants of both files that nobody noticed and KNOWN does not explain. Raises TimeoutError after LIMIT seconds."""
    every = [*mutants("step.cu"), *mutants("column_sum.cu")]
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, XDG_CACHE_HOME=folder):  # none of this is worth keeping
        check_step()  # unbroken, all is well; and the machine is compiled once
        check_column_sums()
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
            reports = list(pool.map(caught, every, chunksize=4, timeout=LIMIT))
    left = [mutant for mutant, report in zip(every, reports) if not report]
    for mutant, report in zip(every, reports) if show else ():
        fate = report.splitlines()[0] if report else f"SURVIVES: {KNOWN.get((mutant.what, mutant.where), 'nobody knows why')}"
        print(f"{mutant.file}:{mutant.line}: {mutant.what}\n    {fate}")
    print(f"{len(every)} mutants, {len(left)} survive")
    return [mutant for mutant in left if (mutant.what, mutant.where) not in KNOWN]


if __name__ == "__main__":
    sys.exit(bool(survivors(show=True)))
