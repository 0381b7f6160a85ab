"""The native backend as a TensorFlow op, RnnCall: in a graph TensorFlow calls the kernels itself, and no Python runs between two
ops. kernels/native/tensorflow_op.cpp is the other half.
"""

from __future__ import annotations

import ctypes
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ..backends import native
from ..backends.native import call as native_call
from ..backends.native import loader, threads

Tensor = Any
# TensorFlow's C functions that the op calls, in the order of struct TensorFlow
C_FUNCTIONS = """
    NewStatus DeleteStatus SetStatus GetCode
    NewOpDefinitionBuilder OpDefinitionBuilderAddAttr OpDefinitionBuilderAddInput OpDefinitionBuilderAddOutput
    OpDefinitionBuilderSetShapeInferenceFunction ShapeInferenceContextSetUnknownShape RegisterOpDefinition
    NewKernelBuilder RegisterKernelBuilder
    OpKernelConstruction_GetAttrSize OpKernelConstruction_GetAttrInt64List OpKernelConstruction_GetAttrString
    OpKernelConstruction_Failure OpKernelContext_Failure
    GetInput AllocateOutput DeleteTensor TensorData NumDims Dim
"""
FUNCTIONS = tuple(C_FUNCTIONS.split())
B, T, T_PLUS_1 = -1, -2, -3  # sizes that are known only when the op runs


def usable(cell: Any, backend: str) -> bool:
    """Whether this call is to be an RnnCall: it stands in a graph, and the kernels and this TensorFlow can do it."""
    if tf.executing_eagerly() or backend not in ("auto", "native"):
        return False
    return native.available()[0] and native.supports(cell) and registered()


@cache
def registered() -> bool:
    """Tells TensorFlow of the op. False, with a warning, if this TensorFlow does not have the C functions that it needs."""
    file = next((flag[3:] for flag in tf.sysconfig.get_link_flags() if flag.startswith("-l:")), "libtensorflow_framework.2.dylib")
    framework = ctypes.CDLL(str(Path(tf.sysconfig.get_lib()) / file))
    try:
        addresses = [ctypes.cast(getattr(framework, f"TF_{name}"), ctypes.c_void_p).value for name in FUNCTIONS]
    except AttributeError as error:
        slower = "graphs call the native kernels through Python, which takes longer"
        warnings.warn(f"{slower}: TensorFlow {tf.__version__}: {error}", stacklevel=2)
        return False
    register = loader.library().rnn_register_op
    register.restype = ctypes.c_bool
    default = ctypes.c_int64(threads.default_threads())
    if not register((ctypes.c_void_p * len(addresses))(*addresses), ctypes.byref(threads.chosen), default):
        raise RuntimeError("TensorFlow refuses the op RnnCall: is there another one of this name?")
    return True


def forward(cell: Any, given: dict[str, Tensor], flags: dict[str, bool], sequences: bool, save: bool) -> list[Tensor]:
    """y (with sequences), the final states, and (with save) the tape's states and saved values; `given` by the names of bridge.py."""
    outputs = {"y": "y"} if sequences else {}
    outputs.update({f"final {s}": f"final{i}" for i, s in enumerate(cell.states)})
    if save:
        outputs.update({f"tape {s}": f"states{i}" for i, s in enumerate(cell.states)}, saved="saved")
    return call(False, cell, given, outputs, flags)


def backward(cell: Any, tensors: dict[str, Tensor], wanted: tuple[str, ...], flags: dict[str, bool]) -> list[Tensor]:
    """The gradients by the `wanted` inputs of forward; `tensors` are its inputs, the tape and the upstream gradients.

    Without a tape, which forward did not save, the forward pass runs once more.
    """
    if "saved" not in tensors:
        given = {name: t for name, t in tensors.items() if name not in ("dy", *(f"d{s}" for s in cell.states))}
        kept = forward(cell, given, flags, sequences=False, save=True)[len(cell.states) :]
        tensors = {**tensors, **dict(zip((*(f"tape {s}" for s in cell.states), "saved"), kept))}
    tensors = {name: t for name, t in tensors.items() if name not in (f"{s}0" for s in cell.states)}  # they are on the tape
    fields = {"x": "dx", "kernel": "dWx", "recurrent_kernel": "dWh", "bias": "dbx", "peepholes": "dp"}
    fields.update({f"{s}0": f"dinitial{i}" for i, s in enumerate(cell.states)})
    return call(True, cell, tensors, {name: fields[name] for name in wanted}, flags)


