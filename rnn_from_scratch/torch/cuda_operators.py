"""The operators of operators.py for tensors on CUDA: the same schemas and results, on the cuda backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .. import backends
from ..bptt import Gradients, Tape
from .cuda import on_gpu
from .layout import Layer, layer_of

Tensor = torch.Tensor
Tensors = list[Tensor]
Maybe = Sequence[Tensor | None]


def steps(layer: Layer, y: Any) -> Any:
    """y or its like as the module has it -> [B,T,...] in the order in which the steps are made."""
    return None if y is None else layer.flipped(layer.batch_major(y))


def outputs(layer: Layer, y: Any) -> Any:
    """Undoes steps."""
    return layer.batch_major(layer.flipped(y))


def params(layer: Layer, weights: Tensors) -> dict[str, Tensor]:
    """Our parameters by name, still tensors."""
    return dict(zip(layer.names, layer.operands(weights)))


def by_weights(layer: Layer, found: Tensors, begin: int) -> Tensors:
    """Gradients, of which those by our parameters begin there -> with those by torch's weights: undoes params."""
    end = begin + len(layer.names)
    return [*found[:begin], *layer.gradients(found[begin:end]), *found[end:]]


def forward(call: str, x: Tensor, states: Tensors, weights: Tensors, scales: Maybe, save: bool) -> Tensors:
    """[y, *final states]; if `save`, then what the tape holds: [*states, saved]."""
    layer = layer_of(call)

    def run(x: Any, s0: Any, params: Any, scales: Any) -> list[Any]:
        live, x_scale, h_scale = scales
        flags = {"go_backwards": layer.reverse, "zero_masked_outputs": layer.zero_masked, "x_scale": x_scale, "h_scale": h_scale}
        x = layer.batch_major(x)
        y, state, tape = backends.forward(layer.cell, params, x, s0 or None, mask=live, save=save, backend="cuda", **flags)
        return [outputs(layer, y), *state, *(() if tape is None else (*tape.states, tape.saved))]

    return on_gpu(run, x, states, params(layer, weights), scales)


def backward(
    call: str,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    scales: Maybe,
    tape: Tensors,
    dy: Tensor | None,
    dfinal: Maybe,
    wrt: Sequence[bool],
) -> Tensors:
    """The gradients by x, the initial states and the weights, of those that wrt asks for: [dx, *ds0, *dweights]."""
    layer = layer_of(call)
    groups = tuple(name for name, asked in zip(("x", "initial_state", "params"), wrt) if asked)

    def run(x: Any, params: Any, scales: Any, tape: Any, dy: Any, dfinal: Any) -> list[Any]:
        made = tape_of(layer, x, params, scales, tape[:-1], tape[-1])
        return flat(layer, backends.backward(made, steps(layer, dy), dfinal, wrt=groups))

    found = on_gpu(run, x, params(layer, weights), scales, tape, dy, dfinal)
    return by_weights(layer, found, len(found) - len(layer.names)) if wrt[2] else found


def tape_of(layer: Layer, x: Any, params: Any, scales: Any, states: Any, saved: Any, **more: Any) -> Tape:
    live, x_scale, h_scale = scales
    options = (layer.reverse, layer.zero_masked, x_scale, h_scale, "cuda")
    return Tape(layer.cell, params, layer.batch_major(x), states, saved, live, *options, **more)


def flat(layer: Layer, grads: Any) -> list[Any]:
    """Gradients in a row, dx as the module has x, those that are None left out."""
    dx = [] if grads.x is None else [layer.batch_major(grads.x)]
    return [*dx, *(grads.initial_state or ()), *(grads.params or {}).values()]


def initial(layer: Layer, x: Tensor, states: Tensors, weights: Tensors) -> Tensors:
    """The initial states [B,H], zeros if there are none."""
    zeros = [x.new_zeros(x.shape[1 if layer.time_major else 0], layer.units(weights))]
    return states or zeros * len(layer.cell.states)


def start(layer: Layer, x: Any, params: Any, scales: Any, states: Any) -> Tape:
    """A tape that holds no more than the initial states: second order runs forward itself, on numbers that carry tangents."""
    every_step = layer.batch_major(x).shape[1]
    return tape_of(layer, x, params, scales, tuple(s[:, None] for s in states), None, recompute_every=every_step)


def moving(layer: Layer, weights: Tensors, weights_t: Maybe) -> dict[str, Tensor] | None:
    """The tangents of our parameters; None if none moves."""
    if all(t is None for t in weights_t):
        return None
    return params(layer, [torch.zeros_like(w) if t is None else t for t, w in zip(weights_t, weights)])


def jvp(
    call: str, x: Tensor, states: Tensors, weights: Tensors, scales: Maybe, x_t: Tensor | None, states_t: Maybe, weights_t: Maybe
) -> Tensors:
    """The tangents of [y, *final states]; None is a tangent of zero."""
    layer = layer_of(call)

    def run(x: Any, params: Any, scales: Any, states: Any, x_t: Any, params_t: Any, states_t: Any) -> list[Any]:
        direction = None if x_t is None else layer.batch_major(x_t), params_t, states_t or None
        found = backends.second_order.jvp(start(layer, x, params, scales, states), *direction)
        return [outputs(layer, found.y), *found.state]

    begin = params(layer, weights), scales, initial(layer, x, states, weights)
    return on_gpu(run, x, *begin, x_t, moving(layer, weights, weights_t), states_t)


def backward_vjp(
    call: str,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    scales: Maybe,
    dy: Tensor | None,
    dfinal: Maybe,
    x_t: Tensor | None,
    states_t: Maybe,
    weights_t: Maybe,
) -> Tensors:
    """The gradients of <cotangents, backward(dy, dfinal)>: [dx, *ds0, *dweights, ddy, *ddfinal]."""
    layer = layer_of(call)

    def run(x: Any, params: Any, scales: Any, states: Any, dy: Any, dfinal: Any, x_t: Any, params_t: Any, states_t: Any) -> list[Any]:
        cotangents: Any = Gradients(None if x_t is None else layer.batch_major(x_t), params_t, states_t or None)  # type: ignore[arg-type]
        tape = start(layer, x, params, scales, states)
        found = backends.second_order.backward_vjp(tape, steps(layer, dy), dfinal, cotangents)
        return [*flat(layer, found), outputs(layer, found.dy), *found.dstate]

    begin = params(layer, weights), scales, initial(layer, x, states, weights)
    found = on_gpu(run, x, *begin, dy, dfinal, x_t, moving(layer, weights, weights_t), states_t)
    return by_weights(layer, found, 1 + len(layer.cell.states))


for function in (forward, backward, jvp, backward_vjp):
    torch.library.impl(f"rnn_from_scratch::{function.__name__}", "cuda", function)
