"""precision="bfloat16": rounding, the budget beside the reference with the same roundings, exact whole numbers, bits, refusals."""

import numpy as np
import pytest

from rnn_from_scratch import backends, backward, backward_vjp, cells, doctor, forward, init_params, jvp
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import loader
from rnn_from_scratch.bptt import Gradients
from rnn_from_scratch.measure import FLOOR
from rnn_from_scratch.rounding import rounded
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, cast, problem, rows_mask, solve

ROUNDED = {"precision": "bfloat16"}
FORMS = list(cells.forms())
SIZES = [  # B, T, I, H: below, at and beyond the tiles of 16 and 32 rows, the words of 32 values, the panels of 64 units
    (1, 1, 1, 1), (1, 13, 33, 70), (2, 4, 65, 33), (3, 2, 1, 150), (7, 5, 3, 21), (17, 3, 32, 32), (31, 2, 31, 65), (50, 6, 64, 128),
    (97, 7, 2, 16), (0, 3, 2, 4),
]  # fmt: skip


@pytest.fixture(params=["avx512", "amx"])
def instructions(request, monkeypatch):
    """The native backend with these instructions, where the machine has them."""
    if not native.available()[0]:
        pytest.skip(f"native: {native.available()[1]}")
    best = loader.library().rnn_best_precision()
    if request.param not in loader.BFLOAT16[: best + 1]:
        pytest.skip(f"{request.param}: {native.lacks('bfloat16') or 'this processor has AVX512-BF16 alone'}")
    monkeypatch.setenv("RNN_NATIVE_BFLOAT16", request.param)
    loader.bfloat16.cache_clear()
    yield request.param
    loader.bfloat16.cache_clear()
    backends.set_num_threads(None)


def tamed(p):
    """The same problem with weights small enough that a rounding is not magnified from step to step."""
    small = {name: p.params[name] * np.float32(min(0.5, 3 / len(p.params[name]) ** 0.5)) for name in ("Wx", "Wh")}
    return p._replace(params={**p.params, **small})


def distance(a, truth):
    """|a - truth| / |truth|, over all elements: one ulp of difference before a rounding turns a single element by a whole bfloat16."""
    assert a.shape == truth.shape and np.isfinite(a).all()
    scale = np.linalg.norm(truth)
    return np.linalg.norm(a - truth) / scale if scale else float(a.any())


def assert_within_budget(p, told):
    truth, same, ours = solve(cast(p, "float64")), solve(p, **ROUNDED), solve(p, "native", **ROUNDED)
    for name, exact in truth.items():
        if exact.size:
            allowed = (3 if name.startswith("d") else 2) * distance(same[name], exact) + FLOOR
            assert distance(ours[name], exact) <= allowed, (told, name, distance(ours[name], exact), allowed)
    return truth, ours


def test_numbers_are_rounded_as_ml_dtypes_rounds_them():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for seed in range(5):
        bits = np.random.default_rng(seed).integers(0, 2**32, 20_000, dtype="uint32")
        bits[::7] = bits[::7] & 0xFFFF0000 | 0x8000  # halfway between two
        a = bits.view("float32")
        with np.errstate(invalid="ignore"):
            expected = a.astype(bfloat16).astype("float32")
        assert np.array_equal(rounded(a, "bfloat16"), expected, equal_nan=True)
    special = np.array([0.0, -0.0, np.inf, -np.inf, 3.4e38, np.nan, 1.00390625], "float32")
    assert np.array_equal(rounded(special, "bfloat16"), special.astype(bfloat16).astype("float32"), equal_nan=True)
    assert rounded(special, None) is special


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_in_every_situation(name, instructions):
    for seed, situation in enumerate(SITUATIONS):
        assert_within_budget(tamed(problem(CELLS[name], situation, "float32", (7, 5, 3, 21), seed)), situation)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", FORMS)
def test_odd_sizes(name, sizes, instructions):
    for situation in ("plain", "scale per gate, any mask"):
        assert_within_budget(tamed(problem(CELLS[name], situation, "float32", sizes)), situation)


@pytest.mark.parametrize("name", FORMS)
def test_the_reference_really_rounds(name):
    p = tamed(problem(CELLS[name], "scale per gate, any mask", "float32", (7, 5, 33, 21)))
    truth, same, plain = solve(cast(p, "float64")), solve(p, **ROUNDED), solve(p)
    for key, exact in truth.items():
        assert 1e-4 < distance(same[key], exact) < 0.1 and distance(plain[key], exact) < 1e-5, key


def whole_numbers(sizes, seed):
    """A relu RNN whose numbers are all whole and below 256, so that no rounding changes one; with what backward is given."""
    B, T, I, H = sizes
    rng = np.random.default_rng(seed)
    cell = cells.SimpleRNN(activation="relu")
    Wx = rng.integers(-1, 2, (I, H)) * (rng.random((I, H)) < 3 / I)
    Wh = np.eye(H)[rng.permutation(H)] * rng.integers(-1, 2, H)
    params = {"Wx": Wx, "Wh": Wh, "b": rng.integers(-2, 3, H)}
    x, dy = rng.integers(-2, 3, (B, T, I)), rng.integers(-1, 2, (B, T, H))
    params = {name: a.astype("float32") for name, a in params.items()}
    return cell, params, x.astype("float32"), dy.astype("float32"), rows_mask(rng, B, T)


