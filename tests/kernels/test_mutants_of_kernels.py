"""Every barrier, index, bound and selection of prelude.h, step.cu and column_sum.cu is needed: without it a test fails."""

from __future__ import annotations

import pytest

from rnn_from_scratch.backends import emulator as emulated

from ..helpers.mutate_kernels import FILES, KNOWN, SELECTIONS, every, unexplained
from ..helpers.planted_changes import left_out, out_of_date

usable, why_not = emulated.available()


def test_the_script_finds_what_there_is_to_break():
    prelude, step, sums = ([m for m in every() if m.file == file] for file in FILES)
    assert len(prelude) > 3
    assert len(step) > 120
    assert len(sums) > 15
    assert out_of_date(FILES, SELECTIONS) == []
    assert [m.what for m in sums if "__syncthreads" in m.what] == ["__syncthreads(); -> ;"]


@pytest.mark.parametrize("file", FILES)
def test_no_line_with_a_barrier_or_a_choice_by_mask_scale_or_direction_is_left_out(file):
    """The patterns of the script name what is there now: a choice that a later change adds must be added to them."""
    assert left_out(file, every(), "is_live|live|on|dy_used|rev|zero_masked|scales?") == []


def test_known_survivors_are_in_the_text():
    assert set(KNOWN) <= {(m.what, m.where) for m in every()}


@pytest.mark.check
@pytest.mark.skipif(not usable, reason=why_not)
def test_every_mutant_is_caught():
    left = unexplained()
    assert left == [], "\n".join(f"{m.file}:{m.line}: {m.what}" for m in left)
