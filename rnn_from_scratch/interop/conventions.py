"""Weights of other frameworks, in and out: to_framework and from_framework, driven by the table in weight_layouts.py.

    arrays = to_framework("torch", cell, params)          # name -> array, in the framework's order
    params = from_framework("torch", cell, arrays)        # and back, bit-exact wherever no arithmetic is involved

In between stands one normal form, that of parts.py. Several layers and two directions are a list of parameters here: several_layers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import params as check
from ..array_kinds import as_numpy, is_tensor, of_tensor
from ..cells import form_name
from ..typing import Array, ListedCell
from .parts import block, checked, columns_of, forget_signs, join, merged, split
from .several_layers import Layers, as_layers, by_direction, check_widths, hint, slots_by_layer, together
from .weight_layouts import LAYOUTS, SLOPE, ArrayLayout, Row, WeightLayout, describe, kind

__all__ = ["LAYOUTS", "PASSPORTS", "describe", "from_framework", "join", "kind", "layout_row", "passport_row", "split", "to_framework"]
UNREAD = "-"  # in a layout's gates


def layout_row(framework: str, cell: ListedCell) -> tuple[WeightLayout, Row]:
    """The layout and its row for a cell. Raises ValueError if the framework is unknown or cannot compute this cell."""
    if framework not in LAYOUTS:
        raise ValueError(f"framework: expected one of {', '.join(LAYOUTS)}, got {framework!r}")
    layout = LAYOUTS[framework]
    if form_name(cell) not in layout.rows:
        having = [name for name, other in LAYOUTS.items() if form_name(cell) in other.rows]
        raise ValueError(f"framework: {layout.name} has no {form_name(cell)}; {', '.join(having) or 'none here'} has")
    row = layout.rows[form_name(cell)]
    for argument, known in (("activation", row.activations), ("recurrent_activation", row.recurrent_activations)):
        if getattr(cell, argument, None) not in (None, *known.split()):
            raise ValueError(f"{argument}: {layout.name} {row.called} has {known}, got {getattr(cell, argument)!r}")
    return layout, row


PASSPORTS, passport_row = LAYOUTS, layout_row  # the same by the names that they had first


def gate_factors(layout: WeightLayout, cell: ListedCell, slope: float | None, rescale: bool) -> dict[str, float]:
    """Gate -> what turns their pre-activation into ours, for gates whose hard_sigmoid has another slope there; {} if none has."""
    sigma, phi = getattr(cell, "recurrent_activation", None), cell.activation
    gates = [gate for gate in cell.gates if (phi if gate in cell.candidates else sigma) == "hard_sigmoid"]
    theirs = layout.slope if slope is None else slope
    if not gates or theirs is None or theirs == SLOPE:
        return {}
    told = f"hard_sigmoid: {layout.name}'s is clip({theirs:g} a + 0.5, 0, 1), ours is clip(a / 6 + 0.5, 0, 1)"
    if phi == "hard_sigmoid" and "c" in cell.states:
        raise ValueError(f"{told}; {check.cell_name(cell)} applies it to the cell state too, so no weights make them equal")
    if not rescale:
        raise ValueError(f"{told}; pass rescale=True to multiply the weights and biases of {', '.join(gates)} so that they agree")
    return dict.fromkeys(gates, theirs / SLOPE)


def adapt(cell: ListedCell, parts: dict[str, Array], row: Row, factors: dict[str, float], forget_bias: float | None, inwards: bool):
    """The arithmetic, in place: the forget bias, and hard_sigmoid's slope. No framework has both at one gate."""
    offset = row.forget_bias if forget_bias is None else forget_bias
    if forget_bias is not None and not row.forget_bias:
        raise ValueError(f"forget_bias: {row.called} adds none at run time; expected None, got {forget_bias!r}")
    for gate, sign in forget_signs(cell).items() if offset else ():
        bias = block(parts["bx"], cell.gates, gate)
        bias += sign * offset if inwards else -sign * offset
    for gate, factor in factors.items():
        for name, part in parts.items():
            if gate in columns_of(cell, name):
                view = block(part, columns_of(cell, name), gate)
                view *= factor if inwards else 1 / factor


