"""Keras layers, TensorFlow, torch and JAX functions as pairs of NumPy functions, which check_function takes.

    of_keras(layer, x).assert_gradients(time_axis=1, blocks={"kernel": ("i", "f", "c", "o")})

Each of_...(callable, *inputs) returns a Pair. With order=2 the pair is the gradient as forward_fn, a function of the inputs and of
the upstream gradients, and the gradient of that as backward_fn: what a framework offers of second order is checked. Where it
offers nothing, its error says so (that of rnn_from_scratch.layers does), or the report calls the gradient missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ...typing import Array
from . import assert_gradients, check_function
from .report import FunctionReport
from .structure import arguments, flat_names, leaves, names_of, rebuilt
from .tensors import Jax, TensorFlow, Torch, differentiable


class Pair(NamedTuple):
    """A function and its gradient on NumPy arrays, and the inputs to check them at."""

    forward_fn: Callable[..., Any]
    backward_fn: Callable[..., Any]
    inputs: tuple[Array, ...]
    names: tuple[str, ...]

    def check(self, **options: Any) -> FunctionReport:
        """check_function of this pair; options: blocks, time_axis, method, directions, seed, tol, upstream."""
        return check_function(*self[:3], names=self.names, **options)

    def assert_gradients(self, **options: Any) -> None:
        """assert_gradients of this pair; options as for check."""
        __tracebackhide__ = True
        assert_gradients(*self[:3], names=self.names, **options)


def of_tensorflow(function: Callable[..., Any], *inputs: Any, names: Sequence[str] | None = None, order: int = 1) -> Pair:
    """A function of tensors: plain, tf.function or tf.custom_gradient.

    inputs   arrays, or lists of arrays
    names    of the inputs; default: those of the function's parameters
    order    2: the gradient of the gradient (see above)

    Raises ImportError without TensorFlow.
    """
    tf = needed("tensorflow")
    arrays = [np.asarray(a) for a in tf.nest.flatten(list(inputs))]

    def call(sources):
        return leaves(function(*tf.nest.pack_sequence_as(list(inputs), list(sources))))

    return pair(TensorFlow(tf), arrays, names_of(function, len(arrays), names), call, order)


def of_keras(layer: Any, *inputs: Any, order: int = 1, graph: bool = True, **call_options: Any) -> Pair:
    """A layer or cell of Keras 3 on TensorFlow, or of tf_keras. Its trainable weights are inputs of the pair too.

    inputs         what the layer is called with: x, or x and a list of states for a cell
    graph          run it in a tf.function, as fit does; False: eagerly, which is slower and takes layers that use NumPy
    call_options   keyword arguments of the call: mask=..., training=True
    order          as for of_tensorflow

    The layer's weights are set at every call and set back after it. Raises ImportError without TensorFlow, ValueError where
    the layer computes in another dtype than that of its inputs.
    """
    tf = needed("tensorflow")
    arrays = [np.asarray(a) for a in tf.nest.flatten(list(inputs))]
    count = len(arrays)
    for a in arrays:
        if a.dtype.kind == "f" and a.dtype != layer.compute_dtype:
            expected = f"expected inputs of {layer.compute_dtype}, in which {layer.name} computes, got {a.dtype}"
            raise ValueError(f"of_keras: {expected}: make the layer with dtype={str(a.dtype)!r}")

    def call(sources):
        return leaves(layer(*tf.nest.pack_sequence_as(list(inputs), list(sources)), **call_options))

    before = [w.numpy() for w in layer.weights] if layer.built else []
    call([tf.constant(a) for a in arrays])  # builds the layer
    for w, value in zip(layer.weights, before):
        w.assign(value)
    run = tf.function(call) if graph else call
    weights = list(layer.trainable_weights)
    own = [w.numpy() for w in weights]
    variables = [w if callable(w.value) else w.value for w in weights]  # Keras 3 wraps the tf.Variable
    names = [*names_of(layer.call, count, None), *(w.name.split("/")[-1].split(":")[0] for w in weights)]
    names = [name if names.count(name) == 1 else f"{name} {k}" for k, name in enumerate(names)]
    kept = [(w, w.numpy()) for w in layer.non_trainable_weights]
    return pair(TensorFlow(tf, count, variables, own, kept), [*arrays, *own], names, lambda sources: run(sources[:count]), order)


def of_torch(function: Any, *inputs: Any, names: Sequence[str] | None = None, order: int = 1) -> Pair:
    """A torch module, whose parameters become inputs of the pair too, or a function of tensors such as MyFunction.apply.

    inputs, names, order   as for of_tensorflow

    Raises ImportError without torch.
    """
    torch = needed("torch")
    arrays, parameters, buffers = [np.asarray(a) for a in arguments(inputs)], {}, {}
    count, skip, signature = len(arrays), 0, function
    if isinstance(function, torch.nn.Module):
        parameters = {name: p.detach().numpy().copy() for name, p in function.named_parameters()}
        buffers, signature = dict(function.named_buffers()), function.forward
    elif isinstance(getattr(function, "__self__", None), type):  # apply of an autograd.Function
        owner = function.__self__
        signature = owner.forward
        skip = int(owner.setup_context is torch.autograd.Function.setup_context)  # forward begins with ctx, but for the newer style

    def call(sources):
        given = rebuilt(tuple(inputs), iter(sources[:count]))
        if not isinstance(function, torch.nn.Module):
            return leaves(function(*given))
        own = {name: b.clone() for name, b in buffers.items()}  # running statistics move in a copy
        return leaves(torch.func.functional_call(function, {**dict(zip(parameters, sources[count:])), **own}, given))

    found = flat_names(signature, inputs, names, skip)
    return pair(Torch(torch, order == 2), [*arrays, *parameters.values()], [*found, *parameters], call, order)


def of_jax(function: Callable[..., Any], *inputs: Any, names: Sequence[str] | None = None, order: int = 1) -> Pair:
    """A JAX function, with jax.custom_vjp or without; inputs, names, order as for of_tensorflow.

    Raises ImportError without JAX, ValueError if its float64 is off.
    """
    jax = needed("jax")
    arrays = [np.asarray(a) for a in arguments(inputs)]
    if any(a.dtype == np.float64 for a in arrays) and not jax.config.jax_enable_x64:
        raise ValueError('of_jax: float64 inputs need jax.config.update("jax_enable_x64", True) before any other use of JAX')

    def call(sources):
        return leaves(function(*rebuilt(tuple(inputs), iter(sources))))

    return pair(Jax(jax), arrays, flat_names(function, inputs, names), call, order)


def pair(framework: Any, arrays: list[Array], names: Sequence[str], call: Callable, order: int) -> Pair:
    """call(sources) -> a list of outputs, in the framework's tensors; it, or with order=2 its gradient, as a Pair."""
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, got {order!r}")
    n, function, upstream = len(arrays), call, []
    if order == 2:
        rng = np.random.default_rng(0)

        def smooth(sources):
            return [y for y in call(sources) if differentiable(y)]

        outputs = framework.run(arrays, lambda sources: [framework.array(y) for y in smooth(sources)])
        upstream = [rng.standard_normal(y.shape).astype(y.dtype) for y in outputs]

        def function(sources):
            return [g for g in framework.gradients(smooth, sources[:n], sources[n:]) if g is not None]

    inputs = (*arrays, *upstream)

    def forward_fn(*given):
        return tuple(framework.run(given, lambda sources: [framework.array(y) for y in function(sources)]))

    def backward_fn(*given):
        used = [j for j, u in enumerate(given[len(inputs) :]) if u is not None]

        def outputs(sources):
            found = [y for y in function(sources) if differentiable(y)]
            return [found[j] for j in used]

        def run(sources):
            found = framework.gradients(outputs, sources[: len(inputs)], sources[len(inputs) :])
            return [None if g is None else framework.array(g) for g in found]

        return tuple(framework.run([a for a in given if a is not None], run))

    backward_fn.upstream = framework.upstream  # type: ignore[attr-defined]  # which kinds check_function tries
    return Pair(forward_fn, backward_fn, inputs, (*names, *(f"upstream {j}" for j in range(len(upstream)))))


def needed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"needs {name}, which is not installed: pip install {name}") from error
