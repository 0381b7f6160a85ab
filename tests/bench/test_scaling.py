"""bench.scaling: the model in Python is the one by which the kernels choose; its page, what it measures, and what it fits."""

import re
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from bench import scaling
from bench.scaling import CASES, Timed, expected, fitted
from bench.scaling_model import MEASURED, Costs, Machine, Work, grid, seconds
from rnn_from_scratch import backends, cells
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import loader

from ..conftest import ROOT

needs_native = pytest.mark.skipif(not native.available()[0], reason=f"native: {native.available()[1]}")
FORMS = cells.forms()
COSTS = Costs.written()


@pytest.fixture(autouse=True)
def default_threads():
    yield
    backends.set_num_threads(None)


def arrays(cell, I, H, dtype):
    """Weights and x of which only the shapes count."""
    G = len(cell.gates)
    return {"Wx": np.zeros((I, G * H), dtype), "Wh": np.zeros((H, G * H), dtype)}, np.zeros((1, 1, I), dtype)


SHAPES = list(product((1, 3, 20, 64, 500), (1, 30, 300), (1, 64, 300), (5, 33, 128, 430, 1024)))


@needs_native
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU reset before"])
def test_the_kernels_divide_as_the_model_says(name):
    cell, machine, kinds = FORMS[name], Machine.here(), set()
    instructions = native.bfloat16()
    choices = [("float32", ""), ("float64", ""), *([("float32", instructions)] if instructions else [])]
    for dtype, how in choices:
        for (B, T, I, H), threads in product(SHAPES, (1, 2, 3, 8, 16, 61)):
            backends.set_num_threads(threads)
            found = native.parts(cell, *arrays(cell, I, H, dtype), B, T, "bfloat16" if how else None)
            work = Work(cell, (B, T, I, H), machine, COSTS, np.dtype(dtype).itemsize, how)
            chosen = grid(work, threads)
            # a compiler may round a sum of products once where Python rounds twice: then equal costs differ
            alike = threads > 2 and work.call(*found) == pytest.approx(work.call(*chosen), rel=1e-12)
            assert found == chosen or alike, (dtype, how, B, T, I, H, threads, found, chosen)
            kinds.add((found[0] > 1, found[1] > 1))
    assert len(kinds) == 4


# For an LSTM in float32, T = 20, I = 64: H -> what two threads divide for B = 1, 3, 4, 20, 31, 32: rows, units or nothing
IN_TWO = {7: "---rrr", 16: "--rrrr", 64: "--rrrr", 128: "uurrrr", 430: "uuuuur", 1024: "uuuuur"}


@needs_native
def test_one_and_two_threads_divide_by_the_rules_that_were_measured():
    for H, letters in IN_TWO.items():
        given = arrays(FORMS["LSTM"], 64, H, "float32")
        for B, letter in zip((1, 3, 4, 20, 31, 32), letters, strict=True):
            for threads in (1, 2):
                backends.set_num_threads(threads)
                expected = {"r": (2, 1), "u": (1, 2), "-": (1, 1)}[letter] if threads == 2 else (1, 1)
                assert native.parts(FORMS["LSTM"], *given, B, 20) == expected, (B, H, threads)


def test_more_threads_never_cost_more_by_the_model():
    for cell, sizes in CASES.values():
        work = Work(cell, sizes, MEASURED, COSTS)
        costs = [work.call(*grid(work, threads)) for threads in range(3, 65)]
        assert all(np.isfinite(costs)) and all(b <= a * 1.01 for a, b in pairwise(costs)), (cell, sizes)


def test_the_constants_can_be_written_where_they_are_read():
    text = (loader.KERNELS / "native/cost.h").read_text(encoding="utf-8")
    assert len(COSTS.lines().splitlines()) == len(COSTS) == text.count("constexpr double ")
    for line in COSTS.lines().splitlines():
        assert line in text


def test_the_guide_has_the_prediction_of_the_constants_as_they_are():
    guide = (Path(ROOT) / "bench/README.md").read_text(encoding="utf-8")
    assert f"<!-- scaling: begin -->\n{scaling.page()}\n<!-- scaling: end -->" in guide
    assert "a prediction" in guide


def synthetic(costs, threads=(1, 2, 4, 16)):
    """What a machine with these constants would measure."""
    return [
        Timed(case, training, n, expected(Timed(case, training, n, 0), costs, MEASURED))
        for case, training, n in product(CASES, (False, True), threads)
    ]


def test_the_constants_of_another_machine_are_found():
    other = COSTS._replace(multiply=0.35, near=60.0, far=12.0, barrier=900.0, arrival=150.0, each_step=700.0)
    found = fitted(synthetic(other), COSTS, MEASURED)
    for name in ("multiply", "far"):
        assert getattr(found, name) == pytest.approx(getattr(other, name), rel=0.15), name
    assert scaling.distance(synthetic(other), found, MEASURED) < 1.05 < 1.2 < scaling.distance(synthetic(other), COSTS, MEASURED)
    # of words nothing was measured
    assert found[1:3] == COSTS[1:3]


@needs_native
def test_what_is_measured_stands_beside_what_was_predicted(monkeypatch):
    monkeypatch.setattr(scaling, "SECONDS", 0)
    monkeypatch.setattr(scaling, "CASES", {"GRU 3,4,5,6": (cells.GRU(), (3, 4, 5, 6))})
    table, fit = scaling.measured([1, 2], scaling.CASES)
    rows = [line for line in table.splitlines() if line.startswith("| GRU")]
    each = r" \| [\d.e-]+, [\d.e-]+ ms \(1 x 1: \d+\.\d\d\)"
    assert len(rows) == 2 and "| one thread | 2 threads |" in table
    for row, done in zip(rows, ("inference", "training"), strict=True):
        assert re.fullmatch(rf"\| GRU 3,4,5,6 \| {done}{each}{each} \|", row), row
    assert fit.count("constexpr double") == len(COSTS) and "Of more than two threads this machine can tell nothing" in fit
    assert "can tell nothing" not in scaling.measured([1, 3], scaling.CASES)[1]
    assert backends.num_threads() == native.threads.default_threads()


def test_threads_go_up_by_factors_of_two_to_the_cores():
    assert [scaling.powers(n) for n in (1, 2, 6, 64)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8, 16, 32, 64]]


def test_a_call_is_never_faster_than_its_products():
    for cell, (B, T, I, H) in CASES.values():
        work = Work(cell, (B, T, I, H), MEASURED, COSTS)
        least = B * T * len(cell.gates) * H * (I + H) / 16 * COSTS.multiply / 1e9
        for threads in (1, 2, 4, 64):
            assert seconds(work, threads, False) > least / threads and seconds(work, threads, True) > 2 * least / threads
