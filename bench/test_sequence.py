"""Every case of the table on every backend, in this process; not timed unless it is right."""

import pytest

from . import cases, parity

SMOKE = 5e9  # floating point operations of forward + backward


def rows():
    for shape, at in cases.SHAPES.items():
        for cell in at.cells:
            for backend in cases.timed_backends():
                for what in cases.PASSES:
                    marks = []
                    if shape in cases.QUICK_SHAPES and cell in cases.PLAIN and what != "forward":
                        marks.append(pytest.mark.quick)
                    if cases.flops(cell, shape, cases.TRAIN) < SMOKE or (shape == "mid" and cell == "LSTM"):
                        marks.append(pytest.mark.smoke)
                    yield pytest.param(cell, shape, what, backend, marks=marks, id=f"{backend}-{cell}-{shape}-{what}")


@pytest.fixture
def right(cell, shape, backend):
    """Outputs, states and gradients are those of the reference in float64."""
    parity.check(cell, shape, "plain", backend)


@pytest.mark.benchmark(warmup=True, warmup_iterations=1)
@pytest.mark.parametrize(("cell", "shape", "what", "backend"), [*rows()])
def test_sequence(right, benchmark, describe, cell, shape, what, backend):
    benchmark.group = f"{cell}, {shape}, {what}"
    benchmark(cases.runner(cases.problem(cell, shape), what, backend))
    describe("sequence", backend, cell, shape, what)
