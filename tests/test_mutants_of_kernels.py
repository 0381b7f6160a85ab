"""Every barrier, index, bound and selection of step.cu and column_sum.cu is needed: without it a test fails."""

from __future__ import annotations

import re

import pytest

from rnn_from_scratch.backends import emulated, source

from .mutate_kernels import KNOWN, mutants, survivors

usable, why_not = emulated.available()
FILES = ("step.cu", "column_sum.cu")


def test_the_script_finds_what_there_is_to_break():
    step, sums = (list(mutants(file)) for file in FILES)
    assert len(step) > 120
    assert len(sums) > 15
    assert [m.what for m in sums if "__syncthreads" in m.what] == ["__syncthreads(); -> ;"]


NAMES = r"\b(is_live|live|on|heard|rev|zero_masked|scales?)\b"
CHOICE = r"(\?|&&|\|\||if \(|while \()"


@pytest.mark.parametrize("file", FILES)
def test_no_line_with_a_barrier_or_a_choice_by_mask_scale_or_direction_is_left_out(file):
    """The patterns of the script name what is there now: a choice that a later change adds must be added to them."""
    broken = {m.line for m in mutants(file)}
    text = (source.folder() / file).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(text, 1):
        if re.search(f"__syncthreads|{NAMES}.*{CHOICE}|{CHOICE}.*{NAMES}", line.partition("//")[0]):
            assert number in broken, f"{file}:{number}: {line.strip()}"


def test_known_survivors_are_in_the_text():
    there = {(m.what, m.where) for file in FILES for m in mutants(file)}
    assert set(KNOWN) <= there


@pytest.mark.check
@pytest.mark.skipif(not usable, reason=why_not)
def test_every_mutant_is_caught():
    left = survivors()
    assert left == [], "\n".join(f"{m.file}:{m.line}: {m.what}" for m in left)
