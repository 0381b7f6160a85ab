"""Stepper: step by step the same bits as forward, on memory of its own; what it refuses."""

import copy
import ctypes
import gc
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

from rnn_from_scratch import Stepper, backends, cells, forward, init_params
from rnn_from_scratch.verify.cases import CELLS, problem

BACKENDS = [name for name in ("reference", "native") if backends.available()[name][0]]
# B, T, I, H: one row; a few; many, of several tiles; units that threads share
SIZES = [(1, 5, 3, 7), (3, 4, 5, 21), (23, 3, 4, 37), (2, 4, 30, 200)]


@pytest.fixture(autouse=True)
def threads():
    yield
    backends.set_num_threads(None)


def chained(p, backend):
    """h [B,H] of every step: forward with T = 1, the state carried on by hand; and the last state."""
    state, found = p.options.get("initial_state"), []
    for t in range(p.x.shape[1]):
        y, state, _ = forward(p.cell, p.params, p.x[:, t : t + 1], state, save=False, backend=backend)
        found.append(y[:, 0])
    return found, state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_bits_as_forward(backend, name, dtype):
    for seed, sizes in enumerate(SIZES):
        p = problem(CELLS[name], "plain", dtype, sizes, seed)
        expected, final = chained(p, backend)
        for count in (1, 2, 3) if backend == "native" else (None,):
            backends.set_num_threads(count)
            stepper = Stepper(p.cell, p.params, sizes[0], backend=backend)
            if "initial_state" in p.options:
                stepper.restore(p.options["initial_state"])
            for t, h in enumerate(expected):
                assert np.array_equal(stepper.step(np.ascontiguousarray(p.x[:, t])), h), (sizes, count, t)
            assert all(map(np.array_equal, stepper.snapshot(), final))


