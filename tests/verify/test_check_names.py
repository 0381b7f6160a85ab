"""The names in a report are those of the signature that is called, in every adapter and for plain functions."""

import functools

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradients, check_function, of_jax, of_keras, of_tensorflow, of_torch

ONES = np.ones(3)


class Methods:
    def bound(self, x, W):
        return x * W

    @classmethod
    def of_class(cls, x, W):
        return x * W

    @staticmethod
    def static(x, W):
        return x * W


def with_default(x, W, eps=1e-5):
    return x * W + eps


def with_keyword(x, W, *, scale=1.0):
    return x * W * scale


def with_rest(x, *weights):
    return x * sum(weights)


FUNCTIONS = [
    (with_default, ("x", "W")),
    (with_keyword, ("x", "W")),
    (Methods().bound, ("x", "W")),
    (Methods.of_class, ("x", "W")),
    (Methods.static, ("x", "W")),
    (functools.partial(with_keyword, scale=2.0), ("x", "W")),
    (functools.partial(lambda scale, x, W: x * W * scale, 3.0), ("x", "W")),
    (functools.wraps(with_default)(lambda *a, **k: with_default(*a, **k)), ("x", "W")),
    (with_rest, ("x", "weights.0")),
]


@pytest.mark.parametrize(("function", "names"), FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_the_signature_that_is_called(function, names):
    inputs = (ONES, 2 * ONES)
    pytest.importorskip("torch", reason="needs torch")
    assert of_torch(function, *inputs).names == names
    report = check_function(function, lambda x, W, d: (d * W, d * x), inputs)
    assert report.names == names


@pytest.mark.parametrize(("function", "names"), FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_the_signature_that_is_called_in_tensorflow(function, names):
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    assert of_tensorflow(function, ONES, 2 * ONES).names == names
    if isinstance(function, type(with_default)):
        assert of_tensorflow(tf.function(function), ONES, 2 * ONES).names == names


@pytest.mark.parametrize(("function", "names"), FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_the_signature_that_is_called_in_jax(function, names):
    jax = pytest.importorskip("jax", reason="needs JAX")
    jax.config.update("jax_enable_x64", True)
    assert of_jax(function, ONES, 2 * ONES).names == names
    assert of_jax(jax.jit(function), ONES, 2 * ONES).names == names


@pytest.mark.parametrize("wrong", ["x", "W", "b"])
@pytest.mark.parametrize("style", ["ctx", "setup_context"])
@pytest.mark.parametrize("rest", [True, False])
def test_blame_in_torch_functions_with_defaults_and_rest(style, wrong, rest):
    torch = pytest.importorskip("torch", reason="needs torch")

    class Base(torch.autograd.Function):
        @staticmethod
        def backward(ctx, d):
            x, W = ctx.saved_tensors
            found = {"x": d @ W.T, "W": x.T @ d, "b": d.sum(0)}
            found[wrong] = 2 * found[wrong]
            return tuple(found.values())

    class Old(Base):
        @staticmethod
        def forward(ctx, x, W, b=None):
            ctx.save_for_backward(x, W)
            return x @ W + b

    class OldRest(Base):
        @staticmethod
        def forward(ctx, x, *weights):
            ctx.save_for_backward(x, weights[0])
            return x @ weights[0] + weights[1]

    class New(Base):
        @staticmethod
        def forward(x, W, b=None):
            return x @ W + b

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs[:2])

    class NewRest(New):
        @staticmethod
        def forward(x, *weights):
            return x @ weights[0] + weights[1]

    function = {("ctx", False): Old, ("ctx", True): OldRest, ("setup_context", False): New, ("setup_context", True): NewRest}[style, rest]
    names = {"x": "x", "W": "weights.0", "b": "weights.1"} if rest else {"x": "x", "W": "W", "b": "b"}
    for seed in range(3):
        draw = np.random.default_rng(seed).standard_normal
        report = of_torch(function.apply, draw((3, 4)), draw((4, 5)), draw(5)).check(seed=seed)
        assert report.names == tuple(names.values())
        assert report.culprit.array == names[wrong]


def test_names_of_a_module_and_of_its_parameters_differ():
    torch = pytest.importorskip("torch", reason="needs torch")

    class Scale(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))

        def forward(self, weight):
            return weight * self.weight

    assert of_torch(Scale(), ONES).names == ("weight 0", "weight 1")
    assert of_torch(Scale(), ONES).check().ok


def test_names_of_keras_states():
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    cell = keras.layers.LSTMCell(4, dtype="float64")
    pair = of_keras(cell, np.ones((2, 3)), [np.zeros((2, 4)), np.ones((2, 4))], training=False)
    assert pair.names == ("inputs", "states.0", "states.1", "kernel", "recurrent_kernel", "bias")
    assert pair.check(directions=1).ok


def test_given_names():
    torch = pytest.importorskip("torch", reason="needs torch")

    def function(p, x):
        return torch.tanh(x @ p["W"] + p["b"])

    inputs = ({"W": np.ones((3, 2)), "b": np.ones(2)}, np.ones((4, 3)))
    assert of_torch(function, *inputs, names=["weights", "in"]).names == ("weights.W", "weights.b", "in")
    assert of_torch(function, *inputs, names=["A", "B", "C"]).names == ("A", "B", "C")
    with pytest.raises(ValueError, match="names: expected 3, one for each array, or 2, one for each input; got 1"):
        of_torch(function, *inputs, names=["A"])


@pytest.mark.parametrize("seed", range(3))
def test_tensors_that_require_grad_and_a_pair_as_arguments(seed):
    torch = pytest.importorskip("torch", reason="needs torch")

    class Product(torch.autograd.Function):
        factor = 1.0

        @staticmethod
        def forward(ctx, x, W):
            ctx.save_for_backward(x, W)
            return x @ W

        @staticmethod
        def backward(ctx, d):
            x, W = ctx.saved_tensors
            return d @ W.T, x.T @ d * Product.factor

    torch.manual_seed(seed)
    x, W = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((3, 4), (4, 2)))
    pair = of_torch(Product.apply, x, W)
    assert assert_gradients(*pair) is None
    assert assert_gradients(*pair, directions="full", seed=seed) is None
    assert check_function(*pair).names == ("x", "W")
    assert x.grad is None and W.grad is None and x.requires_grad
    Product.factor = 2.0
    with pytest.raises(AssertionError, match="culprit: W"):
        assert_gradients(*pair)
    with pytest.raises(TypeError, match="inputs: expected arrays, got a torch tensor that requires grad for x: check a torch function by"):
        check_function(lambda x: x, lambda x, d: d, [x])
    for bad, message in ((x.bfloat16(), "float32 or float64, got torch.bfloat16"), (x.to("meta"), "tensor on the CPU, got one on meta")):
        with pytest.raises(TypeError, match=f"W: expected .*{message}"):
            of_torch(Product.apply, x, bad)
