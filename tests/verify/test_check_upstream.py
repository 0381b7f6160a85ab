"""check_function under the upstream gradients that backward passes meet in use: missing, strided, spread out, not to be written to."""

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradients, check_function, of_jax, of_tensorflow, of_torch

SHAPES = [(3, 4), (2, 3, 2), (5, 1)]
TURNED = "with the axes in memory turned round"
OTHER = "that are every other column of a wider array"
SPREAD = "with strides of 0, as y.sum().backward() gives"
LOCKED = "that must not be written to"


def as_one_row(dy):
    row = dy.view()
    row.shape = (dy.size,)  # raises where memory is not in order
    return row


def in_order_of_memory(dy):
    return dy.ravel(order="K")


def needs_numbers_of_its_own(dy):
    if 0 in dy.strides:
        raise BufferError("strides of 0")
    return dy


def may_be_written(dy):
    if not dy.flags.writeable:
        raise ValueError("expected an array to write to")
    return dy


FAULTS = [  # what is done to dy, under which layouts it fails, what is said of it
    (as_one_row, {TURNED, OTHER}, "backward_fn raises AttributeError"),
    (in_order_of_memory, {TURNED}, "the gradient of x is another, off by"),
    (needs_numbers_of_its_own, {SPREAD}, "backward_fn raises BufferError: strides of 0"),
    (may_be_written, {LOCKED, SPREAD}, "backward_fn raises ValueError: expected an array to write to"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 2)], ids=str)
