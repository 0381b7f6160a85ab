"""Every term, index, bound and selection of dual.h and second_order.cu is needed: without it a test fails."""

from __future__ import annotations

import pytest

from rnn_from_scratch.backends import emulator as emulated

from ..helpers.mutate_second_order import FILES, KNOWN, SELECTIONS, caught, every, unexplained
from ..helpers.planted_changes import left_out, out_of_date

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)

SOME = [  # for the quick tests: what a second order can lose without that the first one notices
    "x.d * y.v + x.v * y.d -> x.v * y.d",  # the tangent of the carry
    "tangent ? tangent[at] : 0 -> 0",  # that of biases and peepholes
]


def test_the_script_finds_what_there_is_to_break():
    dual, step = ([m for m in every() if m.file == file] for file in FILES)
    assert len(dual) > 20
    assert len(step) > 135
    assert out_of_date(FILES, SELECTIONS) == []
    assert set(KNOWN) <= {(m.what, m.where) for m in every()}


@pytest.mark.parametrize("file", FILES)
def test_no_line_with_a_choice_by_mask_scale_or_direction_is_left_out(file):
    assert left_out(file, every(), "is_live|live|on|dy_used|rev|zero_masked|scales?") == []


@pytest.mark.parametrize("what", SOME)
def test_some_mutants_are_caught(what):
    assert caught(next(m for m in every() if m.what == what))


@pytest.mark.check
def test_every_mutant_is_caught():
    left = unexplained()
    assert left == [], "\n".join(f"{m.file}:{m.line}: {m.what}" for m in left)