def call(backward: bool, cell: Any, inputs: dict[str, Tensor], outputs: dict[str, str], flags: dict[str, bool]) -> list[Tensor]:
    """One RnnCall. outputs: name of the shape -> field of Call."""
    fields = {"x": "x", "kernel": "Wx", "recurrent_kernel": "Wh", "bias": "bx", "peepholes": "p", "mask": "live"}
    fields.update({name: name for name in ("x_scale", "h_scale", "saved", "dy")})
    for i, s in enumerate(cell.states):
        fields.update({f"{s}0": f"initial{i}", f"tape {s}": f"states{i}", f"d{s}": f"dfinal{i}"})
    sizes = shapes(cell, inputs)
    pointers = []
    for i, field in enumerate([fields[name] for name in inputs] + list(outputs.values())):
        pointers.append((i, field, 0))
        if field in ("bx", "dbx") and not cell.shared:  # [2, G*H]: both biases in one
            pointers.append((i, field.replace("x", "h"), inputs["bias"].shape[1]))
    plan = [tf.as_dtype(inputs["x"].dtype).as_datatype_enum, int(backward), *constants(cell, inputs, flags)]
    for names in (inputs, outputs):
        plan += [len(names), *(size for name in names for size in (len(sizes[name]), *sizes[name]))]
    plan += [len(pointers), *(n for i, field, offset in pointers for n in (i, native_call.FIELDS.index(field), offset))]
    Attribute, dtypes = tf.compat.v1.AttrValue, [inputs["x"].dtype] * len(outputs)
    attributes = {
        "Tin": Attribute(list=Attribute.ListValue(type=[t.dtype.as_datatype_enum for t in inputs.values()])),
        "Tout": Attribute(list=Attribute.ListValue(type=[dtype.as_datatype_enum for dtype in dtypes])),
        "plan": Attribute(list=Attribute.ListValue(i=plan)),
        "names": Attribute(s=",".join(inputs).encode()),
    }
    graph = tf.compat.v1.get_default_graph()
    return list(graph.create_op("RnnCall", list(inputs.values()), dtypes, attrs=attributes).outputs)


def constants(cell: Any, inputs: dict[str, Tensor], flags: dict[str, bool]) -> list[int]:
    """A Call without its arrays and without what the op finds out when it runs."""
    fields = dict.fromkeys(native_call.FIELDS, 0)
    fields["form"] = loader.form(cell, np.dtype(inputs["x"].dtype.as_numpy_dtype))
    fields["I"], fields["H"] = inputs["kernel"].shape[0], inputs["recurrent_kernel"].shape[0]
    fields.update({name: int(value) for name, value in flags.items()})
    for name in ("Wx", "Wh", "dWx", "dWh"):
        fields[f"{name}_stride0"], fields[f"{name}_stride1"] = inputs["kernel"].shape[1], 1
    for name in ("x_scale", "h_scale"):
        fields[f"{name}_gates"] = len(cell.gates) if name in inputs and len(inputs[name].shape) == 3 else 1
    return list(fields.values())


def shapes(cell: Any, inputs: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every input and output."""
    I, H = inputs["kernel"].shape[0], inputs["recurrent_kernel"].shape[0]
    found = {"x": (B, T, I), "mask": (B, T), "y": (B, T, H), "dy": (B, T, H), "saved": (B, T, len(cell.saved), H)}
    for name in ("kernel", "recurrent_kernel", "bias", "peepholes"):
        if name in inputs:
            found[name] = tuple(inputs[name].shape)
    for name, width in (("x_scale", I), ("h_scale", H)):
        if name in inputs:
            found[name] = (len(cell.gates), B, width)[-len(inputs[name].shape) :]
    for s in cell.states:
        found.update({f"{s}0": (B, H), f"final {s}": (B, H), f"d{s}": (B, H), f"tape {s}": (B, T_PLUS_1, H)})
    return found
