"""Every barrier, index, bound, selection and fragment of tensor_product.h is needed: without it a test fails."""

from __future__ import annotations

import re

import pytest

from rnn_from_scratch.backends import emulator as emulated

from ..helpers.mutate_tensor import FILE, KNOWN, SELECTIONS, caught, every, unexplained
from ..helpers.planted_changes import left_out, out_of_date

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)

SOME = [  # one of each kind, for the quick tests
    "if (lane != 5) multiply(sum[n], a, b);",
    "held[HELD && !turn ? (part",
    "who % 4 + 8 * (i % 2)",
    "mma_m16n8k8_tf32(small, a_high.v, b_low.v); -> nothing",
]


def test_the_script_finds_what_there_is_to_break():
    found = every()
    assert len(found) > 110 and sum(m.what == "__syncthreads(); -> ;" for m in found) == 3
    assert out_of_date((FILE,), SELECTIONS) == []
    assert left_out(FILE, found, "busy|inside") == []
    assert set(KNOWN) <= {(m.what, m.where) for m in found}


@pytest.mark.parametrize("what", SOME)
def test_some_mutants_are_caught(what):
    assert re.search("off by|divergent|deadlock|race|uninitialised", caught(next(m for m in every() if what in m.what)))


@pytest.mark.check
def test_every_mutant_is_caught():
    left, needless = unexplained()
    assert left == [], "\n".join(f"{m.file}:{m.line}: {m.what}" for m in left)
    assert needless == set(), "reasons for mutants that do not survive"
