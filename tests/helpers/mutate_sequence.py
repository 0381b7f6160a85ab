"""Breaks sequence.cu, sequence_backward.cu, row_group.h and product.h in one place at a time, and says what nobody noticed.

    python -m tests.helpers.mutate_sequence        # every barrier, index, bound and selection; about five minutes

A mutant is caught if the emulator reports a fault, or a result or the tape is off by more than 1e-12.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import numpy as np

from rnn_from_scratch import backends
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import gxx
from rnn_from_scratch.backends.gpu import sequence
from rnn_from_scratch.backends.gpu.planner import Tiles
from rnn_from_scratch.measure import EXACT, compare, error
from rnn_from_scratch.verify.cases import CELLS, problem, solve

from . import planted_changes
from .planted_changes import MASKS, Mutant, mutants, planted
from .sequence_cases import DESERTED, PATIENCE_IN_TESTS, SMALL, Broken, on_device

UNSET = "-ftrivial-auto-var-init=pattern"
FILES = ("sequence.cu", "sequence_backward.cu", "row_group.h", "product.h")
LOCAL = {"state", "bias", "bias_h", "extras", "kept", "last_output", "xgs", "hgs", "s_new", "s_prev", "ds_prev", "d", "ds_sum", "dps"}
LOCAL |= {"factor", "dy_step", "tapes", "on", "later", "dxgs", "dhgs", "dp_step", "sum", "h", "v", "held", "next"}
SELECTIONS = MASKS | {  # what is replaced by what
    # who waits for whom
    r"__syncthreads_or\(late\)": ["late"],
    r"lost = lost \|\| !all_arrived\([^;]*;": [";"],
    r"(?<=\s)arrive\(arrived [^;]*;": [";"],
    r"round \* BLOCKS": ["round * BLOCKS - 1", "(round - 1) * BLOCKS"],
    r"round \+ 1, failed": ["round, failed"],
    r"arrived \+ GROUP \* 32": ["arrived", "arrived + SLICE * 32"],
    r"add_release\(arrived, 1u\)": ["atomicAdd(arrived, 1u)", "if (SLICE) add_release(arrived, 1u)"],
    r"fence_acquire\(\);": [";"],
    r"round % 2": ["0"],
    r"\(round - 1\) % 2": ["0"],
    r"(?<=for \(int step = 0; step < T; step\+\+\) \{)": ["if (SLICE == 1 && step == 1) return;"],
    r"(?<=for \(int step = T - 1; step >= 0; step--\) \{)": ["if (GROUP == 1 && threadIdx.x == 3 && step == 0) return;"],
    # who gives up, and says so
    r"gridDim\.y != BLOCKS \|\|": [""],
    r"\|\| gridDim\.z \* ROWS < B": [""],
    r"if \((lost|late)\) \*failed = 1;": [";"],
    r"if \(lost\) return[^;]*;": [";"],
    r"if \(!lost\)": ["if (true)"],
    r"BLOCKS > 1 && threadIdx\.x == 0": ["BLOCKS > 1"],
    # who owns what
    r"GROUP \* ROWS": ["0", "GROUP * ROWS + 1"],
    r"SLICE \* OWN": ["0"],
    r"row < ROWS && b < B && j < H": ["b < B && j < H", "row < ROWS && j < H", "row < ROWS && b < B"],
    r"k < H && j < H \?": ["j < H ?", "k < H ?"],
    r"unit < H && j < H \?": ["j < H ?", "unit < H ?"],
    r"Cell::template FIRST<K> \+ part": ["Cell::template FIRST<K>", "part"],
    r"size_t\(g\) \* B": ["0"],
    r"PER_GATE \? G : 1\); g\+\+": ["1); g++"],
    r"if \(tapes\[k\]\)": ["if (true)"],
    r"if \(saved\)": ["if (true)", "if (false)"],
    r"\b(bx|bh) \?": ["true ?", "false ?"],
    r"\b(k < S|g < G|g < COUNT|e < E|a < A)\b(?=; \w\+\+)": [r"1 + \1"],
    r"int step = 0; step < T": ["int step = 1; step < T", "int step = 0; step + 1 < T"],
    r"int step = T - 1; step >= 0": ["int step = T - 2; step >= 0", "int step = T - 1; step > 0"],
    # masks, dropout
    r"K == 0 && on\[i\]\)": ["K == 0)"],
    r"if \(later\[i\]\)": ["if (true)", "if (step + 1 < T)"],
    r"zero_masked \? 0 :": ["", "true ? 0 :"],
    r"dy && dy_used \?": ["dy ?"],
    r"scales \?": ["false ?"],
    r"K == 0 && step > 0": ["step > 0", "K == LAST && step > 0"],
    # the product
    r"row < ROWS && begin \+ row < B && k < K": ["begin + row < B && k < K", "row < ROWS && k < K", "row < ROWS && begin + row < B"],
    r"if \(row < ROWS\)": ["if (true)"],
    r"number > 0": ["number > 1", "number < 1"],
    r"number < TILES": ["true", "number + 1 < TILES"],
    r"number\+\+;": [";"],
    r"number / OF_PART": ["0", "number"],
    r"number % CHUNKS": ["0", "number"],
    r"\(from \+ i\)": ["i"],
    r"from < LOADS": ["from + 1 < LOADS", "from < 0"],
    r"from \+= AT_ONCE": ["from += AT_ONCE + 1"],
    r"k >= KC \|\| at >= K": ["at >= K", "k >= KC"],
    r"layer < SPLIT && group < GROUPS": ["layer < SPLIT", "group < GROUPS"],
    r"if \(busy\)": ["if (true)"],
    r"column < COLUMNS \?": ["true ?"],
    r"layer < SPLIT && k < K \?": ["k < K ?"],
    r"CHUNKS > 1 \|\| pass == 0": ["pass == 0", "CHUNKS > 1"],
    r"layer = 0; layer < SPLIT": ["layer = 1; layer < SPLIT", "layer = 0; layer < SPLIT - 1"],
    r"m \* GROUPS": ["m"],
}

LOST = "whoever waits for a block that gave up waits in vain next, and all that follows is NaN"
ALL_OR_NONE = "a tape has all its states or none: whether the first is there says it for all"
KNOWN = {  # (what, where): what changes nothing, and why
    ("layer < SPLIT && k < K ? -> k < K ?", "held[i].v[c] = layer < SPLIT && k < K ? padded(i / 4 / TURNS, k, 4 * across + c) : 0;"): (
        "threads beyond the last layer would hold weights that they never use"
    ),
    ("on[i] ? -> true ?", "if constexpr (!Cell::SHARED) dhg[at] = dh = on[i] ? dhgs[g] : 0;"): (
        "a masked step has saved 0: with r = z = 0 every dhg of the GRU is 0"
    ),
    ("if (lost) return; -> ;", "if (lost) return;"): LOST,
    ("if (!lost) -> if (true)", "if (!lost) arrive(arrived + GROUP * 32);"): "a block that gave up has said so: the host raises",
    ("if (!lost) -> if (true)", "if (!lost) put_operand(&exchange[place], dh);"): LOST,
    ("if (!lost) -> if (true)", "if (!lost) product.run(exchange + (round - 1) % 2 * slot, LINE, tile, sums, GROUP * ROWS, B);"): LOST,
    ("BLOCKS > 1 && threadIdx.x == 0 -> BLOCKS > 1", "if (BLOCKS > 1 && threadIdx.x == 0) {"): "all threads look, where one would do",
    ("i -> 0", "d[i][S] = 0;"): "the operand's gradient, which no last phase reads",
    ("k -> 0", "if (tapes[k]) store(&tapes[k][(size_t(b) * (T + 1) + (rev ? T : 0)) * H + j], state[i][k]);"): ALL_OR_NONE,
    ("k -> 0", "if (tapes[k]) store(&tapes[k][(size_t(b) * (T + 1) + after) * H + j], state[i][k]);"): ALL_OR_NONE,
    ("if (on[i]) -> if (true)", "if (on[i]) dps[i][e] += dp_step[e];"): (
        "a masked step has saved 0: the derivatives of the gates are 0 there, and so is dp"
    ),
}
LIMIT = 3600  # seconds for all of them

# cell, situation, tiles, sizes B, T, I, H: several chunks, pairs, passes, row groups and slices, registers; what sees most first
RUNS = [
    ("PeepholeLSTM", "any mask, reversed, zeroed", Tiles(3, 16, 32, 4, False), (18, 3, 2, 5)),
    ("GRU reset before", "scale per gate, any mask", Tiles(2, 4, 32, 8, False), (6, 3, 2, 5)),
    ("GRU reset after", "one scale", Tiles(2, 4, 32, 64, True), (6, 3, 2, 5)),
    ("GRU reset before", "any mask", Tiles(3, 16, 32, 8, False), (18, 3, 2, 5)),
    ("LSTM", "scale per gate, reversed", Tiles(5, 32, 32, 4, False), (26, 2, 2, 5)),
    ("GRU reset after", "any mask", Tiles(3, 56, 32, 20, False), (58, 2, 2, 5)),  # a thread brings nine groups of four, four at once
    ("SimpleRNN", "lengths", Tiles(2, 1, 32, 8, False), (4, 3, 2, 5)),
    ("LSTM", "lengths", Tiles(3, 4, 32, 8, False), (5, 3, 2, 11)),  # the last chunk of k is half full
    ("LSTM", "any mask", Tiles(12, 6, 32, 4, False), (8, 2, 2, 12)),  # two passes over three groups of rows, chunks in each
]


def check(name: str, situation: str, tiles: Tiles, sizes: tuple) -> None:
    p = problem(CELLS[name], situation, sizes=sizes)
    truth = solve(p)
    ours, tape = on_device(p, emulated.EmulatedDevice(tiles=tiles))
    worst, e, _ = compare(ours, truth, dict.fromkeys(truth, EXACT))
    assert e <= EXACT, f"{name}, {situation}: {worst} is off by {e:.1g}"
    _, _, own = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
    for a, b in zip((*tape.states, tape.saved), (*own.states, own.saved)):
        assert error(a, b) <= EXACT, f"{name}, {situation}: the tape is off"


def check_dead_row(name: str, situation: str, tiles: Tiles, sizes: tuple) -> None:
    """No parameter reaches a row without a live step, whatever it is."""
    p = problem(CELLS[name], situation, sizes=sizes)
    p.options["mask"] = np.arange(sizes[0])[:, None] % 2 == np.zeros(sizes[1], int)
    p.params["Wh"][...] = np.inf
    with np.errstate(invalid="ignore"):
        found = on_device(p, emulated.EmulatedDevice(tiles=tiles))[0]["dh0"][1::2]
    assert np.array_equal(found, p.dstate[0][1::2]), f"{name}: a dead row has seen Wh"


def check_giving_up(name: str) -> None:
    """A block that waits in vain says so, and its results are NaN; and so does at once one that finds others missing."""
    p = problem(CELLS["GRU reset before"], "scale per gate, any mask", sizes=(6, 3, 2, 5))
    for device in (Broken(name, SMALL, *DESERTED), Broken(name, grid=(1, 2, 2)), Broken(name, grid=(1, 3, 1))):
        patience = sequence.PATIENCE if device.grid else PATIENCE_IN_TESTS
        with patch.object(sequence, "PATIENCE", patience), patch.object(emulated.EmulatedDevice, "check", lambda self: None):
            found = on_device(p, device)[0]
        assert device.failed[0] == 1, f"{name}: nobody says that blocks are missing"
        assert np.isnan(found["dh0"][:4]).any(1).all(), f"{name}: a launch that failed has results"


def check_nothing_kept() -> None:
    """Without a tape and without biases."""
    p = problem(CELLS["PeepholeLSTM relu, no bias"], "any mask", sizes=(6, 3, 2, 5))
    y, device = solve(p)["y"], emulated.EmulatedDevice(tiles=SMALL)
    with patch.object(emulated, "EmulatedDevice", lambda: device):
        ours = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", save=False)
    assert error(ours[0], y) <= EXACT, "without a tape: y is off"


CHECKS = [partial(check, *run) for run in RUNS]
CHECKS += [partial(check_dead_row, *RUNS[0]), check_nothing_kept, partial(check_giving_up, "forward"), partial(check_giving_up, "backward")]
SOONER = {r"lost|late|gridDim": CHECKS[-2:], r"saved|tapes|b[xh] \?": [check_nothing_kept]}  # what a mutant is -> what sees it


def check_all(what: str = "") -> None:
    """Raises AssertionError or EmulatorError if something is wrong. what: has been broken, to look there first."""
    for first in [c for pattern, checks in SOONER.items() if re.search(pattern, what) for c in checks]:
        first()
    for each in CHECKS:
        each()


@contextmanager
def nothing_is_zero_by_luck() -> Iterator[None]:
    """Local variables that nobody sets hold -1.7e38 in place of what was on the stack, where g++ can do that (12 and later)."""
    kept = list(gxx.KERNELS)
    if subprocess.run(["g++", UNSET, "-x", "c++", "-fsyntax-only", "/dev/null"], capture_output=True, check=False).returncode == 0:
        gxx.KERNELS.append(UNSET)
    try:
        yield
    finally:
        gxx.KERNELS[:] = kept


def every() -> list[Mutant]:
    return [mutant for file in FILES for mutant in mutants(file, SELECTIONS, LOCAL)]


def caught(mutant: Mutant) -> str:
    """How the mutant was noticed; "" if it was not."""
    try:
        with nothing_is_zero_by_luck(), planted(mutant, (sequence, "sequence_text")):
            check_all(mutant.what)
    except (gxx.EmulatorError, AssertionError) as report:
        return "" if str(report).startswith("g++ refused") else str(report)
    return ""


def unexplained() -> tuple[list[Mutant], set[tuple[str, str]]]:
    """The mutants that nobody noticed and KNOWN does not explain; and what KNOWN explains without need."""
    with nothing_is_zero_by_luck():
        check_all()  # unbroken, all is well
    return planted_changes.unexplained(every(), caught, KNOWN, LIMIT)


if __name__ == "__main__":
    sys.exit(any(unexplained()))
