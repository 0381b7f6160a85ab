"""What a variant costs: each call in turn with the plain call of the plain cell, in this process, and the ratio pair by pair."""

import time
from statistics import median

import pytest

from . import cases, parity, steady

ROUNDS = 15
QUICK = {"peephole", "reset before", "LSTM any mask", "LSTM dropout"}


def rows():
    for variant, (cell, plain, situation) in cases.VARIANTS.items():
        for shape in ("mnist", "mid"):
            for backend in cases.timed_backends():
                marks = [pytest.mark.smoke] if shape == "mnist" else []
                if shape == "mnist" and backend == cases.ours() and variant in QUICK:
                    marks.append(pytest.mark.quick)
                yield pytest.param(cell, plain, situation, shape, backend, variant, marks=marks, id=f"{backend}-{variant}-{shape}")


@pytest.fixture
def right(cell, shape, situation, backend):
    parity.check(cell, shape, situation, backend)


@pytest.mark.parametrize(("cell", "plain", "situation", "shape", "backend", "variant"), [*rows()])
def test_variant(right, benchmark, describe, cell, plain, situation, shape, backend, variant):
    run = cases.runner(cases.problem(cell, shape, situation), cases.TRAIN, backend)
    run_plain = cases.runner(cases.problem(plain, shape), cases.TRAIN, backend)
    without, watch = [], steady.Watch()

    def plain_turn():
        began = time.perf_counter()
        run_plain()
        without.append(time.perf_counter() - began)

    benchmark.group = f"{variant}, {shape}"
    benchmark.pedantic(run, setup=plain_turn, rounds=ROUNDS, warmup_rounds=1)
    if benchmark.enabled:
        ratios = [b / a for a, b in zip(without[1:], benchmark.stats.stats.data, strict=True)]
        more = {"variant": variant, "plain": plain, "plain_ms": median(without) * 1e3, "ratio": median(ratios)}
        more.update(steady.verdict_fields(steady.spread_of_ratios(ratios), watch.waited()))
        describe("variant", backend, cell, shape, cases.TRAIN, **more)
