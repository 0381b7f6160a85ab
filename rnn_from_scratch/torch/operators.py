"""Forward, backward, forward mode and double backward as operators of torch: each is one opaque call for torch.compile.

An operator takes and returns plain tensors and knows no autograd; function.py differentiates. The first argument is the text of a Call,
tensors are laid out as layout.py says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .. import backends
from ..bptt import Gradients, Tape
from . import cuda, prepared
from .layout import Layer, array, layer_of, maybe

Tensor = torch.Tensor
Tensors = list[Tensor]


# scales: the mask of live steps [B,T], x_scale [B,I] and h_scale [B,H] of dropout, each of which may be None
GIVEN = "str call, Tensor x, Tensor[] states, Tensor[] weights, Tensor?[] scales"
SCHEMAS = {
    "forward": f"({GIVEN}, bool save) -> Tensor[]",
    "backward": f"({GIVEN}, Tensor[] tape, Tensor? dy, Tensor?[] dfinal, bool[] wrt) -> Tensor[]",
    "jvp": f"({GIVEN}, Tensor? x_t, Tensor?[] states_t, Tensor?[] weights_t) -> Tensor[]",
    "backward_vjp": f"({GIVEN}, Tensor? dy, Tensor?[] dfinal, Tensor? x_t, Tensor?[] states_t, Tensor?[] weights_t) -> Tensor[]",
}
for name, schema in SCHEMAS.items():
    torch.library.define(f"rnn_from_scratch::{name}", schema, tags=(torch.Tag.pt2_compliant_tag,))


def forward(call: str, x: Tensor, states: Tensors, weights: Tensors, scales: Sequence[Tensor | None], save: bool) -> Tensors:
    """[y, *final states]; if `save`, then what the tape holds: [*states, saved]."""
    layer = layer_of(call)
    operands, shapes = layer.operands(weights), layer.results_of_forward(x, layer.units(weights), save)
    given = [t for t in (x, *operands, *scales, *states) if t is not None]
    key = (call, save, len(states), *[t is None for t in scales], *prepared.kind(given))
    ready = prepared.find("forward", key, x.dtype)
    if ready is not None:
        made = prepared.empty(x.dtype, shapes)
        ready([*given, *made])
        return made
    for tensor in given:
        cuda.check_device("parameter", tensor, x)  # all others were checked before
    y = x.new_empty(shapes[0])
    live, x_scale, h_scale = map(maybe, scales)
    a, params, s0 = layer.sequence(x), layer.params(operands), tuple(map(array, states))
    options = {"x_scale": x_scale, "h_scale": h_scale, "save": save, "backend": layer.backend, "out": layer.steps(y)}
    options.update(go_backwards=layer.reverse, zero_masked_outputs=layer.zero_masked, precision=layer.precision)
    _, state, tape = backends.forward(layer.cell, params, a, s0 or None, mask=live, **options)
    if backends.usable(layer.backend, layer.cell, params, a) == "native":
        made = prepared.empty(x.dtype, shapes)
        fields = [*prepared.inputs(layer, scales), *prepared.by_state("initial", states), "y", *prepared.by_state("final", state)]
        fields += [*prepared.by_state("states", state), "saved"] if save else []
        arrays = [a, *params.values(), *map(array, given[1 + len(params) :]), layer.steps(made[0]), *map(array, made[1:])]
        prepared.keep("forward", key, layer, dict(zip(fields, arrays, strict=True)), [*given, *made])
    return [y, *map(torch.from_numpy, (*state, *(() if tape is None else (*tape.states, tape.saved))))]


@torch.library.register_fake("rnn_from_scratch::forward")
def forward_fake(call: str, x: Tensor, states: Tensors, weights: Tensors, scales: Sequence[Tensor | None], save: bool) -> Tensors:
    layer = layer_of(call)
    return [x.new_empty(shape) for shape in layer.results_of_forward(x, layer.units(weights), save)]


def backward(
    call: str,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    scales: Sequence[Tensor | None],
    tape: Tensors,
    dy: Tensor | None,
    dfinal: Sequence[Tensor | None],
    wrt: Sequence[bool],
) -> Tensors:
    """The gradients by x, the initial states and the weights, of those that wrt asks for: [dx, *ds0, *dweights]."""
    layer = layer_of(call)
    operands = layer.operands(weights)
    if dy is not None and dy.stride(-1) != 1:
        dy = dy.contiguous()  # of a sum, say, it is one number that is said to be many
    dfinal = [d if d is None else d.contiguous() for d in dfinal]
    given = [t for t in (x, *operands, *scales, *tape, dy, *dfinal) if t is not None]
    shapes, many = layer.results_of_backward(x, tape, operands, wrt), wrt[0] + wrt[1] * len(dfinal)
    key = (call, *wrt, *[t is None for t in (*scales, dy, *dfinal)], *prepared.kind(given))
    ready = prepared.find("backward", key, x.dtype)
    if ready is not None:
        made = prepared.empty(x.dtype, shapes)
        ready([*given, *made])
        return made[:many] + (layer.gradients(layer.turned(made[many:])) if wrt[2] else [])
    groups = tuple(name for name, asked in zip(("x", "initial_state", "params"), wrt) if asked)
    cell, a, params, upstream = layer.cell, layer.sequence(x), layer.params(operands), layer.upstream(dy)
    live, x_scale, h_scale = map(maybe, scales)
    backend = backends.usable(layer.backend, cell, params, a)
    held, saved = tuple(map(array, tape[:-1])), array(tape[-1])
    options = (layer.reverse, layer.zero_masked, x_scale, h_scale, backend)
    before = Tape(cell, params, a, held, saved, live, *options, precision=layer.precision)
    grads = backends.backward(before, upstream, tuple(map(maybe, dfinal)), wrt=groups)
    if backend == "native":
        made = prepared.empty(x.dtype, shapes)
        fields = [*prepared.inputs(layer, scales), *prepared.by_state("states", held), "saved", *["dy"] * (dy is not None)]
        fields += [*prepared.by_state("dfinal", dfinal), *["dx"] * wrt[0], *prepared.by_state("dinitial", held) * wrt[1]]
        fields += prepared.parameters(layer, "d") * wrt[2]
        arrays = [a, *params.values(), *map(array, given[1 + len(params) :])]
        if dy is not None:
            arrays[fields.index("dy")] = upstream
        arrays += [*map(layer.sequence, made[: wrt[0]]), *map(array, made[wrt[0] : many])]
        arrays += map(array, layer.turned(made[many:]) if wrt[2] else [])
        prepared.keep("backward", key, layer, dict(zip(fields, arrays, strict=True)), [*given, *made])
    return flat(layer, grads)


def flat(layer: Layer, grads: Any) -> Tensors:
    """Gradients as tensors in the layout of x and of the weights, those that are None left out."""
    found: Tensors = []
    if grads.x is not None:
        dx = torch.from_numpy(grads.x)
        found.append(dx.transpose(0, 1).contiguous() if layer.time_major else dx.contiguous())
    found += map(torch.from_numpy, grads.initial_state or ())
    return found + (layer.gradients(list(map(torch.from_numpy, grads.params.values()))) if grads.params else [])


@torch.library.register_fake("rnn_from_scratch::backward")
def backward_fake(
    call: str,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    scales: Sequence[Tensor | None],
    tape: Tensors,
    dy: Tensor | None,
    dfinal: Sequence[Tensor | None],
    wrt: Sequence[bool],
) -> Tensors:
    like = [x] * wrt[0] + [tape[k][:, 0] for k in range(len(tape) - 1)] * wrt[1] + weights * wrt[2]
    return [x.new_empty(a.shape) for a in like]


def start(layer: Layer, x: Tensor, states: Tensors, weights: Tensors, scales: Sequence[Tensor | None]) -> Tape:
    """A tape that holds no more than the initial state: second order runs forward itself, on numbers that carry tangents."""
    live, x_scale, h_scale = map(maybe, scales)
    cell, a, params = layer.cell, layer.sequence(x), layer.params(layer.operands(weights))
    zeros = np.zeros((len(a), len(params["Wh"])), a.dtype)
    s0 = tuple(s[:, None] for s in map(maybe, states)) or (zeros[:, None],) * len(cell.states)
    backend = backends.usable(layer.backend, cell, params, a)
    options = (layer.reverse, layer.zero_masked, x_scale, h_scale, backend)
    return Tape(cell, params, a, s0, None, live, *options, recompute_every=a.shape[1], precision=layer.precision)


def tangents(
    layer: Layer, x_t: Tensor | None, states_t: Sequence[Tensor | None], weights_t: Sequence[Tensor | None], weights: Tensors
) -> Any:
    """A direction over x, the weights and the initial states, under our names; without parameters that do not move."""
    params = None
    if any(w is not None for w in weights_t):
        moving = layer.params(layer.operands([torch.zeros_like(w) if t is None else t for t, w in zip(weights_t, weights)]))
        params = {name: a for name, a in moving.items() if a.any()}
    states = tuple(map(maybe, states_t)) if states_t else None
    return Gradients(None if x_t is None else layer.sequence(x_t), params, states)  # type: ignore[arg-type]


def jvp(
    call: str,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    scales: Sequence[Tensor | None],
    x_t: Tensor | None,
    states_t: Sequence[Tensor | None],
    weights_t: Sequence[Tensor | None],
) -> Tensors:
    """The tangents of [y, *final states]; None is a tangent of zero."""
    layer = layer_of(call)
    direction = tangents(layer, x_t, states_t, weights_t, weights)
    found = backends.second_order.jvp(start(layer, x, states, weights, scales), *vars(direction).values())
    return [layer.outputs(found.y), *map(torch.from_numpy, found.state)]


def backward_vjp(
    call: str,
    x: Tensor,
    states: Tensors,
    weights: Tensors,
    scales: Sequence[Tensor | None],
    dy: Tensor | None,
    dfinal: Sequence[Tensor | None],
    x_t: Tensor | None,
    states_t: Sequence[Tensor | None],
    weights_t: Sequence[Tensor | None],
) -> Tensors:
    """The gradients of <cotangents, backward(dy, dfinal)>: [dx, *ds0, *dweights, ddy, *ddfinal]."""
    layer = layer_of(call)
    tape = start(layer, x, states, weights, scales)
    cotangents = tangents(layer, x_t, states_t, weights_t, weights)
    found = backends.second_order.backward_vjp(tape, layer.upstream(dy), tuple(map(maybe, dfinal)), cotangents)
    return [*flat(layer, found), layer.outputs(found.dy), *map(torch.from_numpy, found.dstate)]


for function in (forward, backward, jvp, backward_vjp):
    torch.library.impl(f"rnn_from_scratch::{function.__name__}", "cpu", function)
