"""The native backend: kernels/native.cpp, built by setup.py for several instruction sets, called through ctypes.

The environment variable RNN_NATIVE_ISA names the build to use (generic, x86-64-v3, x86-64-v4) instead of the best that runs
here; threads.py says how many threads there are.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import cells
from ..bptt import Gradients, Tape
from ..cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS
from ..params import param_shapes
from .threads import num_threads, read, set_num_threads

__all__ = ["available", "backward", "forward", "isa", "num_threads", "set_num_threads", "supports"]

Array = Any
LEVELS = ("generic", "x86-64-v3", "x86-64-v4")  # of the instruction set, by the number that rnn_isa returns
PACKAGE = Path(__file__).parents[1]
KERNELS = PACKAGE / "kernels" if (PACKAGE / "kernels").is_dir() else PACKAGE.parent / "kernels"  # installed, or the source tree
FAILURES = {
    1: (MemoryError, "not enough memory for the native backend"),
    2: (RuntimeError, "the native backend could not start a thread; set RNN_NUM_THREADS=1"),
}

POINTER, INTEGER = ctypes.c_void_p, ctypes.c_int64


class Call(ctypes.Structure):
    """Field by field the Call of kernels/native/call.h."""

    _fields_ = [
        *((name, INTEGER) for name in ("cell", "activation", "recurrent_activation", "B", "T", "I", "H", "threads")),
        *((name, INTEGER) for name in ("go_backwards", "zero_masked_outputs", "x_scale_gates", "h_scale_gates")),
        ("x", POINTER),
        ("x_stride", INTEGER * 3),
        *((name, POINTER) for name in ("Wx", "Wh", "bx", "bh", "p", "live", "x_scale", "h_scale")),
        ("states", POINTER * 2),
        ("saved", POINTER),
        ("initial", POINTER * 2),
        ("y", POINTER),
        ("final", POINTER * 2),
        ("dy", POINTER),
        ("dy_stride", INTEGER * 2),
        ("dfinal", POINTER * 2),
        *((name, POINTER) for name in ("dx", "dWx", "dWh", "dbx", "dbh", "dp")),
        ("dinitial", POINTER * 2),
    ]


def available() -> tuple[bool, str]:
    """(usable, why not)"""
    try:
        library()
    except OSError as error:
        return False, str(error)
    return True, ""


def supports(cell: Any) -> bool:
    """Whether the kernels know this cell: only the package's own do, not what was derived from them."""
    return type(cell) in (cells.SimpleRNN, cells.LSTM, cells.PeepholeLSTM, cells.GRU)


@cache
def library() -> ctypes.CDLL:
    """The build for this machine. Raises OSError with the reason if there is none."""
    level = isa()
    if not path(level).exists():
        raise OSError(f"{path(level).name} was not built. {build_log(level)}")
    return load(level)


@cache
def isa() -> str:
    """The instruction set level in use. Raises OSError if none can be."""
    if not path("generic").exists():
        raise OSError(f"it was not built. {build_log('generic')}")
    best = load("generic").rnn_isa()
    wanted = os.environ.get("RNN_NATIVE_ISA", "")
    if not wanted:
        return next(level for level in reversed(LEVELS[: best + 1]) if path(level).exists())
    if wanted not in LEVELS[: best + 1]:
        raise OSError(f"RNN_NATIVE_ISA: expected one of {', '.join(LEVELS[: best + 1])} on this CPU, got {wanted!r}")
    return wanted


def path(level: str) -> Path:
    return KERNELS / f"native-{level}.so"


def load(level: str) -> ctypes.CDLL:
    found = ctypes.CDLL(str(path(level)))
    size = getattr(found, "rnn_call_size", None)
    if size is None or size() != ctypes.sizeof(Call):
        raise OSError(f"{path(level).name} was built from other sources: install the package again")
    for name in ("forward", "backward"):
        for dtype in ("float32", "float64"):
            getattr(found, f"rnn_{name}_{dtype}").argtypes = [ctypes.POINTER(Call)]
    return found


def build_log(level: str) -> str:
    """What the compiler said when the package was installed."""
    said = read(KERNELS / f"native-{level}.log")
    return f"The compiler said: {said}" if said else "Install the package again with a C++17 compiler, named by CXX"


