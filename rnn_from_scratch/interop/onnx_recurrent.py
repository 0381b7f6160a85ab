"""Recurrent layers of a Keras model as ONNX operators: to_onnx makes each cell, here stand masks, states and directions.

A masked step changes no state. So the live steps of each row are moved to its front, the operator runs over as many as there are
(its sequence_lens), and each step then takes the output of the last live step up to it. That is right for every pattern of masks.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from .conventions import from_framework
from .onnx_graph import ModelGraph, Value, title
from .onnx_layers import activation_name, floats
from .to_onnx import FUNCTIONS, to_onnx

LAYERS = ("RNN", "Bidirectional", *(cell.__name__ for cell in CELLS.values()))  # in keras.layers
OURS = "rnn_from_scratch>"  # what the registered names of rnn_from_scratch.layers begin with
NEGATIVE = np.iinfo(np.int64).min


def is_ours(layer: Any) -> bool:
    import keras

    return keras.saving.get_registered_name(type(layer)).startswith(OURS)


def is_recurrent(layer: Any) -> bool:
    """Whether this is a recurrent layer, or Bidirectional, of Keras or of rnn_from_scratch.layers: the very class."""
    import keras

    name = type(layer).__name__
    return (name in LAYERS and type(layer) is getattr(keras.layers, name, None)) or (hasattr(layer, "cell") and is_ours(layer))


def cell_and_params(layer: Any, cell: Any) -> tuple[Any, dict[str, Any]]:
    """A Keras cell, or a cell of rnn_from_scratch.layers, as a cell of this package with its parameters."""
    import keras

    if is_ours(cell):
        if cell.unknown:
            raise ValueError(f"{title(layer)}: {cell.unknown}")
        return cell.maths, cell.params()
    name = type(cell).__name__
    known = {f"{kind.__name__}Cell": kind for kind in CELLS.values()}
    if name not in known or type(cell) is not getattr(keras.layers, name, None):
        raise ValueError(f"{title(layer)}: expected a cell of Keras or of rnn_from_scratch.layers, got {title(cell)}")
    options = {field.name: getattr(cell, field.name) for field in fields(known[name])}
    for argument in ("activation", "recurrent_activation"):
        if argument in options:
            options[argument] = activation_name(cell, argument)
            if options[argument] not in FUNCTIONS:
                raise ValueError(f"{title(layer)}: {argument}: expected one of {', '.join(FUNCTIONS)}, got {options[argument]}")
    maths = known[name](**options)
    return maths, from_framework("keras3", maths, cell.get_weights())


class Steps(NamedTuple):
    """Where the live steps of a mask lie."""

    live: str  # [B,T] bool: the mask
    order: str  # [B,T]: the live steps of each row first, in their order
    lengths: str  # [B]: how many there are
    last: str  # [B,T]: for every step, the place in `order` of the last live step up to it; 0 before the first
    any_yet: str  # [B,T] bool: whether there was one


def live_steps(graph: ModelGraph, mask: str) -> Steps:
    axis, zero, one = graph.value("axis", [1]), graph.value("zero", 0), graph.value("one", 1)
    live = graph.cast(mask, "int64")
    T = graph.add("Gather", graph.add("Shape", mask), axis)
    steps = graph.add("Range", zero, graph.add("Squeeze", T), one)
    count = graph.add("CumSum", live, one)
    keys = graph.add("Where", mask, steps, graph.add("Add", steps, T))
    _, order = graph.add_two("TopK", keys, T, axis=1, largest=0)
    last = graph.add("Max", graph.add("Sub", count, one), zero)
    return Steps(mask, order, graph.add("ReduceSum", live, axis, keepdims=0), last, graph.add("Greater", count, zero))


def at_steps(graph: ModelGraph, x: str, steps: str) -> str:
    """x [B,T,K] at the given step [B,T] of each row."""
    return graph.add("GatherND", x, graph.add("Unsqueeze", steps, graph.value("axis", [2])), batch_dims=1)


def flipped(graph: ModelGraph, x: str) -> str:
    """x with its time axis reversed."""
    last = graph.value("last", [-1])
    return graph.add("Slice", x, last, graph.value("end", [NEGATIVE]), graph.value("axis", [1]), last)


def run_cell(graph: ModelGraph, name: str, maths: Any, params: Any, x: str, states: list[str], lengths: str | None) -> Any:
    """One cell over time, forward -> its outputs [B,T,H] and its final states."""
    masking = "lengths" if lengths else None
    model = to_onnx(maths, params, masking=masking, initial_state=bool(states), zero_masked_outputs=True)
    feeds = {"x": x, **({"lengths": lengths} if lengths else {})}
    feeds.update({f"initial_{s}": state for s, state in zip(maths.states, states)})
    y, *final = graph.inline(model, name, feeds).values()
    return y, final


def state_sizes(cells: list[Any]) -> list[tuple[str, int]]:
    """Name and size of every state of a layer; those of stacked cells are numbered: 0_h, 0_c, 1_h, ..."""
    number = [f"{i}_" if len(cells) > 1 else "" for i in range(len(cells))]
    return [(n + s, params["Wh"].shape[0]) for n, (maths, params) in zip(number, cells) for s in maths.states]


def recurrent(graph: ModelGraph, layer: Any, x: Value, states: list[str], mask: str | None) -> list[Value]:
    """A layer: its output and, with return_state, its final states.

    states    the names of its initial states; [] for zeros
    mask      what the layer is given, which is not always x.mask: Keras gives none beside an initial state
    """
    name, sequence = layer.name, floats(graph, x)
    cells = [cell_and_params(layer, cell) for cell in getattr(layer.cell, "cells", [layer.cell])]
    if layer.stateful and any(output.name == f"{name}_{state_sizes(cells)[0][0]}" for output in graph.state_outputs):
        raise ValueError(f"{title(layer)}: stateful and called twice: the second call begins where the first ends; use stateful=False")
    if layer.stateful and not states:
        states = [graph.declare(graph.state_inputs, f"{name}_initial_{s}", "float32", [H]) for s, H in state_sizes(cells)]
    if layer.go_backwards:
        sequence, mask = flipped(graph, sequence), mask and flipped(graph, mask)
    steps = live_steps(graph, mask) if mask else None
    y, final = at_steps(graph, sequence, steps.order) if steps else sequence, []
    for maths, params in cells:
        first, states = states[: len(maths.states)], states[len(maths.states) :]
        y, last = run_cell(graph, name, maths, params, y, first, steps and steps.lengths)
        final += last
    if steps:
        shown = steps.live if layer.zero_output_for_mask else steps.any_yet
        column = graph.add("Unsqueeze", shown, graph.value("axis", [2]))
        y = graph.add("Where", column, at_steps(graph, y, steps.last), graph.value("zero", np.float32(0)))
    if not layer.return_sequences:
        y = graph.add("Gather", y, graph.value("last", -1), axis=1)
    if layer.stateful:
        for (s, H), state in zip(state_sizes(cells), final):
            graph.node("Identity", [state], graph.declare(graph.state_outputs, f"{name}_{s}", "float32", [H]))
    output = Value(y, "float32", x.mask if layer.return_sequences else None)
    return [output, *(Value(state, "float32") for state in final if layer.return_state)]


MERGES = {"sum": "Add", "ave": "Add", "mul": "Mul"}


def bidirectional(graph: ModelGraph, layer: Any, x: Value, states: list[str], mask: str | None) -> list[Value]:
    """Both directions, merged; the second one's outputs are turned back into the order of x."""
    for part in (layer.forward_layer, layer.backward_layer):
        if not is_recurrent(part):
            raise ValueError(f"{title(layer)}: expected layers of Keras or of rnn_from_scratch.layers, got {title(part)}")
    half = len(states) // 2
    y, *final = recurrent(graph, layer.forward_layer, x, states[:half], mask)
    back, *final_back = recurrent(graph, layer.backward_layer, x, states[half:], mask)
    if layer.return_sequences:
        back = back._replace(name=flipped(graph, back.name))
    final += final_back
    if layer.merge_mode is None:
        return [y, back, *final]
    if layer.merge_mode == "concat":
        merged = graph.add("Concat", y.name, back.name, axis=-1)
    else:
        merged = graph.add(MERGES[layer.merge_mode], y.name, back.name)
    if layer.merge_mode == "ave":
        merged = graph.add("Mul", merged, graph.value("half", np.float32(0.5)))
    return [y._replace(name=merged), *final]
