"""The native backend as a custom call of XLA: JAX calls the kernels itself, and no Python runs between two operations.
../../kernels/xla_handler.cpp is the other half.
"""

from __future__ import annotations

import ctypes
import warnings
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from ..backends import native
from ..backends.forms import cxx_type
from ..backends.native import loader, sources, threads
from . import native_plan
from .jax_host import Backward, Call, Forward, Groups, Tensor, members, on_host


def forward(call: Call, save: bool, values: list[Tensor]) -> list[Tensor]:
    """y if call.sequences, the final states, and if `save` the tape: the states and the saved values of all steps."""
    return run(call, Forward(call, save), values, native_plan.results_of(call.cell, call.sequences, save))


def backward(call: Call, groups: Groups, values: list[Tensor]) -> list[Tensor]:
    """The gradients by the members of the groups, from forward's arrays, its tape and the upstream gradients."""
    return run(call, Backward(call, groups), values, native_plan.gradients_of(call.cell, tuple(members(groups))))


def run(call: Call, through_python: Any, values: list[Tensor], outputs: dict[str, str]) -> list[Tensor]:
    """The custom call where the native kernels are to run, else, and on another device than the CPU, the call through Python.

    outputs: name of the shape -> field of the kernels' Call.
    """
    inputs = call.given(values)
    B, T = inputs["x"].shape[:2]
    shapes = native_plan.shapes(call.cell, inputs, B, T, T + 1)
    host = partial(on_host, through_python, [(shapes[name], inputs["x"].dtype) for name in outputs])
    if not usable(call):
        return host(values)
    custom = partial(custom_call, call, isinstance(through_python, Backward), outputs, shapes)
    return jax.lax.platform_dependent(values, cpu=custom, default=host)


def usable(call: Call) -> bool:
    """Whether this call is to be a custom call: the kernels, and this JAX, can do it."""
    return call.backend in ("auto", "native") and native.available()[0] and native.supports(call.cell) and registered()


@cache
def registered() -> bool:
    """Tells JAX of the custom call. False, with a warning, if this JAX or the library that is installed has no part in it."""
    library = loader.library()
    told = getattr(library, "rnn_xla_digest", None)
    if told is not None:
        told.restype = ctypes.c_char_p
    lacking = ""
    if not hasattr(jax, "ffi"):
        lacking = f"jax {jax.__version__} has no jax.ffi; install a newer one"
    elif told is None or told().decode() != sources.digest(loader.KERNELS, ("xla_handler.cpp",)):
        lacking = f"{loader.path(loader.isa()).name} was built from another xla_handler.cpp; install the package again"
    if lacking:
        warnings.warn(f"JAX calls the native kernels through Python, which takes longer: {lacking}", stacklevel=2)
        return False
    library.rnn_xla_threads(ctypes.byref(threads.chosen), ctypes.c_int64(threads.default_threads()))
    jax.ffi.register_ffi_target(target(), jax.ffi.pycapsule(library.rnn_xla_call), platform="cpu")
    return True


@cache
def target() -> str:
    """The name of the custom call: another one for other sources, since JAX may keep compiled programs on disk, plans and all."""
    every = ("native.cpp", "native/*", "cells/*", "xla_handler.cpp")
    return f"rnn_call_{sources.digest(loader.KERNELS, every)[:16]}"


def custom_call(call: Call, backward: bool, outputs: dict[str, str], shapes: native_plan.Shapes, values: list[Tensor]) -> list[Tensor]:
    """One custom call, as rnn_xla_call reads it."""
    inputs, cell = call.given(values), call.cell
    dtype = inputs["x"].dtype
    if backward:  # the initial states are on the tape
        inputs = {name: t for name, t in inputs.items() if name not in (f"{s}0" for s in cell.states)}
    fields = native_plan.constants(cell, inputs, dict(call.flags))
    (fields["B"], fields["T"], I), H = inputs["x"].shape, fields["H"]
    T, fields["x_stride2"] = fields["T"], 1
    for name, width in (("x", I), ("dx", I), ("y", H), ("dy", H)):
        fields[f"{name}_stride0"], fields[f"{name}_stride1"] = T * width, width
    plan = np.array([backward, *fields.values(), *native_plan.pointers(cell, inputs, outputs)], np.int64)
    results = [jax.ShapeDtypeStruct(shapes[name], dtype) for name in outputs]
    made = jax.ffi.ffi_call(target(), results, vmap_method="sequential")(*inputs.values(), form=cxx_type(cell), plan=plan)
    return list(made)
