"""Every barrier, index, bound and selection of sequence.cu, row_group.h and product.h is needed: without it a test fails."""

from __future__ import annotations

import pytest

from rnn_from_scratch.backends import emulated

from .mutate_sequence import FILES, LOCAL, SELECTIONS, caught, mutants, survivors

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)

KNOWN = {  # (what, where): what changes nothing, and why
    ("layer < SPLIT && k < K ? -> k < K ?", "held[i].v[c] = layer < SPLIT && k < K ? padded(i / 4 / TURNS, k, 4 * across + c) : 0;"): (
        "threads beyond the last layer would hold weights that they never use"
    ),
    ("on[i] ? -> true ?", "if constexpr (!Cell::SHARED) dhg[at] = dh = on[i] ? dhgs[g] : 0;"): (
        "a masked step has saved 0: with r = z = 0 every dhg of the GRU is 0"
    ),
    ("i -> 0", "d[i][S] = 0;"): "the operand's gradient, which no last phase reads",
    ("if (on[i]) -> if (true)", "if (on[i]) dps[i][e] += dp_step[e];"): (
        "a masked step has saved 0: the slopes of the gates are 0 there, and so is dp"
    ),
}
SOME = [  # one of each kind, for the quick tests
    "round * BLOCKS -> round * BLOCKS - 1",  # a barrier one block short
    "arrived + GROUP * 32 -> arrived",  # a row group that listens to another one
    " -> if (SLICE == 1 && step == 1) return;",  # a block that leaves early
    "__syncthreads_or(late) -> late",
    "lost = lost || !meet(arrived + GROUP * 32, round, failed); -> ;",
    "on ? -> true ?",
]


def every():
    return [mutant for file in FILES for mutant in mutants(file, SELECTIONS, LOCAL)]


def test_the_script_finds_what_there_is_to_break():
    found = every()
    assert len(found) > 190
    assert [m.file for m in found if m.what == "__syncthreads(); -> ;"] == ["row_group.h"] + ["product.h"] * 3
    for pattern in SELECTIONS:  # none of them is out of date
        assert any(mutants(file, {pattern: [""]}, set()) for file in FILES), pattern


@pytest.mark.parametrize("what", SOME)
def test_some_mutants_are_caught(what):
    assert caught(next(m for m in every() if m.what == what))


@pytest.mark.check
def test_every_mutant_is_caught():
    left = {(m.what, m.where): f"{m.file}:{m.line}: {m.what}" for m in survivors()}
    assert set(left) - set(KNOWN) == set(), "\n".join(left.values())
    assert set(KNOWN) - set(left) == set(), "reasons for mutants that do not survive"
