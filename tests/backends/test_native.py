"""The native backend against the reference: every cell and situation, odd sizes, strides, fuzzed shapes; tapes; errors."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_from_scratch import backends, backward, cells, forward
from rnn_from_scratch.backends import native
from rnn_from_scratch.measure import EXACT, budget, compare, error
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem, solve

pytestmark = pytest.mark.skipif(not native.available()[0], reason=f"native: {native.available()[1]}")

FORMS = list(cells.forms())
SIZES = [  # B, T, I, H: rows and units below, at and above those of a tile; no rows
    (6, 7, 3, 5), (1, 3, 2, 150), (2, 4, 5, 31), (5, 2, 1, 16), (7, 3, 4, 17), (13, 2, 33, 15), (3, 1, 9, 1), (25, 2, 6, 40),
    (0, 3, 2, 4),
]  # fmt: skip


def tamed(p):
    """The same problem with weights small enough for many units: chaos and saturation would magnify every rounding."""
    small = {name: p.params[name] * p.x.dtype.type(min(1, 3 / len(p.params[name]) ** 0.5)) for name in ("Wx", "Wh")}
    return p._replace(params={**p.params, **small})


def budgets(cell, situation, sizes, seed=0):
    """The float64 truth, and what float32 may be off from it."""
    truth = solve(tamed(problem(cell, situation, "float64", sizes, seed)))
    own = solve(tamed(problem(cell, situation, "float32", sizes, seed)))
    return truth, {name: budget(name, error(own[name], truth[name])) for name in truth}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_in_every_situation(name, situation):
    truth, allowed = budgets(CELLS[name], situation, (7, 5, 3, 21))
    for dtype in ("float32", "float64"):
        limits = allowed if dtype == "float32" else dict.fromkeys(truth, EXACT)
        worst = compare(solve(tamed(problem(CELLS[name], situation, dtype, (7, 5, 3, 21))), "native"), truth, limits)
        assert worst[1] <= worst[2], (dtype, worst)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", FORMS)
def test_odd_sizes(name, sizes):
    for situation in ("plain", "any mask, reversed, zeroed", "scale per gate, any mask"):
        p = tamed(problem(CELLS[name], situation, "float64", sizes))
        truth = solve(p)
        worst = compare(solve(p, "native"), truth, dict.fromkeys(truth, EXACT))
        assert worst[1] <= worst[2], (situation, worst)


@pytest.mark.parametrize("name", FORMS)
def test_long_sums_stay_within_the_budget(name):
    """More rows than one block of a weight gradient's sum, more steps than one chunk of D."""
    truth, allowed = budgets(CELLS[name], "lengths", (90, 21, 4, 24))
    worst = compare(solve(tamed(problem(CELLS[name], "lengths", "float32", (90, 21, 4, 24))), "native"), truth, allowed)
    assert worst[1] <= worst[2], worst


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", FORMS)
def test_tapes_agree(name, situation):
    p = problem(CELLS[name], situation, "float64", (6, 7, 3, 19))
    tapes = {b: forward(p.cell, p.params, p.x, **p.options, backend=b)[2] for b in ("reference", "native")}
    assert tapes["native"].backend == "native"
    assert tapes["native"].nbytes == tapes["reference"].nbytes
    arrays = {b: {"saved": t.saved, **dict(zip(p.cell.states, t.states))} for b, t in tapes.items()}
    for key, truth in arrays["reference"].items():
        assert error(arrays["native"][key], truth) <= EXACT or truth.size == 0, key
    if p.options.get("mask") is not None:
        assert not tapes["native"].saved[~p.options["mask"]].any()
    crossed = native.backward(tapes["reference"], p.dy, p.dstate, ("x",)).x
    assert error(crossed, backward(tapes["reference"], p.dy, p.dstate).x) <= EXACT
    again = backward(tapes["native"], p.dy, p.dstate).x
    assert np.array_equal(again, backward(tapes["native"], p.dy, p.dstate).x)


@pytest.mark.parametrize("name", FORMS)
def test_nothing_saved_is_the_same_forward(name):
    p = problem(CELLS[name], "any mask", "float32", (6, 7, 3, 19))
    y, state, tape = forward(p.cell, p.params, p.x, **p.options, backend="native", save=False)
    y2, state2, _ = forward(p.cell, p.params, p.x, **p.options, backend="native")
    assert tape is None
    assert np.array_equal(y, y2)
    assert all(np.array_equal(a, b) for a, b in zip(state, state2))


@pytest.mark.parametrize("wrt", [("x",), ("params",), ("initial_state",)])
def test_only_what_was_asked_for(wrt):
    p = problem(CELLS["LSTM"], "one scale", "float64")
    _, _, tape = forward(p.cell, p.params, p.x, **p.options, backend="native")
    every, some = backward(tape, p.dy, p.dstate), backward(tape, p.dy, p.dstate, wrt=wrt)
    for name in ("x", "params", "initial_state"):
        a, b = getattr(some, name), getattr(every, name)
        if name not in wrt:
            assert a is None
        elif name == "params":
            assert all(np.array_equal(a[k], b[k]) for k in b)
        else:
            assert np.array_equal(np.stack(a), np.stack(b))