def an_lstm(dtype="float32", batch=1, backend="auto", inputs=4, units=6):
    cell = cells.LSTM()
    return Stepper(cell, init_params(cell, inputs, units, dtype=dtype), batch, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_h_is_always_the_same_read_only_array(backend):
    stepper = an_lstm(batch=2, backend=backend)
    x_t = np.ones((2, 4), "float32")
    first = stepper.step(x_t)
    kept = first.copy()
    assert stepper.step(x_t) is first and not np.array_equal(first, kept)
    with pytest.raises(ValueError, match="read-only"):
        first[:] = 0
    assert np.array_equal(x_t, np.ones((2, 4)))


class Mallinfo2(ctypes.Structure):
    _fields_ = [("others", ctypes.c_size_t * 7), ("uordblks", ctypes.c_size_t), ("rest", ctypes.c_size_t * 2)]


mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
if mallinfo2:
    mallinfo2.restype = Mallinfo2


@pytest.mark.skipif("native" not in BACKENDS, reason="the native backend is not usable here")
@pytest.mark.parametrize("sizes", [(1, 64, 128), (3, 30, 200)], ids=str)
def test_a_step_allocates_nothing(sizes):
    B, I, H = sizes
    stepper, x_t = an_lstm(batch=B, backend="native", inputs=I, units=H), np.ones((B, I), "float32")
    stepper.step(x_t)
    gc.collect()
    tracemalloc.start()
    try:
        stepper.step(x_t)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(100):
            stepper.step(x_t)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200 and peak - before < 1000  # no array, only what Python needs to run the lines
    if mallinfo2:
        before = mallinfo2().uordblks  # bytes that the C library has given out
        for _ in range(100):
            stepper.step(x_t)
        assert mallinfo2().uordblks - before < 1000


@pytest.mark.skipif("native" not in BACKENDS, reason="the native backend is not usable here")
def test_its_memory_is_given_back():
    if not mallinfo2:
        pytest.skip("the C library does not tell what it has given out")

    def some():
        for _ in range(20):
            an_lstm(backend="native", inputs=64, units=128).step(np.ones((1, 64), "float32"))
        gc.collect()
        return mallinfo2().uordblks

    some()
    before = some()
    assert some() - before < 100_000  # one that stayed would keep 400,000 bytes of weights


@pytest.mark.parametrize("backend", BACKENDS)
def test_reset_snapshot_and_restore(backend):
    rng = np.random.default_rng(0)
    stepper, x = an_lstm("float64", 2, backend), rng.standard_normal((5, 2, 4))
    from_zeros = [stepper.step(x_t).copy() for x_t in x]
    stepper.reset()
    assert not any(s.any() for s in stepper.snapshot())
    assert np.array_equal(stepper.step(x[0]), from_zeros[0])
    kept = stepper.snapshot()
    assert len(kept) == 2 and np.array_equal(kept[0], from_zeros[0])
    for _ in range(2):
        assert np.array_equal(stepper.step(x[1]), from_zeros[1])
        stepper.restore(kept)
    assert np.array_equal(kept[0], from_zeros[0])  # a copy: no step moved it
    stepper.restore((None, kept[1]))
    assert not stepper.snapshot()[0].any() and np.array_equal(stepper.snapshot()[1], kept[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("x_t", "error", "message"),
    [
        ([[0.0] * 4] * 2, TypeError, "x_t: expected a NumPy array, got list"),
        (np.ones((2, 4)), TypeError, "x_t: expected float32, as the parameters are, got float64; use x_t.astype"),
        (np.ones((2, 4), ">f4"), TypeError, "x_t: expected float32, .* got >f4"),
        (np.ones((1, 4), "float32"), ValueError, r"x_t: expected \[B, I\] = \[2, 4\] for LSTM, got \[1, 4\]"),
        (np.ones((2, 1, 4), "float32"), ValueError, r"got \[2, 1, 4\]"),
        (np.ones(4, "float32"), ValueError, r"got \[4\]"),
        (np.ones((4, 2), "float32").T, ValueError, "x_t: expected a contiguous array, .*; use np.ascontiguousarray"),
        (np.ones((2, 8), "float32")[:, ::2], ValueError, "x_t: expected a contiguous array"),
    ],
)
def test_a_wrong_x_is_refused_and_moves_nothing(backend, x_t, error, message):
    stepper = an_lstm(batch=2, backend=backend)
    stepper.step(np.ones((2, 4), "float32"))
    before = stepper.snapshot()
    with pytest.raises(error, match=message):
        stepper.step(x_t)
    assert all(map(np.array_equal, before, stepper.snapshot()))


def test_what_it_cannot_be_made_of_is_refused():
    cell = cells.LSTM()
    params = init_params(cell, 4, 6)
    for batch in (0, -1, 1.0, True, "1"):
        with pytest.raises(ValueError, match="batch: expected an integer of at least 1"):
            Stepper(cell, params, batch)
    with pytest.raises(ValueError, match=r"params: expected exactly Wx, Wh, b for LSTM; missing b"):
        Stepper(cell, {name: params[name] for name in ("Wx", "Wh")}, 1)
    with pytest.raises(TypeError, match="params: expected a dict"):
        Stepper(cell, None, 1)
    with pytest.raises(TypeError, match="params: expected float32 or float64, got complex128"):
        Stepper(cell, {name: a.astype(complex) for name, a in params.items()}, 1)
    with pytest.raises(TypeError, match="Wh: expected float32, .* got float64"):
        Stepper(cell, {**params, "Wh": params["Wh"].astype("float64")}, 1)
    for backend in ("cuda", "emulated", "nobody"):
        with pytest.raises(ValueError, match=f"backend: .*{backend}"):
            Stepper(cell, params, 1, backend=backend)
    if backends.available()["emulated"][0]:
        with pytest.raises(ValueError, match="backend: a Stepper runs on native or reference, got 'emulated'"):
            Stepper(cell, params, 1, backend="emulated")


def test_a_wrong_state_is_refused_and_moves_nothing():
    stepper = an_lstm(batch=2)
    stepper.step(np.ones((2, 4), "float32"))
    before = stepper.snapshot()
    h, c = before
    wrong = (((h,), "expected a tuple of 2 arrays"), ((h, c[:1]), r"state c: expected \[B, H\]"), ((h * 0, c * 0.0j), "state c"))
    for state, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            stepper.restore(state)
        assert all(map(np.array_equal, before, stepper.snapshot()))
    for twice in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a Stepper cannot be copied or pickled"):
            twice(stepper)


def test_weights_are_read_once():
    for name, cell in CELLS.items():
        for backend in BACKENDS:
            params = init_params(cell, 4, 6)
            stepper = Stepper(cell, params, 1, backend=backend)
            expected, _, _ = forward(cell, params, np.ones((1, 1, 4), "float32"), save=False, backend=backend)
            for a in params.values():
                a += 1
            assert np.array_equal(stepper.step(np.ones((1, 4), "float32")), expected[:, 0]), (name, backend)


def test_a_cell_of_ones_own_runs_on_the_reference():
    class Mine(cells.SimpleRNN):
        pass

    cell = Mine()
    stepper = Stepper(cell, init_params(cell, 4, 6), 1)
    assert stepper.backend == "reference" and stepper.step(np.ones((1, 4), "float32")).any()
    if "native" in BACKENDS:
        assert an_lstm().backend == "native"
        with pytest.raises(ValueError, match="backend: native runs .*, got Mine"):
            Stepper(cell, init_params(cell, 4, 6), 1, backend="native")


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_steppers_at_once(backend):
    """Small ones, and ones whose units are divided among threads: each computes what it computes alone."""
    x_t = np.ones((2, 30), "float32")

    def run(units, steps=40):
        stepper = an_lstm(batch=2, backend=backend, inputs=30, units=units)
        for _ in range(steps):
            h = stepper.step(x_t)
        return h.copy()

    backends.set_num_threads(3)
    jobs = [20, 200] * 2
    expected, found = {units: run(units) for units in set(jobs)}, {}
    workers = [threading.Thread(target=lambda n=n, units=units: found.update({n: run(units)})) for n, units in enumerate(jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(found[n], expected[units]) for n, units in enumerate(jobs))
