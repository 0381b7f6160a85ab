"""The native backend: kernels/native.cpp, built by setup.py for several instruction sets, called through ctypes.

The environment variable RNN_NATIVE_ISA names the build to use (generic, x86-64-v3, x86-64-v4) instead of the best that runs
here; threads.py says how many threads there are.
"""

from __future__ import annotations

import ctypes
import math
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import cells
from ..bptt import Gradients, Tape
from ..cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS
from ..params import param_shapes
from .memory import lend
from .threads import num_threads, read, set_num_threads

__all__ = ["available", "backward", "forward", "isa", "num_threads", "set_num_threads", "supports"]

Array = Any
KINDS = (cells.SimpleRNN, cells.LSTM, cells.PeepholeLSTM, cells.GRU)  # by the number in Call; 4 is the GRU with reset before
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
        ("recompute_every", INTEGER),
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
    return type(cell) in KINDS


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


def new_arrays(dtype: np.dtype, *shapes: tuple[int, ...]) -> list[tuple[Array, int]]:
    """New contiguous arrays, each with its address; small ones in one piece of memory, which is quicker.

    Aligned to 64 bytes: TensorFlow takes such an array over without a copy. Large ones each have a piece of their own: of up to
    32 MiB the C library gives the old pages once more, and cleared pages take their time.
    """
    sizes = [math.prod(shape) * dtype.itemsize for shape in shapes]
    if len(shapes) > 1 and sum(sizes) > 1 << 20:
        return [array for shape in shapes for array in new_arrays(dtype, shape)]
    memory = lend(sum(sizes) + 64 * (len(sizes) + 1))
    start, found = memory.ctypes.data, []
    at = -start % 64
    for shape, size in zip(shapes, sizes):
        found.append((np.ndarray(shape, dtype, memory, at), start + at))
        at += -(-size // 64) * 64
    return found


def strided(a: Array, units_together: bool) -> Array:
    """The array itself if the kernels can walk it by whole elements (on the last axis one by one), else a copy."""
    walkable = a.flags.aligned and not any(s % a.itemsize for s in a.strides)
    return a if walkable and (a.strides[2] == a.itemsize or not units_together) else np.ascontiguousarray(a)


class Arguments:
    """A Call being filled in. Keeps what it has copied alive; the caller keeps the rest."""

    def __init__(self, cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, recompute_every):
        B, T, I = x.shape
        kind = KINDS.index(type(cell))
        self.dtype, self.copies = x.dtype, []
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
            recompute_every=min(recompute_every or 0, T),
        )
        self.walk("x", x)
        for name, a in params.items():
            setattr(self.call, "bx" if name == "b" else name, self.address(a))
        for name, a in (("live", live), ("x_scale", x_scale), ("h_scale", h_scale)):
            setattr(self.call, name, self.address(a))

    def address(self, a: Array | None) -> int | None:
        """Where the array begins, or a contiguous copy of it."""
        if a is None:
            return None
        if not a.flags.c_contiguous:
            a = np.ascontiguousarray(a)
            self.copies.append(a)
        return a.ctypes.data

    def walk(self, name: str, a: Array) -> None:
        """Give an array with its strides."""
        strides = getattr(self.call, f"{name}_stride")
        a = strided(a, units_together=len(strides) == 2)
        self.copies.append(a)
        setattr(self.call, name, a.ctypes.data)
        strides[:] = [s // a.itemsize for s in a.strides[: len(strides)]]

    def fill(self, name: str, addresses: Any) -> None:
        """Give the addresses of one array for each state."""
        pointers = getattr(self.call, name)
        for i, address in enumerate(addresses):
            pointers[i] = address

    def run(self, function: str) -> None:
        code = getattr(library(), f"rnn_{function}_{self.dtype}")(ctypes.byref(self.call))
        if code:
            error, message = FAILURES[code]
            raise error(message)


def forward(cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save, recompute_every=None):
    """As bptt.forward; recompute_every as in backends.forward."""
    (B, T, _), H, S = x.shape, params["Wh"].shape[0], len(s0)
    ((y, y_address),) = new_arrays(x.dtype, (B, T, H))
    final, final_addresses = zip(*new_arrays(x.dtype, *[(B, H)] * S))
    arguments = Arguments(cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, recompute_every)
    arguments.call.y = y_address
    arguments.fill("initial", map(arguments.address, s0))
    arguments.fill("final", final_addresses)
    kept: tuple[Any, ...] = ()
    if save:
        slots = -(-T // recompute_every) if recompute_every else T + 1
        shapes = [(B, slots, H)] * S + ([] if recompute_every else [(B, T, len(cell.saved), H)])
        kept, addresses = zip(*new_arrays(x.dtype, *shapes))
        arguments.fill("states", addresses[:S])
        arguments.call.saved = None if recompute_every else addresses[S]
    arguments.run("forward")
    if not save:
        return y, final, None
    flags, scales = (go_backwards, zero_masked_outputs), (x_scale, h_scale)
    saved = None if recompute_every else kept[S]
    return y, final, Tape(cell, params, x, kept[:S], saved, live, *flags, *scales, "native", recompute_every)


def backward(tape, dy, dstate, wrt):
    """As bptt.backward."""
    cell, params, x = tape.cell, tape.params, tape.x
    (B, _, I), H, S = x.shape, params["Wh"].shape[0], len(tape.states)
    flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
    arguments = Arguments(cell, params, x, tape.live, *flags, *scales, tape.recompute_every)
    arguments.fill("states", map(arguments.address, tape.states))
    arguments.call.saved = arguments.address(tape.saved)
    arguments.fill("dfinal", map(arguments.address, dstate))
    if dy is not None:
        arguments.walk("dy", dy)
    dx, grads, initial = None, None, None
    if "x" in wrt:
        ((dx, arguments.call.dx),) = new_arrays(x.dtype, x.shape)
    if "params" in wrt:
        shapes = param_shapes(cell, I, H)
        grads = {}
        for name, (a, address) in zip(shapes, new_arrays(x.dtype, *shapes.values())):
            grads[name] = a
            setattr(arguments.call, "dbx" if name == "b" else f"d{name}", address)
    if "initial_state" in wrt:
        initial, addresses = zip(*new_arrays(x.dtype, *[(B, H)] * S))
        arguments.fill("dinitial", addresses)
    arguments.run("backward")
    return Gradients(dx, grads, initial)
