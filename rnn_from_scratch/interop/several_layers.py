"""Weights of several layers and of two directions, where a framework holds them in one set of arrays.

    torch   a name ends with its layer and its direction: weight_ih_l0, weight_ih_l0_reverse, weight_ih_l1, ...
    ONNX    axis 0 of every array: the forward direction, then the backward one; a node is one layer

Ours are a list with one item for each layer: its parameters, or (forward, backward) where it runs in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .. import params as check
from ..typing import Array, ListedCell
from .weight_layouts import ArrayLayout, WeightLayout

Params: TypeAlias = dict[str, Array]
Layers: TypeAlias = list[Params | tuple[Params, Params]]
Slots: TypeAlias = list[ArrayLayout]
FIRST = "_l0"  # ends the names of a layout whose names count layers


def slots_by_layer(slots: Slots, arrays: Any) -> list[list[Slots]]:
    """For each layer and each of its directions the slots, by the names that they have in `arrays`."""
    if not isinstance(arrays, Mapping) or not slots[0].name.endswith(FIRST):
        return [[slots]]
    plain = {slot.name.removesuffix(FIRST): slot for slot in slots}
    if arrays and set(arrays) <= set(plain):  # torch.nn.LSTMCell: one step has no layers
        return [[[slot._replace(name=name) for name, slot in plain.items()]]]
    found = [m for m in (re.fullmatch(r"(\w+?)_l(\d+)(_reverse)?", str(name)) for name in arrays) if m and m[1] in plain]
    count = min(1 + max((int(m[2]) for m in found), default=0), 1 + len(arrays))
    directions = ("", "_reverse") if any(m[3] for m in found) else ("",)
    return [
        [[slot._replace(name=f"{name}_l{k}{end}") for name, slot in plain.items()] for end in directions]  # one direction
        for k in range(count)
    ]


def by_direction(slots: Slots, arrays: Params) -> list[Params]:
    """The arrays of each direction, where axis 0 holds one or two; else the arrays as they are."""
    first = arrays[slots[0].name]
    if not slots[0].shape.startswith("1 ") or first.ndim < 1 or first.shape[0] != 2:
        return [arrays]
    for slot in slots:
        shape = arrays[slot.name].shape
        if not shape or shape[0] != 2:
            raise ValueError(f"{slot.name}: expected 2 directions in axis 0, as {slots[0].name} has, got shape {list(shape)}")
    return [{name: array[k : k + 1] for name, array in arrays.items()} for k in range(2)]


def as_layers(params: Any, cell: ListedCell) -> list[tuple[Params, ...]]:
    """The layers, each as a tuple of its directions. Raises ValueError or TypeError if they do not fit together."""
    layers = [tuple(layer) if isinstance(layer, (tuple, list)) else (layer,) for layer in params]
    counts = [len(layer) for layer in layers]
    if not layers or max(counts) > 2 or min(counts) != max(counts) or counts[0] == 0:
        wanted = "a list of layers: parameters each, or (forward, backward) each"
        raise ValueError(f"params: expected {wanted}, for {check.cell_name(cell)}; got {len(layers)} layers of {counts} directions")
    return layers


def check_widths(layers: Sequence[Sequence[Params]], cell: ListedCell) -> None:
    """Raise ValueError unless each layer takes what the layer before it gives: H numbers from each direction."""
    for k, layer in enumerate(layers):
        width = sum(len(params["Wh"]) for params in layers[k - 1]) if k else len(layer[0]["Wx"])
        for params, direction in zip(layer, ("", ", backward")):
            if len(params["Wx"]) != width:
                before = f"{len(layer)} H = {width}, which layer {k - 1} gives" if k else f"{width}, as in its other direction"
                wanted = f"inputs of layer {k}{direction}: expected I = {before}"
                raise ValueError(f"{wanted}, for {check.cell_name(cell)}, got {len(params['Wx'])}")


def together(layout: WeightLayout, layers: list[list[Params]]) -> Params:
    """The framework's arrays of all layers and directions in one dict. Raises ValueError where the framework has no such form."""
    first = layers[0][0]
    if next(iter(first)).endswith(FIRST):
        return {
            f"{name.removesuffix(FIRST)}_l{k}{end}": array
            for k, layer in enumerate(layers)
            for end, arrays in zip(("", "_reverse"), layer)
            for name, array in arrays.items()
        }
    if len(layers) == 1 and (len(layers[0]) == 1 or layout.name == "ONNX"):
        return {name: np.concatenate([arrays[name] for arrays in layers[0]]) for name in first}
    shown = f"{len(layers)} layers, {len(layers[0])} direction{'s' * (len(layers[0]) > 1)}"
    raise ValueError(f"params: {layout.name} has {shown} in no one set of arrays; convert the parameters of each by itself")


def hint(unknown: Sequence[Any], known: Sequence[str]) -> str:
    """What names that a framework's layer does not have may come from."""
    for name in map(str, unknown):
        if name.startswith("weight_hr"):
            return "; proj_size: no cell here projects its state"
        prefix = next((name.removesuffix(k) for k in known if name.endswith(f".{k}")), "")
        if prefix:
            return f"; give the state_dict of {prefix.rstrip('.')} alone, whose names begin behind {prefix!r}"
    return ""
