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
from ..backends.native import loader, threads
from . import native_plan

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


def forward(cell: Any, given: dict[str, Tensor], flags: dict[str, Any], sequences: bool, save: bool) -> list[Tensor]:
    """y (with sequences), the final states, and (with save) the tape's states and saved values; `given` by the names of bridge.py."""
    return call(False, cell, given, native_plan.results_of(cell, sequences, save), flags)


def backward(cell: Any, tensors: dict[str, Tensor], wanted: tuple[str, ...], flags: dict[str, Any]) -> list[Tensor]:
    """The gradients by the `wanted` inputs of forward; `tensors` are its inputs, the tape and the upstream gradients.

    Without a tape, which forward did not save, the forward pass runs once more.
    """
    if "saved" not in tensors:
        given = {name: t for name, t in tensors.items() if name not in ("dy", *(f"d{s}" for s in cell.states))}
        kept = forward(cell, given, flags, sequences=False, save=True)[len(cell.states) :]
        tensors = {**tensors, **dict(zip((*(f"tape {s}" for s in cell.states), "saved"), kept))}
    tensors = {name: t for name, t in tensors.items() if name not in (f"{s}0" for s in cell.states)}  # they are on the tape
    return call(True, cell, tensors, native_plan.gradients_of(cell, wanted), flags)


def call(backward: bool, cell: Any, inputs: dict[str, Tensor], outputs: dict[str, str], flags: dict[str, Any]) -> list[Tensor]:
    """One RnnCall. outputs: name of the shape -> field of Call."""
    sizes = native_plan.shapes(cell, inputs, B, T, T_PLUS_1)
    fields = native_plan.constants(cell, inputs, flags)
    fields["form"] = loader.form(cell, np.dtype(inputs["x"].dtype.as_numpy_dtype))
    plan = [tf.as_dtype(inputs["x"].dtype).as_datatype_enum, int(backward), *fields.values()]
    for names in (inputs, outputs):
        plan += [len(names), *(size for name in names for size in (len(sizes[name]), *sizes[name]))]
    pointers = native_plan.pointers(cell, inputs, outputs)
    plan += [len(pointers) // 3, *pointers]
    Attribute, dtypes = tf.compat.v1.AttrValue, [inputs["x"].dtype] * len(outputs)
    attributes = {
        "Tin": Attribute(list=Attribute.ListValue(type=[t.dtype.as_datatype_enum for t in inputs.values()])),
        "Tout": Attribute(list=Attribute.ListValue(type=[dtype.as_datatype_enum for dtype in dtypes])),
        "plan": Attribute(list=Attribute.ListValue(i=plan)),
        "names": Attribute(s=",".join(inputs).encode()),
    }
    graph = tf.compat.v1.get_default_graph()
    return list(graph.create_op("RnnCall", list(inputs.values()), dtypes, attrs=attributes).outputs)
