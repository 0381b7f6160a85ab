"""gradcheck, gradgradcheck and check_grads under the names of torch and JAX: right ones pass, wrong ones raise what their own raise."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs torch")


@pytest.fixture(scope="module")
def jax():
    found = pytest.importorskip("jax", reason="needs JAX")
    found.config.update("jax_enable_x64", True)
    return found


def product(torch, factor=1.0, second=1.0):
    """tanh(x W), whose gradient by W is `factor` times what it should be, and that of the gradient `second` times."""

    class Slope(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y, dy):
            ctx.save_for_backward(y, dy)
            return dy * (1 - y * y)

        @staticmethod
        def backward(ctx, d):
            y, dy = ctx.saved_tensors
            return -2 * second * d * dy * y, d * (1 - y * y)

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, W):
            y = torch.tanh(x @ W)
            ctx.save_for_backward(x, W, y)
            return y

        @staticmethod
        def backward(ctx, dy):
            x, W, _ = ctx.saved_tensors
            y = torch.tanh(x @ W)
            da = Slope.apply(y, dy)
            return da @ W.t(), factor * x.t() @ da

    return Product.apply


def inputs_of(torch, seed, dtype=None):
    torch.manual_seed(seed)
    dtype = dtype or torch.float64
    return tuple(torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in ((5, 3), (3, 7)))


def test_right_gradients_pass_as_with_torch(torch):
    from rnn_from_scratch.verify.torch import gradcheck, gradgradcheck

    for seed in range(3):
        inputs = inputs_of(torch, seed)
        assert torch.autograd.gradcheck(product(torch), inputs) and gradcheck(product(torch), inputs)
        assert torch.autograd.gradgradcheck(product(torch), inputs) and gradgradcheck(product(torch), inputs)
        assert gradgradcheck(product(torch), inputs, torch.randn(5, 7, dtype=torch.float64))
        assert gradcheck(torch.sin, inputs[0]) and gradcheck(product(torch), list(inputs), eps=1e-6, atol=1e-4, rtol=1e-6)
        assert gradcheck(product(torch), inputs_of(torch, seed, torch.float32))
    assert gradcheck(torch.nn.Linear(3, 2).double(), inputs[0])


def test_wrong_gradients_raise_torchs_error_and_are_named(torch):
    from torch.autograd.gradcheck import GradcheckError

    from rnn_from_scratch.verify.torch import gradcheck, gradgradcheck

    for seed in range(3):
        inputs = inputs_of(torch, seed)
        with pytest.raises(GradcheckError, match="culprit: W"):
            gradcheck(product(torch, factor=1.001), inputs)
        assert gradcheck(product(torch, factor=1.001), inputs, raise_exception=False) is False
        assert gradcheck(product(torch, second=1.001), inputs)
        with pytest.raises(RuntimeError, match="gradients are WRONG"):  # GradcheckError is one
            gradgradcheck(product(torch, second=1.001), inputs)
        with pytest.raises(RuntimeError, match="gradients are WRONG"):
            gradcheck(product(torch, factor=1.001), inputs_of(torch, seed, torch.float32))


def test_what_does_not_require_grad_is_left_alone(torch):
    from rnn_from_scratch.verify.torch import gradcheck

    x, W = inputs_of(torch, 0)
    assert gradcheck(product(torch, factor=2), (x, W.detach()))
    with pytest.raises(RuntimeError, match="culprit: W"):
        gradcheck(product(torch, factor=2), (x.detach(), W))
    with pytest.raises(ValueError, match="gradcheck: expected at least one input tensor that requires grad, got none"):
        gradcheck(product(torch), (x.detach(), W.detach()))
    assert gradcheck(lambda x, power, how: x**power, (x, 3, "plain"))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # within torch's own check
def test_what_the_options_ask_for_besides_is_done_by_torch(torch):
    from rnn_from_scratch.verify.torch import gradcheck, gradgradcheck

    inputs = inputs_of(torch, 0)
    with pytest.raises(NotImplementedError, match="jvp"):  # torch's own, of a Function without one
        gradcheck(product(torch), inputs, check_forward_ad=True)
    assert gradcheck(torch.sin, inputs[0], check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(torch.sin, inputs[0], check_fwd_over_rev=True)
    with pytest.raises(ValueError, match="nondet_tol: expected 0, got 0.1"):
        gradcheck(torch.sin, inputs[0], nondet_tol=0.1)
    with pytest.raises(ValueError, match=r"grad_outputs: expected shapes \[\(5, 3\)\], those of the outputs, got \[\(2,\)\]"):
        gradgradcheck(torch.sin, inputs[0], torch.ones(2))
    with pytest.raises(ValueError, match=r"input 0 is complex; torch\.autograd\.gradcheck checks"):
        gradcheck(torch.sin, torch.ones(2, dtype=torch.complex128, requires_grad=True))


def jax_function(jax, kind, factor=1.0):
    np_ = jax.numpy
    if kind == "plain":
        return lambda x, W: np_.tanh(x @ W)
    decorate = jax.custom_jvp if kind == "jvp" else jax.custom_vjp

    @decorate
    def f(x, W):
        return np_.tanh(x @ W)

    if kind == "jvp":

        @f.defjvp
        def tangents(primals, tangents):
            (x, W), (dx, dW) = primals, tangents
            y = np_.tanh(x @ W)
            return y, (1 - y * y) * (dx @ W + factor * x @ dW)

    else:
        f.defvjp(lambda x, W: (f(x, W), (x, W)), lambda kept, dy: gradients(*kept, dy))

        def gradients(x, W, dy):
            da = dy * (1 - np_.tanh(x @ W) ** 2)
            return da @ W.T, factor * x.T @ da

    return f


@pytest.mark.parametrize("kind", ["vjp", *(pytest.param(kind, marks=pytest.mark.check) for kind in ("plain", "jvp"))])
def test_check_grads_as_with_jax(jax, kind):
    from jax.test_util import check_grads as theirs

    from rnn_from_scratch.verify.jax import check_grads

    modes = ("rev",) if kind == "vjp" else ("fwd", "rev")
    for seed in range(1 if kind == "vjp" else 2):
        rng = np.random.default_rng(seed)
        args = rng.standard_normal((5, 3)), rng.standard_normal((3, 7))
        theirs(jax_function(jax, kind), args, 2, modes)
        check_grads(jax_function(jax, kind), args, 2, modes)
        if kind != "plain":
            for mode in modes:
                what = {"fwd": "forward mode", "rev": "reverse mode"}[mode]
                with pytest.raises(AssertionError, match=f"{what}, order 1(?s:.*)culprit: W"):
                    check_grads(jax_function(jax, kind, 1.001), args, 1, [mode])
    if kind == "vjp":
        with pytest.raises(TypeError, match="custom_vjp"):  # JAX has no forward mode of it, as with its own check
            check_grads(jax_function(jax, kind), args, 1)


@pytest.mark.check
def test_check_grads_of_nested_and_integer_arguments(jax):
    from rnn_from_scratch.verify.jax import check_grads

    args = {"W": np.ones((3, 2)), "n": np.arange(3)}, [np.full((4, 3), 0.5)]
    check_grads(lambda params, xs: jax.numpy.tanh(xs[0] * params["n"] @ params["W"]), args, 2)
    with pytest.raises(ValueError, match="order: expected 1 or 2, got 3"):
        check_grads(jax.numpy.sin, (np.ones(2),), 3)
    with pytest.raises(ValueError, match="modes: expected 'fwd', 'rev' or both"):
        check_grads(jax.numpy.sin, (np.ones(2),), 1, ["lin"])
