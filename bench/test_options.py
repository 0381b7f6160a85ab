"""What an option costs: each call in turn with the plain call of the plain cell, in this process, and the ratio pair by pair."""

import time
from statistics import median

import pytest

from . import cases, parity

ROUNDS = 15


def rows():
    for option, (cell, plain, situation) in cases.OPTIONS.items():
        for shape in ("mnist", "mid"):
            for backend in cases.timed_backends():
                marks = [pytest.mark.smoke] if shape == "mnist" else []
                if shape == "mnist" and backend == cases.ours():
                    marks.append(pytest.mark.quick)
                yield pytest.param(cell, plain, situation, shape, backend, option, marks=marks, id=f"{backend}-{option}-{shape}")


@pytest.fixture
def right(cell, shape, situation, backend):
    parity.check(cell, shape, situation, backend)


@pytest.mark.parametrize(("cell", "plain", "situation", "shape", "backend", "option"), [*rows()])
def test_option(right, benchmark, describe, cell, plain, situation, shape, backend, option):
    run = cases.runner(cases.problem(cell, shape, situation), cases.TRAIN, backend)
    run_plain = cases.runner(cases.problem(plain, shape), cases.TRAIN, backend)
    without = []

    def plain_turn():
        began = time.perf_counter()
        run_plain()
        without.append(time.perf_counter() - began)

    benchmark.group = f"{option}, {shape}"
    benchmark.pedantic(run, setup=plain_turn, rounds=ROUNDS, warmup_rounds=1)
    if benchmark.enabled:
        ratio = median(b / a for a, b in zip(without[1:], benchmark.stats.stats.data, strict=True))
        more = {"option": option, "plain": plain, "plain_ms": median(without) * 1e3, "ratio": ratio}
        describe("option", backend, cell, shape, cases.TRAIN, **more)