def exact_results(cell, params, x, dy, mask, go_backwards):
    """What the reference computes without rounding, and what native and reference compute with it."""
    for backend, precision in (("reference", None), ("native", "bfloat16"), ("reference", "bfloat16")):
        y, (h,), tape = forward(cell, params, x, mask=mask, go_backwards=go_backwards, backend=backend, precision=precision)
        grads = backward(tape, dy)
        yield [y, h, grads.x, *grads.params.values(), *grads.initial_state]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_whole_numbers_come_out_exactly(sizes, instructions):
    """Where nothing is rounded, every wrong index shows."""
    for seed in range(3):
        exact, *others = exact_results(*whole_numbers(sizes, seed), seed == 1)
        assert all(np.abs(a).max(initial=0) < 256 for a in exact[:3])
        for other in others:
            for i, (a, b) in enumerate(zip(exact, other)):
                assert np.array_equal(a, b), (seed, i)


@pytest.mark.parametrize("name", FORMS)
def test_biases_and_peepholes_take_gradients_that_are_not_rounded(name, instructions):
    """In a single step both backends round the same numbers, so that what else they sum agrees as float32 does."""
    for seed in range(3):
        p = tamed(problem(CELLS[name], "one scale", "float32", (37, 1, 5, 21), seed))
        ours, same = solve(p, "native", **ROUNDED), solve(p, **ROUNDED)
        for key in ("y", "db", "dbx", "dbh", "dp"):
            if key in same:
                assert distance(ours[key], same[key]) < 1e-5, (key, seed)


@pytest.mark.parametrize("sizes", [(1, 20, 20, 200), (4, 20, 8, 200), (70, 40, 5, 67)], ids=str)
@pytest.mark.parametrize("name", FORMS)
def test_the_same_bits_for_any_number_of_threads_and_recomputed(name, sizes, instructions):
    p = tamed(problem(CELLS[name], "scale per gate, any mask", "float32", sizes))
    first = solve(p, "native", **ROUNDED)
    for threads, every in ((1, None), (3, None), (16, None), (2, 7), (5, 64)):
        backends.set_num_threads(threads)
        for key, value in solve(p, "native", recompute_every=every, **ROUNDED).items():
            assert np.array_equal(value, first[key]) and np.isfinite(value).all(), (key, threads, every)
    tape = forward(p.cell, p.params, p.x, **p.options, backend="reference", recompute_every=7, **ROUNDED)[2]
    assert np.array_equal(backward(tape, p.dy, p.dstate).x, solve(p, **ROUNDED)["dx"])


def test_arrays_in_any_order_of_memory(instructions):
    p = tamed(problem(CELLS["GRU reset after"], "any mask, reversed", "float32", (33, 6, 5, 40)))
    plain = solve(p, "native", **ROUNDED)
    turned = {name: np.asfortranarray(a) for name, a in p.params.items()}
    wide = np.zeros((*p.x.shape[:2], 15), "float32")
    wide[:, :, ::3] = p.x
    for other in (p._replace(params=turned), p._replace(x=wide[:, :, ::3]), p._replace(x=p.x.transpose(1, 0, 2).copy().transpose(1, 0, 2))):
        for key, value in solve(other, "native", **ROUNDED).items():
            assert np.array_equal(value, plain[key]), key


def test_the_tape_stays_float32_and_says_how_it_was_made(instructions):
    p = tamed(problem(CELLS["LSTM"], "plain", "float32", (5, 4, 3, 7)))
    y, state, tape = forward(p.cell, p.params, p.x, backend="native", **ROUNDED)
    assert tape.precision == "bfloat16" and {a.dtype for a in (y, *state, tape.saved, *tape.states)} == {np.dtype("float32")}
    with pytest.raises(ValueError, match="jvp has no products in bfloat16"):
        jvp(tape, x=p.x)
    with pytest.raises(ValueError, match="backward_vjp has no products in bfloat16"):
        backward_vjp(tape, p.dy, None, Gradients(p.x, None, None))


def test_other_arguments_are_refused():
    cell = cells.LSTM()
    params, x = init_params(cell, 3, 5), np.ones((2, 4, 3), "float32")
    with pytest.raises(ValueError, match="precision: expected None or one of bfloat16, got 'float16'"):
        forward(cell, params, x, precision="float16")
    with pytest.raises(ValueError, match="precision: only the backends native and reference"):
        forward(cell, params, x, backend="emulated", **ROUNDED)
    with pytest.raises(TypeError, match="got x of float64"):
        forward(cell, init_params(cell, 3, 5, dtype="float64"), x.astype("float64"), backend="reference", **ROUNDED)


@pytest.mark.parametrize("backend", ["auto", "native"])
def test_a_machine_without_the_instructions_is_told(backend, monkeypatch):
    if not native.available()[0]:
        pytest.skip(f"native: {native.available()[1]}")
    monkeypatch.setattr(loader, "bfloat16", lambda: "")
    cell = cells.LSTM()
    with pytest.raises(ValueError, match="precision: 'bfloat16': .*AVX512-BF16.*backend='reference' computes it"):
        forward(cell, init_params(cell, 3, 5), np.ones((2, 4, 3), "float32"), backend=backend, **ROUNDED)


def test_instructions_that_are_not_there_are_refused(monkeypatch):
    if not native.available()[0]:
        pytest.skip(f"native: {native.available()[1]}")
    monkeypatch.setenv("RNN_NATIVE_BFLOAT16", "neon")
    loader.bfloat16.cache_clear()
    with pytest.raises(OSError, match="RNN_NATIVE_BFLOAT16: expected .* got 'neon'"):
        loader.bfloat16()
    assert doctor.bfloat16().startswith("no, RNN_NATIVE_BFLOAT16: expected")
    loader.bfloat16.cache_clear()
