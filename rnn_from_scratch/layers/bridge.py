"""The bridge: backends.forward, backward and backward_vjp as TensorFlow ops, each the gradient of the one before. No time maths is here.
torch_bridge.py and jax_bridge.py have the same names for Keras' other backends.

Everything crosses as tensors. The tape's arrays (states, saved) are outputs of the forward op and inputs of the backward op;
nothing is kept in Python between the two, so the op works eagerly, in a tf.function, in loops and under persistent tapes.
The native backend in a graph is native_op.py's; all else is a call of Python from TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import record  # the one private import: who is listening, see `listeners`

from . import arrays, cuda_bridge, native_op
from .arrays import initial_names, input_groups, tape_names, upstream_names, weight_names
from .cuda_bridge import wants_gpu
from .refusals import THIRD_ORDER

Tensor = Any
HOMES = (tf.nn,)  # where TensorFlow's own activations are
BEFORE_LIVE_IS_H = False  # y before the first live step, in Keras on TensorFlow: 0
SUPPORTS_JIT = False  # XLA knows no op of ours
# name of an activation -> (d, y) to d * dy/da
SLOPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tanh": lambda d, y: tf.raw_ops.TanhGrad(y=y, dy=d),
    "sigmoid": lambda d, y: tf.raw_ops.SigmoidGrad(y=y, dy=d),
    "relu": lambda d, y: tf.raw_ops.ReluGrad(gradients=d, features=y),
    "linear": lambda d, y: d,
    "hard_sigmoid": lambda d, y: tf.raw_ops.Relu6Grad(gradients=d, features=6 * y) / 6,
}


def recurrent(
    cell: Any,
    weights: list[Tensor],
    x: Tensor,
    initial_state: list[Tensor],
    mask: Tensor | None = None,
    x_scale: Tensor | None = None,
    h_scale: Tensor | None = None,
    *,
    go_backwards: bool = False,
    zero_masked_outputs: bool = False,
    sequences: bool = True,
    save: bool = True,
    backend: str = "auto",
    precision: str | None = None,
) -> tuple[Tensor | None, list[Tensor]]:
    """backends.forward on tensors of one dtype, differentiable by x, the weights and the initial state.

    weights     in Keras' order and layout: kernel, recurrent_kernel, bias if used ([2, G*H] for GRU reset after), peepholes
    sequences   False: y is None and is not handed to TensorFlow
    save        False: nothing is kept for backward; a gradient asked for all the same runs the forward pass again
    The other arguments are those of backends.forward. Returns y [B,T,H] (or None) and the final states, each [B,H].
    """
    given = {"x": x, **dict(zip(weight_names(cell), weights)), **dict(zip(initial_names(cell), map(tf.convert_to_tensor, initial_state)))}
    given.update({name: t for name, t in (("mask", mask), ("x_scale", x_scale), ("h_scale", h_scale)) if t is not None})
    groups = input_groups(cell)
    flags = {"go_backwards": go_backwards, "zero_masked_outputs": zero_masked_outputs, "precision": precision}
    dtype, S, names = x.dtype, len(cell.states), tuple(given)
    eager, prunable = tf.executing_eagerly(), not wants_gpu(backend)
    asked = listeners(groups, given) if eager or prunable else tuple(groups)
    native = prunable and native_op.usable(cell, backend)

    def forward_arrays(*values):
        return arrays.forward(cell, dict(zip(names, values)), flags, sequences, save, backend)

    @tf.custom_gradient
    def op(*tensors):
        if native:
            results = native_op.forward(cell, dict(zip(names, tensors)), flags, sequences, save)
        else:
            results = cuda_bridge.call(forward_arrays, list(tensors), [dtype] * (sequences + S + (S + 1) * save), backend)
        kept = dict(zip((*tape_names(cell), "saved"), results[sequences + S :]))
        if not eager:  # TensorFlow may ask for gradients by the tape: they are part of those by x, the weights and the states
            kept = {name: tf.stop_gradient(t) for name, t in kept.items()}
        results = results[: sequences + S]
        B, T, H = x.shape[0], x.shape[1], weights[1].shape[0]
        for i, result in enumerate(results):
            result.set_shape([B, T, H] if sequences and i == 0 else [B, H])

        def gradients(*upstream):
            d = dict(zip((*(("dy",) if sequences else ()), *upstream_names(cell)), upstream))
            tensors_by_name = {**given, **kept, **d}
            found = backward_op(cell, groups, asked, tensors_by_name, flags, backend, native)
            rest = tuple(group for group in groups if group not in asked)
            if rest and not eager:
                # A gradient tape outside of this graph may still want these: one more op, which TensorFlow prunes if nobody does.
                found.update(backward_op(cell, groups, rest, tensors_by_name, flags, backend, native))
            return [found.get(name) for name in names]

        return results, gradients

    results = op(*given.values())
    return (results[0] if sequences else None), list(results[-S:])


def listeners(groups: dict[str, tuple[str, ...]], given: dict[str, Tensor]) -> tuple[str, ...]:
    """The groups of inputs that a gradient tape records now; all of them if none does (the tape is then outside of the graph).

    TensorFlow asks a custom gradient for everything at once. The first layer's x, zero initial states and frozen weights
    need no gradient, and the backward pass is cheaper without.
    """
    watched = tuple(group for group, names in groups.items() if record.should_record_backprop([given[n] for n in names]))
    return watched or tuple(groups)


def backward_op(
    cell: Any,
    groups: dict[str, tuple[str, ...]],
    wrt: tuple[str, ...],
    tensors: dict[str, Tensor],
    flags: dict[str, Any],
    backend: str,
    native: bool,
) -> dict[str, Tensor]:
    """Gradients by input name for the groups in wrt, from the forward op's inputs, its tape and the upstream gradients."""
    names, wanted = tuple(tensors), tuple(name for group in wrt for name in groups[group])

    def backward_arrays(*values):
        return arrays.backward(cell, dict(zip(names, values)), flags, wrt, backend)

    @tf.custom_gradient
    def op(*inputs):
        if native:
            found = native_op.backward(cell, dict(zip(names, inputs)), wanted, flags)
        else:
            found = cuda_bridge.call(backward_arrays, list(inputs), [tensors["x"].dtype] * len(wanted), backend)
        for name, gradient in zip(wanted, found):
            gradient.set_shape(tensors[name].shape)

        def gradients(*cotangents):
            found = {}
            for part in filter(None, parts):
                found.update(second_order_op(cell, part, dict(zip(names, inputs)), dict(zip(wanted, cotangents)), flags, backend))
            return [found.get(name) for name in names]

        return found, gradients

    every = {**groups, "dy": ("dy",) if "dy" in names else (), "dstate": upstream_names(cell)}
    listening = listeners({group: members for group, members in every.items() if members}, tensors)
    parts, given = [{group: every[group] for group in listening}], list(tensors.values())
    if not tf.executing_eagerly():  # as in `recurrent`: what only a tape outside of this graph may want
        parts.append({group: members for group, members in every.items() if members and group not in listening})
        given = [tf.identity(t) for t in given]  # of this graph: those of one that encloses it are out of reach of a third graph
    return dict(zip(wanted, op(*given)))