def used_arrays(row: Row, cell: ListedCell) -> list[ArrayLayout]:
    return [slot for slot in row.slots if getattr(cell, "use_bias", True) or not slot.optional]


def to_framework(
    framework: str,
    cell: ListedCell,
    params: dict[str, Array] | Layers,
    *,
    forget_bias: float | None = None,
    slope: float | None = None,
    rescale: bool = False,
) -> dict[str, Array]:
    """Our parameters as a framework's arrays.

    framework    a key of LAYOUTS: keras3, keras2, tf1, block_lstm, block_lstm_v2, torch, onnx, cudnn
    cell, params as in forward; torch and ONNX also take a list of layers, each parameters or (forward, backward), as from_framework
                 returns it
    forget_bias  what their cell adds to the forget gate at run time (TF1 and BlockLSTM; their default is 1); subtracted from b
    slope        of their hard_sigmoid, where the framework leaves it open (ONNX alpha); the default is in the layout
    rescale      allow the gates' weights to be multiplied so that a hard_sigmoid of another slope computes the same

    Returns name -> array in the framework's order, fresh, in the dtype of params. Raises ValueError or TypeError: unknown
    framework, a cell or activation that it does not have, wrong parameters, a hard_sigmoid of another slope without rescale=True.

    >>> from rnn_from_scratch import cells, init_params
    >>> from rnn_from_scratch.verify.conventions import to_framework
    >>> arrays = to_framework("torch", cells.LSTM(), init_params(cells.LSTM(), inputs=3, units=5))
    >>> {name: array.shape for name, array in arrays.items()}
    {'weight_ih_l0': (20, 3), 'weight_hh_l0': (20, 5), 'bias_ih_l0': (20,), 'bias_hh_l0': (20,)}
    """
    layout, row = layout_row(framework, cell)
    factors = gate_factors(layout, cell, slope, rescale)
    if not isinstance(params, (list, tuple)):
        return to_one(cell, params, row, factors, forget_bias)
    layers = [[checked(cell, direction) for direction in layer] for layer in as_layers(params, cell)]
    check_widths(layers, cell)
    return together(layout, [[to_one(cell, direction, row, factors, forget_bias) for direction in layer] for layer in layers])


def to_one(cell: ListedCell, params: Any, row: Row, factors: dict[str, float], forget_bias: float | None) -> dict[str, Array]:
    """The arrays of one layer and direction."""
    parts = split(cell, checked(cell, params))
    adapt(cell, parts, row, factors, forget_bias, inwards=False)
    I, H = parts["Wx"].shape[0], parts["Wh"].shape[0]
    arrays = {}
    for slot in used_arrays(row, cell):
        gates = (slot.gates or row.gates).split()
        stack = []
        for name in slot.parts.split():
            part = np.atleast_2d(merged(parts) if name == "b" else parts[name])
            empty = np.zeros((len(part), H), part.dtype)
            blocks = [empty if gate == UNREAD else block(part, columns_of(cell, name), gate) for gate in gates]
            stack.append(np.concatenate(blocks, axis=1))
        rows = np.concatenate(stack)
        arrays[slot.name] = np.array((rows.T if slot.turned else rows).reshape(shape_of(slot, len(gates), I, H)), order="C")
    return arrays


def shape_of(slot: ArrayLayout, G: int, I: int, H: int) -> tuple[int, ...]:
    sizes = {"I": I, "H": H, "GH": G * H, "2GH": 2 * G * H, "I+H": I + H, "1": 1, "2": 2}
    return tuple(sizes[letter] for letter in slot.shape.split())