@pytest.mark.parametrize(("fault", "where", "said"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_each_layout_that_fails_is_named(fault, where, said, shape, seed):
    x = np.random.default_rng(seed).standard_normal(shape)
    pair = np.tanh, lambda x, dy: fault(dy).reshape(x.shape) * (1 - np.tanh(x) ** 2), [x]
    report = check_function(*pair, names=["x"], seed=seed)
    assert report.verdict == "wrong", report
    found = [finding.text for finding in report.findings if finding.kind == "upstream"]
    assert {text.split(":")[0].removeprefix("upstream gradients ") for text in found} == where, report
    assert all(said in text for text in found), report
    assert not any(part.wrong for part in report.parts)  # the digits are right
    with pytest.raises(AssertionError, match="upstream gradients"):
        assert_gradients(*pair, names=["x"])
    assert check_function(*pair, names=["x"], seed=seed, upstream=["dense"]).ok


def two_outputs(x):
    return np.tanh(x), x * x


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_missing_is_tried_where_it_is_asked_for(shape, seed):
    x = np.random.default_rng(seed).standard_normal(shape)

    def backward(x, a, b):
        return a * (1 - np.tanh(x) ** 2) + 2 * x * (0 if b is None else b)

    assert check_function(two_outputs, backward, [x], seed=seed).ok  # NumPy functions need not know None
    report = check_function(two_outputs, backward, [x], seed=seed, upstream=("dense", "missing"))
    assert [f.text.split(":")[0] for f in report.findings] == ["no upstream gradient for output 0"], report
    assert not report.ok
    assert check_function(lambda x: two_outputs(x)[1], lambda x, b: 2 * x * b, [x], upstream=("dense", "missing")).ok  # nothing to miss


def test_rounding_of_a_gradient_that_is_nothing_else_is_no_finding():
    """A bias before a normalisation: its gradient is zero but for rounding, which goes another way in another layout."""

    def forward(x, b):
        a = x + b
        return (a - a.mean(0)) / a.std(0)

    def backward(x, b, dy):
        a = x + b
        y = forward(x, b)
        da = (dy - dy.mean(0) - y * (dy * y).mean(0)) / a.std(0)
        return da, da.sum(0)

    for seed in range(5):
        draw = np.random.default_rng(seed).standard_normal
        report = check_function(forward, backward, [draw((8, 3)), draw(3)], seed=seed)
        assert report.ok, report


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("integers", [np.argmax, np.argmin, lambda y, axis: y > 0])
@pytest.mark.parametrize("directions", [8, "full"])
def test_integers_among_the_outputs_are_left_out_with_a_note(integers, seed, directions):
    x = np.random.default_rng(seed).standard_normal((3, 4))

    def forward(x):
        return integers(x, axis=-1), np.tanh(x)

    def backward(x, dy):
        return dy * (1 - np.tanh(x) ** 2)

    report = check_function(forward, backward, [x], seed=seed, directions=directions)
    assert report.ok, report
    assert "note: output 0 of forward_fn" in str(report)
    assert "backward_fn gets no upstream gradient for it" in str(report)
    assert not check_function(forward, lambda x, dy: 1.001 * backward(x, dy), [x], seed=seed, directions=directions).ok


@pytest.mark.parametrize("asked", ["dense", ("missing",), ("dense", "sparse")])
def test_wrong_use(asked):
    with pytest.raises(ValueError) as caught:
        check_function(np.tanh, lambda x, dy: dy / np.cosh(x) ** 2, [np.ones(2)], names=["x"], upstream=asked)
    assert str(caught.value) == f'upstream: expected "dense" and any of missing, strided, got {asked!r}'


# ---------------------------------------------------------------- torch


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("materialize", [True, False])
@pytest.mark.parametrize("knows_none", [True, False])
def test_an_unused_output_of_torch(materialize, knows_none, seed):
    torch = pytest.importorskip("torch", reason="needs torch")

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            ctx.save_for_backward(x)
            return torch.tanh(x), x * x

        @staticmethod
        def backward(ctx, a, b):
            (x,) = ctx.saved_tensors
            if knows_none:
                a, b = (torch.zeros_like(x) if d is None else d for d in (a, b))
            return a * (1 - torch.tanh(x) ** 2) + 2 * x * b

    report = of_torch(Two.apply, np.random.default_rng(seed).standard_normal((3, 4))).check(seed=seed)
    assert report.ok == (materialize or knows_none), report
    if not report.ok:
        assert [f.text.split(":")[0] for f in report.findings] == ["no upstream gradient for output 0", "no upstream gradient for output 1"]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("fault", "where"), [("view", {TURNED, OTHER}), ("memory", {TURNED, OTHER}), ("strides", {SPREAD}), ("none", set())]
)
def test_layouts_of_torch(fault, where, seed):
    torch = pytest.importorskip("torch", reason="needs torch")

    class Tanh(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.tanh(x)

        @staticmethod
        def backward(ctx, d):
            (x,) = ctx.saved_tensors
            if fault == "view":
                d = d.view(-1).view(x.shape)
            if fault == "memory" and 0 not in d.stride():
                d = d.as_strided(x.shape, x.stride())
            if fault == "strides" and 0 in d.stride():
                raise RuntimeError("a pointer is no expanded tensor")
            return d * (1 - torch.tanh(x) ** 2)

    report = of_torch(Tanh.apply, np.random.default_rng(seed).standard_normal((3, 4))).check(seed=seed)
    assert {f.text.split(":")[0].removeprefix("upstream gradients ") for f in report.findings} == where, report
    assert report.ok == (not where)


def test_integers_among_the_outputs_of_torch():
    torch = pytest.importorskip("torch", reason="needs torch")
    x = np.random.default_rng(0).standard_normal((3, 4))
    for order in (1, 2):
        report = of_torch(lambda x: (x.argmax(1), torch.tanh(x), x > 0), x, order=order).check()
        assert report.ok, report


# ---------------------------------------------------------------- TensorFlow and JAX


def test_an_unused_output_and_integers_of_tensorflow():
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    met = []

    @tf.custom_gradient
    def two(x):
        def gradients(a, b):
            met.append(bool(tf.reduce_all(b == 0)))
            return a * (1 - tf.tanh(x) ** 2) + 2 * x * b

        return (tf.tanh(x), x * x), gradients

    x = np.random.default_rng(0).standard_normal((3, 4))
    report = of_tensorflow(lambda x: (tf.argmax(x, 1), *two(x)), x).check()
    assert report.ok, report
    assert any(met)
    assert "output 0 of forward_fn, int64, is left out" in str(report)


def test_an_unused_output_and_integers_of_jax():
    jax = pytest.importorskip("jax", reason="needs JAX")
    jax.config.update("jax_enable_x64", True)
    x = np.random.default_rng(0).standard_normal((3, 4))
    report = of_jax(lambda x: (jax.numpy.argmax(x.real, 1), jax.numpy.tanh(x), x * x), x).check()
    assert report.ok, report
    assert "is left out" in str(report)
