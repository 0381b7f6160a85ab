"""Every barrier, index, bound and selection of the files of the sequence tier is needed: without it a test fails."""

from __future__ import annotations

import pytest

from rnn_from_scratch.backends import emulator as emulated

from ..helpers.mutate_sequence import FILES, KNOWN, SELECTIONS, caught, every, unexplained
from ..helpers.planted_changes import left_out, out_of_date

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)

SOME = [  # one of each kind, for the quick tests
    "round * BLOCKS -> round * BLOCKS - 1",  # a barrier one block short
    "arrived + GROUP * 32 -> arrived",  # a row group that listens to another one
    " -> if (SLICE == 1 && step == 1) return;",  # a block that leaves early
    "__syncthreads_or(late) -> late",
    "lost = lost || !all_arrived(arrived + GROUP * 32, round, failed); -> ;",
    "on[i] ? -> true ?",
]


def test_the_script_finds_what_there_is_to_break():
    found = every()
    assert len(found) > 190
    assert [m.file for m in found if m.what == "__syncthreads(); -> ;"] == ["row_group.h"] + ["product.h"] * 3
    assert out_of_date(FILES, SELECTIONS) == []
    assert set(KNOWN) <= {(m.what, m.where) for m in found}


@pytest.mark.parametrize("file", FILES)
def test_no_barrier_and_no_choice_by_mask_direction_scale_or_failure_is_left_out(file):
    names = r"lost|late|failed|arrive|all_arrived|is_live|live|on|later|dy_used|dy_step|dy|rev|zero_masked|scales|saved|tapes|bx|bh|busy"
    names += "|inside"
    assert left_out(file, every(), names) == []


@pytest.mark.parametrize("what", SOME)
def test_some_mutants_are_caught(what):
    assert caught(next(m for m in every() if m.what == what))


@pytest.mark.check
def test_every_mutant_is_caught():
    left, needless = unexplained()
    assert left == [], "\n".join(f"{m.file}:{m.line}: {m.what}" for m in left)
    assert needless == set(), "reasons for mutants that do not survive"