def from_framework(
    framework: str,
    cell: ListedCell,
    arrays: Any,
    *,
    forget_bias: float | None = None,
    slope: float | None = None,
    rescale: bool = False,
) -> dict[str, Array] | Any:
    """A framework's arrays as our parameters: the inverse of to_framework.

    framework, cell               as for to_framework
    arrays                        name -> array with the names of the layout, or a list in its order (Keras' get_weights());
                                  NumPy arrays or torch tensors, as in a state_dict
    forget_bias, slope, rescale   as for to_framework, with the same errors

    Two biases of a one-bias cell are added up. With several layers or two directions (torch, ONNX) the result is a list with one
    item for each layer: its parameters, or (forward, backward). Raises ValueError too for missing, unknown or misshapen arrays,
    and for a bias or peepholes that are not zero where `cell` has none.
    """
    layout, row = layout_row(framework, cell)
    factors = gate_factors(layout, cell, slope, rescale)
    found: list[list[dict[str, Array]]] = []
    places = slots_by_layer(used_arrays(row, cell), arrays)
    arrays = named_arrays(layout, row, [slot for layer in places for slots in layer for slot in slots], arrays)
    for layer in places:
        given = [(slots, part) for slots in layer for part in by_direction(slots, arrays)]
        found.append([from_one(cell, part, row, slots, factors, forget_bias) for slots, part in given])
    check_widths(found, cell)
    if len(found) == len(found[0]) == 1:
        return found[0][0]
    return [tuple(layer) if len(layer) > 1 else layer[0] for layer in found]


def from_one(
    cell: ListedCell, arrays: dict[str, Array], row: Row, slots: list[ArrayLayout], factors: dict[str, float], forget_bias: float | None
) -> dict[str, Array]:
    """The parameters of one layer and direction."""
    I, H = sizes(slots[0], row, arrays)
    G, dtype = len(cell.gates), arrays[slots[0].name].dtype
    widths = {"Wx": (I, G * H), "Wh": (H, G * H), "bx": (G * H,), "bh": (G * H,), "p": (len(columns_of(cell, "p")) * H,)}
    parts = {name: np.zeros(shape, dtype) for name, shape in widths.items()}
    for slot in slots:
        array, gates = arrays[slot.name], (slot.gates or row.gates).split()
        letters = f"[{', '.join(slot.shape.split())}] with G = {len(gates)}"
        check.expect_shape(slot.name, array, letters, shape_of(slot, len(gates), I, H), cell)
        if array.dtype != dtype:
            raise TypeError(f"{slot.name}: expected {dtype} as {slots[0].name}, got {array.dtype}")
        rows = array.reshape(len(gates) * H, -1).T if slot.turned else array.reshape(-1, len(gates) * H)
        for name in slot.parts.split():
            part = parts["bx" if name == "b" else name]
            top, rows = np.split(rows, [part.size // part.shape[-1]])
            for gate in gates:
                if gate != UNREAD:
                    block(part, columns_of(cell, name), gate)[...] = block(top, gates, gate).reshape(*part.shape[:-1], H)
    adapt(cell, parts, row, factors, forget_bias, inwards=True)
    return checked(cell, join(cell, parts))


def named_arrays(layout: WeightLayout, row: Row, slots: list[ArrayLayout], arrays: Any) -> dict[str, Array]:
    """The arrays by name. Raises ValueError for a wrong number, missing or unknown names."""
    names, title = [slot.name for slot in slots], f"{layout.name} {row.called}"
    if not isinstance(arrays, Mapping):
        if len(arrays) != len(names):
            raise ValueError(f"arrays: expected {len(names)} for {title}: {', '.join(names)}; got {len(arrays)}")
        arrays = dict(zip(names, arrays))
    missing, unknown = [n for n in names if n not in arrays], [n for n in arrays if n not in names]
    if missing or unknown:
        found = f"missing {missing}, unknown {unknown}{hint(unknown, names)}"
        raise ValueError(f"arrays: expected exactly {', '.join(names)} for {title}; {found}")
    return {name: of_tensor(name, a, detach=True) if is_tensor(a) else as_numpy(name, a) for name, a in arrays.items()}


def sizes(slot: ArrayLayout, row: Row, arrays: dict[str, Array]) -> tuple[int, int]:
    """I and H, read off the first array, which holds Wx."""
    array, letters = arrays[slot.name], slot.shape.split()
    if array.ndim != len(letters):
        raise ValueError(f"{slot.name}: expected [{', '.join(letters)}], got {list(array.shape)}")
    found = dict(zip(letters, array.shape))
    H = found["GH"] // len((slot.gates or row.gates).split())
    return found["I"] if "I" in found else found["I+H"] - H, H
