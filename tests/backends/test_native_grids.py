"""More threads than cores: rows, units or both divided among up to 16 threads give the bits of one, and no thread waits for ever."""

import numpy as np
import pytest

from rnn_from_scratch import backends, backward_vjp, cells, jvp
from rnn_from_scratch.backends import native
from rnn_from_scratch.verify.cases import CELLS, problem, solve

from ..helpers.second_order import direction, flat, taped
from .test_native_threads import run_python, small

pytestmark = pytest.mark.skipif(not native.available()[0], reason=f"native: {native.available()[1]}")

FORMS = list(cells.forms())
# what is divided -> B, T, I, H; of several the first for which the kernels divide it so, which the caches of a machine decide
SHAPES = {
    "rows": [(256, 37, 43, 8)],
    "units": [(1, 17, 40, 470)],
    "rows and units": [(20, 5, 6, 200), (30, 6, 7, 130), (11, 5, 6, 310)],
}
RUNS = [  # situation, dtype, options of forward
    ("plain", "float32", {}),
    ("scale per gate, any mask", "float32", {}),
    ("any mask, reversed", "float64", {"recompute_every": 3}),
    ("any mask", "float32", {"precision": "bfloat16"}),
]


@pytest.fixture(autouse=True)
def default_threads():
    yield
    backends.set_num_threads(None)


def divided(p, precision=None):
    """What the threads divide: one of SHAPES, or nothing."""
    rows, units = native.parts(p.cell, p.params, p.x, *p.x.shape[:2], precision)
    return " and ".join(what for what, n in (("rows", rows), ("units", units)) if n > 1)


def divided_so(what, name, situation, dtype, precision=None, threads=16):
    """A problem that so many threads divide so."""
    backends.set_num_threads(threads)
    found = (small(problem(CELLS[name], situation, dtype, sizes)) for sizes in SHAPES[what])
    return next(p for p in found if divided(p, precision) == what)


def assert_same(found, first):
    assert list(found) == list(first)
    for key, value in first.items():
        assert np.isfinite(value).all() and np.array_equal(found[key], value), key


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.parametrize("name", FORMS)
def test_the_same_bits_on_every_kind_of_grid(name, what):
    for situation, dtype, options in RUNS:
        precision = options.get("precision")
        if precision and not backends.rounds(precision, "native"):
            continue
        p = divided_so(what, name, situation, dtype, precision)
        results = []
        for threads in (1, 7, 16):
            backends.set_num_threads(threads)
            results.append(solve(p, "native", **options))
        for other in results[1:]:
            assert_same(other, results[0])


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.parametrize("name", FORMS)
def test_second_order_has_the_same_bits_on_every_kind_of_grid(name, what):
    p = divided_so(what, name, "any mask", "float32")
    v, results = direction(p), []
    for threads in (1, 6, 16):
        backends.set_num_threads(threads)
        tape = taped(p, "native")
        tangents = flat(jvp(tape, v.x, v.params, v.initial_state))
        results.append({**tangents, **flat(backward_vjp(tape, p.dy, p.dstate, v))})
    for other in results[1:]:
        assert_same(other, results[0])


MANY = """
import threading
import numpy as np
from tests.backends.test_native_grids import SHAPES, backends, divided_so, solve
problems = [divided_so(what, name, "any mask", "float32") for what in SHAPES for name in ("LSTM", "GRU reset before")]
backends.set_num_threads(1)
first = [solve(p, "native") for p in problems]
backends.set_num_threads(16)
right = []
def call(k):
    for i in (*range(k, len(problems)), *range(k)):
        got = solve(problems[i], "native")
        right.append(all(np.array_equal(got[key], value) for key, value in first[i].items()))
callers = [threading.Thread(target=call, args=(k,)) for k in range(4)]
for caller in callers: caller.start()
for caller in callers: caller.join()
print(len(right), all(right))
"""


def test_four_callers_with_sixteen_threads_each_come_to_an_end():
    done = run_python(MANY)
    assert (done.returncode, done.stdout) == (0, "24 True\n"), done.stderr

