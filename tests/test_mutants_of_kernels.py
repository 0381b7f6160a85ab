"""Every barrier, index, bound and selection of step.cu and column_sum.cu is needed: without it a test fails."""

from __future__ import annotations

import pytest

from rnn_from_scratch.backends import emulated

from .mutate_kernels import mutants, survivors

usable, why_not = emulated.available()

KNOWN = {  # what changes nothing, and why
    "!zero_masked && step >= first[b] -> !zero_masked && step > first[b]": "step first[b] is live, and live steps are heard anyway",
    "a -> 0": "phase 1 of the reset-before GRU reads z alone of what phase 0 put there, and z is gate 0",
}


def test_the_script_finds_what_there_is_to_break():
    step, sums = list(mutants("step.cu")), list(mutants("column_sum.cu"))
    assert len(step) > 120
    assert len(sums) > 15
    assert [m.what for m in sums if "__syncthreads" in m.what] == ["__syncthreads(); -> ;"]


@pytest.mark.check
@pytest.mark.skipif(not usable, reason=why_not)
def test_every_mutant_is_caught():
    left = [m for m in survivors() if m.what not in KNOWN]
    assert left == [], "\n".join(f"{m.file}:{m.line}: {m.what}" for m in left)