def test_outputs_are_aligned_contiguous_and_fresh():
    p = problem(CELLS["LSTM"], "plain", "float32", (3, 4, 5, 7))
    y, state, tape = forward(p.cell, p.params, p.x, backend="native")
    grads = backward(tape, p.dy)
    outputs = [y, *state, tape.saved, *tape.states, grads.x, *grads.params.values(), *grads.initial_state]
    for i, a in enumerate(outputs):
        assert a.ctypes.data % 64 == 0 and a.flags.c_contiguous and a.flags.writeable
        assert not any(np.shares_memory(a, b) for b in outputs[:i])


def views(rng, shape, dtype):
    """One array in many layouts: (name, view) with the same values."""
    base = rng.standard_normal(shape).astype(dtype)
    wide = np.zeros((shape[0] * 2, shape[1] + 3, shape[2] * 3), dtype)
    wide[::2, 2:-1, ::3] = base
    record = np.zeros(shape, np.dtype([("pad", "u1"), ("value", dtype)]))
    record["value"] = base
    locked = base.copy()
    locked.setflags(write=False)
    yield from {
        "contiguous": base,
        "read-only": locked,
        "fortran": np.asfortranarray(base),
        "time first": np.ascontiguousarray(base.transpose(1, 0, 2)).transpose(1, 0, 2),
        "every other": wide[::2, 2:-1, ::3],
        "reversed": np.ascontiguousarray(base[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
        "unaligned": record["value"],
    }.items()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_strides_of_x_and_dy(dtype):
    rng = np.random.default_rng(0)
    p = problem(CELLS["GRU reset after"], "reversed", dtype, (5, 6, 4, 18))
    y, _, tape = forward(p.cell, p.params, p.x, go_backwards=True, backend="native")
    grads = backward(tape, p.dy)
    results = []
    for (name, x), (_, dy) in zip(views(rng, p.x.shape, dtype), views(np.random.default_rng(1), p.dy.shape, dtype)):
        before = x.copy(), dy.copy()
        y, _, tape = forward(p.cell, p.params, x, go_backwards=True, backend="native")
        grads = backward(tape, dy)
        results.append((y, grads.x, *grads.params.values()))
        assert all(np.array_equal(a, b) for a, b in zip(results[0], results[-1])), name
        assert np.array_equal(x, before[0]) and np.array_equal(dy, before[1])
    constant = np.broadcast_to(p.x.dtype.type(0.5), p.x.shape)
    same = [forward(p.cell, p.params, x, backend="native")[0] for x in (constant, constant.copy())]
    assert np.array_equal(*same)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_fuzzed_shapes_and_strides(data):
    draw = data.draw
    cell = CELLS[draw(st.sampled_from(FORMS))]
    sizes = (draw(st.integers(0, 20)), draw(st.integers(1, 9)), draw(st.integers(1, 40)), draw(st.integers(1, 70)))
    p = tamed(problem(cell, draw(st.sampled_from(list(SITUATIONS))), "float64", sizes, seed=draw(st.integers(0, 99))))
    axes, signs = draw(st.permutations([0, 1, 2])), [draw(st.sampled_from([1, -1])) for _ in range(3)]
    flip = tuple(slice(None, None, s) for s in signs)
    x = np.ascontiguousarray(p.x.transpose(axes)[flip])[flip].transpose(np.argsort(axes))
    dy = np.ascontiguousarray(p.dy.transpose(axes)[flip])[flip].transpose(np.argsort(axes))
    truth = solve(p)
    with threads(draw(st.sampled_from([1, 2, 3, 5]))):
        worst = compare(solve(p._replace(x=x, dy=dy), "native"), truth, dict.fromkeys(truth, EXACT))
    assert worst[1] <= worst[2], worst


class threads:  # noqa: N801 - reads as `with threads(3):`
    """A number of threads for a while."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        backends.set_num_threads(self.count)

    def __exit__(self, *error):
        backends.set_num_threads(None)


def test_a_users_cell_runs_on_the_reference():
    class Mine(cells.LSTM):
        pass

    p = problem(Mine())
    name, reason = backends.choose(p.cell, p.params, p.x)
    assert name == "reference" and "Mine" in reason
    assert forward(p.cell, p.params, p.x)[2].backend == "reference"
    with pytest.raises(ValueError, match=r"backend: native runs SimpleRNN, .* of this package, got Mine; use backend='reference'"):
        forward(p.cell, p.params, p.x, backend="native")
    assert backends.choose(cells.LSTM(), p.params, p.x) == ("native", "NumPy arrays, and the native backend is usable")
    with pytest.raises(TypeError, match="complex128 runs on the reference"):
        forward(cells.LSTM(), {k: v.astype(complex) for k, v in p.params.items()}, p.x.astype(complex), backend="native")
