"""The bridge: backends.forward, backward and backward_vjp as TensorFlow ops, each the gradient of the one before. No time maths is here.

Everything crosses as tensors. The tape's arrays (states, saved) are outputs of the forward op and inputs of the backward op;
nothing is kept in Python between the two, so the op works eagerly, in a tf.function, in loops and under persistent tapes.
The native backend in a graph is native_op.py's; all else is a call of Python from TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record  # the one private import: who is listening, see `listeners`

from .. import backends
from ..backends import second_order
from ..bptt import Gradients, Tape
from . import cuda_bridge, native_op
from .refusals import THIRD_ORDER

Tensor = Any


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
) -> tuple[Tensor | None, list[Tensor]]:
    """backends.forward on tensors of one dtype, differentiable by x, the weights and the initial state.

    weights     in Keras' order and layout: kernel, recurrent_kernel, bias if used ([2, G*H] for GRU reset after), peepholes
    sequences   False: y is None and is not handed to TensorFlow
    save        False: nothing is kept for backward; a gradient asked for all the same runs the forward pass again
    The other arguments are those of backends.forward. Returns y [B,T,H] (or None) and the final states, each [B,H].
    """
    given = {"x": x, **dict(zip(weight_names(cell), weights)), **dict(zip(initial_names(cell), map(tf.convert_to_tensor, initial_state)))}
    given.update({name: t for name, t in (("mask", mask), ("x_scale", x_scale), ("h_scale", h_scale)) if t is not None})
    groups = {"x": ("x",), "params": weight_names(cell), "initial_state": initial_names(cell)}
    flags = {"go_backwards": go_backwards, "zero_masked_outputs": zero_masked_outputs}
    dtype, S, names = x.dtype, len(cell.states), tuple(given)
    eager, prunable = tf.executing_eagerly(), not cuda_bridge.wants_gpu(backend)
    asked = listeners(groups, given) if eager or prunable else tuple(groups)
    native = prunable and native_op.usable(cell, backend)

    def forward_arrays(*arrays):
        y, state, tape = run_forward(cell, dict(zip(names, arrays)), flags, save, backend)
        return (*((y,) if sequences else ()), *state, *((*tape.states, tape.saved) if save else ()))

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


def weight_names(cell: Any) -> tuple[str, ...]:
    return ("kernel", "recurrent_kernel", *(("bias",) if cell.use_bias else ()), *(("peepholes",) if cell.extras else ()))


def initial_names(cell: Any) -> tuple[str, ...]:
    return tuple(f"{s}0" for s in cell.states)


def tape_names(cell: Any) -> tuple[str, ...]:
    return tuple(f"tape {s}" for s in cell.states)


def upstream_names(cell: Any) -> tuple[str, ...]:
    return tuple(f"d{s}" for s in cell.states)


def listeners(groups: dict[str, tuple[str, ...]], given: dict[str, Tensor]) -> tuple[str, ...]:
    """The groups of inputs that a gradient tape records now; all of them if none does (the tape is then outside of the graph).

    TensorFlow asks a custom gradient for everything at once. The first layer's x, zero initial states and frozen weights
    need no gradient, and the backward pass is cheaper without.
    """
    watched = tuple(group for group, names in groups.items() if record.should_record_backprop([given[n] for n in names]))
    return watched or tuple(groups)


def params_of(cell: Any, arrays: dict[str, Any]) -> dict[str, Any]:
    """Keras' arrays under this package's names: views, no copies."""
    params = {"Wx": arrays["kernel"], "Wh": arrays["recurrent_kernel"]}
    if cell.use_bias:
        params.update({"b": arrays["bias"]} if cell.shared else {"bx": arrays["bias"][0], "bh": arrays["bias"][1]})
    if cell.extras:
        params["p"] = arrays["peepholes"]
    return params


def weights_of(cell: Any, params: dict[str, Any]) -> list[Any]:
    """Undoes params_of, in the order of weight_names."""
    weights = [params["Wx"], params["Wh"]]
    if cell.use_bias:
        weights.append(params["b"] if cell.shared else np.stack([params["bx"], params["bh"]]))
    return [*weights, *([params["p"]] if cell.extras else [])]


def run_forward(cell: Any, a: dict[str, Any], flags: dict[str, Any], save: bool, backend: str) -> Any:
    return backends.forward(
        cell,
        params_of(cell, a),
        a["x"],
        tuple(a[name] for name in initial_names(cell)),
        mask=a.get("mask"),
        x_scale=a.get("x_scale"),
        h_scale=a.get("h_scale"),
        save=save,
        backend=backend,
        **flags,
    )


def tape_of(cell: Any, a: dict[str, Any], flags: dict[str, bool], backend: str) -> Tape:
    """The tape as the forward op made it; from a second forward pass if that op saved nothing."""
    if "saved" not in a:
        return run_forward(cell, a, flags, True, backend)[2]
    params, states = params_of(cell, a), tuple(a[name] for name in tape_names(cell))
    name = backends.usable(backend, cell, params, a["x"])
    scales = (a.get("x_scale"), a.get("h_scale"))
    return Tape(cell, params, a["x"], states, a["saved"], a.get("mask"), flags["go_backwards"], flags["zero_masked_outputs"], *scales, name)


def backward_op(
    cell: Any,
    groups: dict[str, tuple[str, ...]],
    wrt: tuple[str, ...],
    tensors: dict[str, Tensor],
    flags: dict[str, bool],
    backend: str,
    native: bool,
) -> dict[str, Tensor]:
    """Gradients by input name for the groups in wrt, from the forward op's inputs, its tape and the upstream gradients."""
    names, wanted = tuple(tensors), tuple(name for group in wrt for name in groups[group])

    def backward_arrays(*arrays):
        a = dict(zip(names, arrays))
        dstate = tuple(a[name] for name in upstream_names(cell))
        grads = backends.backward(tape_of(cell, a, flags, backend), a.get("dy"), dstate, wrt=wrt)
        found = {"x": [grads.x], "initial_state": grads.initial_state}
        if grads.params is not None:
            found["params"] = weights_of(cell, grads.params)
        return [array for group in wrt for array in found[group]]

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