def empty(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """A new contiguous array aligned to 64 bytes: what TensorFlow takes over without a copy."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def strided(a: Array, units_together: bool) -> Array:
    """The array itself if the kernels can walk it by whole elements (on the last axis one by one), else a copy."""
    walkable = a.flags.aligned and not any(s % a.itemsize for s in a.strides)
    return a if walkable and (a.strides[2] == a.itemsize or not units_together) else np.ascontiguousarray(a)


class Arguments:
    """A Call being filled in; keeps the arrays alive whose addresses it holds."""

    def __init__(self, cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale):
        B, T, I = x.shape
        kind = (cells.SimpleRNN, cells.LSTM, cells.PeepholeLSTM, cells.GRU).index(type(cell))
        self.call = Call(
            cell=4 if kind == 3 and not cell.reset_after else kind,
            activation=list(ACTIVATIONS).index(cell.activation),
            recurrent_activation=RECURRENT_ACTIVATIONS.index(getattr(cell, "recurrent_activation", "sigmoid")),
            B=B,
            T=T,
            I=I,
            H=params["Wh"].shape[0],
            threads=num_threads(),
            go_backwards=go_backwards,
            zero_masked_outputs=zero_masked_outputs,
            x_scale_gates=1 if x_scale is None or x_scale.ndim == 2 else len(x_scale),
            h_scale_gates=1 if h_scale is None or h_scale.ndim == 2 else len(h_scale),
        )
        self.dtype, self.kept = x.dtype, []
        self.walk("x", x)
        for name in ("Wx", "Wh", "bh", "p"):
            self.put(name, params.get(name))
        self.put("bx", params.get("b", params.get("bx")))
        self.put("live", live)
        self.put("x_scale", x_scale)
        self.put("h_scale", h_scale)

    def address(self, a: Array | None) -> int | None:
        if a is None:
            return None
        a = np.ascontiguousarray(a)
        self.kept.append(a)
        return a.ctypes.data

    def put(self, name: str, a: Array | None) -> None:
        setattr(self.call, name, self.address(a))

    def put_all(self, name: str, arrays: Any) -> None:
        for i, a in enumerate(arrays):
            getattr(self.call, name)[i] = self.address(a)

    def walk(self, name: str, a: Array) -> None:
        strides = getattr(self.call, f"{name}_stride")
        a = strided(a, units_together=len(strides) == 2)
        self.kept.append(a)
        setattr(self.call, name, a.ctypes.data)
        strides[:] = [s // a.itemsize for s in a.strides[: len(strides)]]

    def run(self, function: str) -> None:
        code = getattr(library(), f"rnn_{function}_{self.dtype}")(ctypes.byref(self.call))
        if code:
            error, message = FAILURES[code]
            raise error(message)


def forward(cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save):
    """As bptt.forward."""
    B, T, _ = x.shape
    H = params["Wh"].shape[0]
    y, final = empty((B, T, H), x.dtype), tuple(empty((B, H), x.dtype) for _ in s0)
    states = tuple(empty((B, T + 1, H), x.dtype) for _ in s0) if save else ()
    saved = empty((B, T, len(cell.saved), H), x.dtype) if save else None
    arguments = Arguments(cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale)
    arguments.put_all("initial", s0)
    arguments.put("y", y)
    arguments.put_all("final", final)
    arguments.put_all("states", states)
    arguments.put("saved", saved)
    arguments.run("forward")
    if not save:
        return y, final, None
    return y, final, Tape(cell, params, x, states, saved, live, go_backwards, zero_masked_outputs, x_scale, h_scale, "native")


def backward(tape, dy, dstate, wrt):
    """As bptt.backward."""
    cell, params, x = tape.cell, tape.params, tape.x
    dtype, H = x.dtype, params["Wh"].shape[0]
    arguments = Arguments(cell, params, x, tape.live, tape.go_backwards, tape.zero_masked_outputs, tape.x_scale, tape.h_scale)
    arguments.put_all("states", tape.states)
    arguments.put("saved", tape.saved)
    if dy is not None:
        arguments.walk("dy", dy)
    arguments.put_all("dfinal", dstate)
    dx = empty(x.shape, dtype) if "x" in wrt else None
    shapes = param_shapes(cell, x.shape[2], H) if "params" in wrt else {}
    grads = {name: empty(shape, dtype) for name, shape in shapes.items()}
    initial = tuple(empty((x.shape[0], H), dtype) for _ in tape.states) if "initial_state" in wrt else None
    arguments.put("dx", dx)
    for name in grads:
        arguments.put("dbx" if name == "b" else f"d{name}", grads[name])
    arguments.put_all("dinitial", initial or ())
    arguments.run("backward")
    return Gradients(dx, grads if "params" in wrt else None, initial)