def second_order_op(
    cell: Any,
    groups: dict[str, tuple[str, ...]],
    tensors: dict[str, Tensor],
    cotangents: dict[str, Tensor],
    flags: dict[str, Any],
    backend: str,
) -> dict[str, Tensor]:
    """The gradients of <cotangents, what backward_op returned>, by input name, for the groups of backward_op's inputs."""
    names, directions = tuple(tensors), tuple(cotangents)
    wanted = [name for members in groups.values() for name in members]

    def second_order_arrays(*values):
        v = dict(zip(directions, values[len(names) :]))
        return arrays.second_order(cell, dict(zip(names, values)), v, flags, tuple(groups), backend)

    @tf.custom_gradient
    def op(*inputs):
        found = cuda_bridge.call(second_order_arrays, list(inputs), [tensors["x"].dtype] * len(wanted), backend)
        for name, gradient in zip(wanted, found):
            gradient.set_shape(tensors[name].shape)

        def no_third_order(*upstream):
            raise NotImplementedError(THIRD_ORDER)

        return found, no_third_order

    return dict(zip(wanted, op(*tensors.values(), *cotangents.values())))


def pointwise(cell: Any, xg: Any, hg: Any, states: list[Tensor], p: Any) -> list[Tensor]:
    """The states after the only phase of a step, with the cell's own backward as gradient; xg, hg: the Gates of tensor_step.py."""
    Gates, S, G = type(xg), len(states), len(cell.gates)

    @tf.custom_gradient
    def op(x_columns: Tensor, h_columns: Tensor, *others: Tensor) -> Any:
        s_prev, extras = others[:S], others[S:]
        s, saved = cell.forward(0, Gates(x_columns, G), Gates(h_columns, G), s_prev, (), extras)

        def gradient(*d: Tensor) -> list[Tensor | None]:
            dxg, dhg, ds_prev, dp = cell.backward(0, d, saved, s_prev, s, extras)
            dx = tf.concat(dxg, axis=1)
            dh = dx if cell.shared else tf.concat(dhg, axis=1)
            return [dx, dh, *(None if isinstance(d, float) else d for d in ds_prev), *(tf.reduce_sum(d, axis=0) for d in dp)]

        return s, gradient

    return list(op(xg.columns, hg.columns, *states, *p))


def split(columns: Tensor, count: int) -> list[Tensor]:
    return tf.split(columns, count, axis=1)


def concat(parts: list[Tensor], axis: int = 1) -> Tensor:
    return tf.concat(parts, axis=axis)


def stack(parts: list[Tensor]) -> Tensor:
    return tf.stack(parts)


def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return tf.where(condition, a, b)


def add_bias(z: Tensor, b: Tensor) -> Tensor:
    return tf.nn.bias_add(z, b)


def rows(p: Tensor) -> list[Tensor]:
    return tf.unstack(p)


def einsum(products: str, *operands: Tensor) -> Tensor:
    return tf.einsum(products, *operands)


def tanh(t: Tensor) -> Tensor:
    return tf.tanh(t)


def softmax(t: Tensor) -> Tensor:
    return tf.nn.softmax(t)