def none_if_zero(tangent: Any) -> Any:
    """TensorFlow hands zeros where nobody asks; a tangent that is None costs nothing."""
    return tangent if tangent is not None and tangent.any() else None


def second_order_op(
    cell: Any,
    groups: dict[str, tuple[str, ...]],
    tensors: dict[str, Tensor],
    cotangents: dict[str, Tensor],
    flags: dict[str, bool],
    backend: str,
) -> dict[str, Tensor]:
    """The gradients of <cotangents, what backward_op returned>, by input name, for the groups of backward_op's inputs."""
    names, directions = tuple(tensors), tuple(cotangents)
    wanted = [name for members in groups.values() for name in members]

    def second_order_arrays(*arrays):
        a = dict(zip(names, arrays))
        v = dict(zip(directions, arrays[len(names) :]))
        parts = [v.get("x"), params_of(cell, v) if "kernel" in v else None, [v[name] for name in initial_names(cell) if name in v]]
        direction = Gradients(*tf.nest.map_structure(none_if_zero, parts))
        dstate = tuple(a[name] for name in upstream_names(cell))
        second = second_order.backward_vjp(tape_of(cell, a, flags, backend), a.get("dy"), dstate, direction, wrt=tuple(groups))
        found = {"x": [second.x], "initial_state": second.initial_state, "dy": [second.dy], "dstate": second.dstate}
        if second.params is not None:
            found["params"] = weights_of(cell, second.params)
        return [array for group in groups for array in found[group]]

    @tf.custom_gradient
    def op(*inputs):
        found = cuda_bridge.call(second_order_arrays, list(inputs), [tensors["x"].dtype] * len(wanted), backend)
        for name, gradient in zip(wanted, found):
            gradient.set_shape(tensors[name].shape)

        def no_third_order(*upstream):
            raise NotImplementedError(THIRD_ORDER)

        return found, no_third_order

    return dict(zip(wanted, op(*tensors.values(), *cotangents.values())))
