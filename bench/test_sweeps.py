"""Time against T, B and H, and memory against T. All points of a curve come from one process of their own."""

import pytest

from . import cases, interleaved, steady
from .interleaved import clock

QUICK = [*cases.timed_backends(), "gemm", "torch"]
CURVES = [*QUICK, "keras"]
SMOKE = 10  # steps


def rows():
    for cell in ("LSTM", "GRU"):
        for axis, points in cases.SWEEPS.items():
            for impl in CURVES:
                for at in points:
                    marks = [pytest.mark.quick] * (cell == "LSTM" and impl in QUICK and at in cases.QUICK_SWEEPS[axis])
                    smoke = cell == "LSTM" and impl in cases.timed_backends() and axis == "T" and at == SMOKE
                    marks += [pytest.mark.smoke] * smoke
                    yield pytest.param(impl, cell, axis, at, marks=marks, id=f"{impl}-{cell}-{axis}-{at}")


@pytest.fixture
def curve(request, cell, axis):
    """Point -> job along an axis; fewer points in quick mode, one where nothing is timed."""
    points = {at: (cell, ",".join(map(str, shape)), cases.TRAIN) for at, shape in cases.SWEEPS[axis].items()}
    if request.config.getoption("benchmark_disable"):
        return {SMOKE: points[SMOKE]}
    return {at: points[at] for at in cases.QUICK_SWEEPS[axis]} if request.config.getoption("quick") else points


@pytest.mark.benchmark(timer=clock)
@pytest.mark.parametrize(("impl", "cell", "axis", "at"), [*rows()])
def test_sweep(installed, benchmark, describe, seconds, curve, impl, cell, axis, at):
    jobs = tuple(curve.values())

    found = interleaved.together(impl, jobs, seconds)[curve[at]]
    benchmark.group = f"{cell} against {axis}"
    benchmark.pedantic(clock.play([found["ms"]]))
    more = steady.verdict_fields(found["ms"] / found["min_ms"] - 1, found["waited"])
    if axis == "T" and impl != "gemm":
        more |= {**interleaved.together(impl, jobs, 0.0, memory=True)[curve[at]], "tape_bytes": cases.tape_bytes(*curve[at][:2])}
    describe("sweep", impl, *curve[at], axis=axis, at=at, **more)
