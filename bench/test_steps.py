"""One step of a stream: Stepper beside torch's single-step cells, in turn; the ratio is taken pair by pair."""

from functools import partial

import pytest

from . import cases, interleaved
from .interleaved import clock


def rows():
    for cell in cases.PLAIN:
        for shape in cases.STREAMS:
            marks = [pytest.mark.quick, pytest.mark.smoke] if shape == cases.STREAMS[0] else []
            yield pytest.param("torch", cell, shape, cases.STEP, marks=marks, id=f"torch-{cell}-{shape}-step")


@pytest.mark.benchmark(timer=clock)
@pytest.mark.parametrize(("impl", "cell", "shape", "what"), [*rows()])
def test_step(installed, benchmark, describe, seconds, rounds, turns, impl, cell, shape, what):
    job = (cell, shape, what)
    benchmark.group = f"{cell}, {shape}, one step, in turn"
    ours, theirs = (partial(interleaved.Waiting, name, job, seconds / turns) for name in (cases.ours(), impl))
    pairs = interleaved.in_turn(ours, theirs, rounds, turns)
    benchmark.pedantic(clock.play(pairs.theirs), rounds=rounds * turns)
    describe("peer", impl, cell, shape, what, ours=cases.ours(), **pairs.fields())
