"""How a call of a native kernel from a framework's graph is written down: native_op.py does it for TensorFlow, jax_op.py for JAX.

The arrays have the names of arrays.py, and are contiguous. Results: y, "final h" for the final states; those of the tape by their names.
"""

from __future__ import annotations

from typing import Any

from ..backends.native import call, loader

Shapes = dict[str, tuple[int, ...]]


def shapes(cell: Any, inputs: dict[str, Any], B: int, T: int, T_plus_1: int) -> Shapes:
    """Name -> shape of every input and result, from the weights and what else has a shape. B, T: sizes, or what stands for them."""
    I, H = inputs["kernel"].shape[0], inputs["recurrent_kernel"].shape[0]
    found: Shapes = {"x": (B, T, I), "mask": (B, T), "y": (B, T, H), "dy": (B, T, H), "saved": (B, T, len(cell.saved), H)}
    for name in ("kernel", "recurrent_kernel", "bias", "peepholes"):
        if name in inputs:
            found[name] = tuple(inputs[name].shape)
    for name, width in (("x_scale", I), ("h_scale", H)):
        if name in inputs:
            found[name] = (len(cell.gates), B, width)[-len(inputs[name].shape) :]
    for s in cell.states:
        found.update({f"{s}0": (B, H), f"final {s}": (B, H), f"d{s}": (B, H), f"tape {s}": (B, T_plus_1, H)})
    return found


def inputs_of(cell: Any) -> dict[str, str]:
    """Name -> field of Call, for all that a call reads."""
    fields = {"x": "x", "kernel": "Wx", "recurrent_kernel": "Wh", "bias": "bx", "peepholes": "p", "mask": "live"}
    fields.update({name: name for name in ("x_scale", "h_scale", "saved", "dy")})
    for i, s in enumerate(cell.states):
        fields.update({f"{s}0": f"initial{i}", f"tape {s}": f"states{i}", f"d{s}": f"dfinal{i}"})
    return fields


def results_of(cell: Any, sequences: bool, save: bool) -> dict[str, str]:
    """Name -> field of Call, for what forward is to write: y (with sequences), the final states, the tape (with save)."""
    fields = {"y": "y"} if sequences else {}
    fields.update({f"final {s}": f"final{i}" for i, s in enumerate(cell.states)})
    if save:
        fields.update({f"tape {s}": f"states{i}" for i, s in enumerate(cell.states)}, saved="saved")
    return fields


def gradients_of(cell: Any, wanted: tuple[str, ...]) -> dict[str, str]:
    """Name -> field of Call, for the gradients by the `wanted` inputs."""
    fields = {"x": "dx", "kernel": "dWx", "recurrent_kernel": "dWh", "bias": "dbx", "peepholes": "dp"}
    fields.update({f"{s}0": f"dinitial{i}" for i, s in enumerate(cell.states)})
    return {name: fields[name] for name in wanted}


def pointers(cell: Any, inputs: dict[str, Any], outputs: dict[str, str]) -> list[int]:
    """For each array of a call three numbers: which it is, inputs first; its field's place in Call; elements from its beginning."""
    fields, found = inputs_of(cell), []
    for i, field in enumerate([fields[name] for name in inputs] + list(outputs.values())):
        found += [i, call.FIELDS.index(field), 0]
        if field in ("bx", "dbx") and not cell.shared:  # [2, G*H]: both biases in one
            found += [i, call.FIELDS.index(field.replace("x", "h")), inputs["bias"].shape[1]]
    return found


def constants(cell: Any, inputs: dict[str, Any], flags: dict[str, Any]) -> dict[str, int]:
    """The fields of a Call without its form, its arrays and what hangs on the sizes B and T."""
    fields = dict.fromkeys(call.FIELDS, 0)
    fields["I"], fields["H"] = inputs["kernel"].shape[0], inputs["recurrent_kernel"].shape[0]
    fields.update({name: int(flags[name]) for name in ("go_backwards", "zero_masked_outputs")})
    fields["precision"] = loader.precision_of(flags["precision"])
    for name in ("Wx", "Wh", "dWx", "dWh"):
        fields[f"{name}_stride0"], fields[f"{name}_stride1"] = inputs["kernel"].shape[1], 1
    for name in ("x_scale", "h_scale"):
        fields[f"{name}_gates"] = len(cell.gates) if name in inputs and len(inputs[name].shape) == 3 else 1
    return fields
