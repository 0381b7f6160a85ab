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

from ...bptt import Gradients, Tape
from .call import CALL, KINDS, Arguments
from .threads import num_threads, read, set_num_threads

__all__ = ["available", "backward", "forward", "isa", "num_threads", "set_num_threads", "supports"]

Array = Any
LEVELS = ("generic", "x86-64-v3", "x86-64-v4")  # of the instruction set, by the number that rnn_isa returns
PACKAGE = Path(__file__).parents[2]
KERNELS = PACKAGE / "kernels" if (PACKAGE / "kernels").is_dir() else PACKAGE.parent / "kernels"  # installed, or the source tree
FAILURES = {
    1: (MemoryError, "not enough memory for the native backend"),
    2: (RuntimeError, "the native backend could not start a thread; set RNN_NUM_THREADS=1"),
}

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
    if size is None or size() != CALL.size or not hasattr(found, "rnn_register_op"):
        raise OSError(f"{path(level).name} was built from other sources: install the package again")
    for name in ("forward", "backward"):
        for dtype in ("float32", "float64"):
            getattr(found, f"rnn_{name}_{dtype}").argtypes = [ctypes.c_char_p]
    return found


def build_log(level: str) -> str:
    """What the compiler said when the package was installed."""
    said = read(KERNELS / f"native-{level}.log")
    return f"The compiler said: {said}" if said else "Install the package again with a C++17 compiler, named by CXX"


@cache
def entry(function: str, dtype: np.dtype) -> Any:
    """forward or backward of this dtype, as the library has it."""
    return getattr(library(), f"rnn_{function}_{dtype}")


def run(function: str, arguments: Arguments) -> None:
    """Raises MemoryError or RuntimeError."""
    code = entry(function, arguments.dtype)(arguments.packed())
    if code:
        error, message = FAILURES[code]
        raise error(message)


def forward(cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save, recompute_every=None):
    """As bptt.forward; recompute_every as in backends.forward."""
    (B, T, _), H, S = x.shape, len(params["Wh"]), len(s0)
    flags, scales = (go_backwards, zero_masked_outputs), (x_scale, h_scale)
    arguments = Arguments(cell, params, x, live, *flags, *scales, recompute_every)
    arguments.give_states("initial", s0)
    y, *final = arguments.new(("y", "final0", "final1"), (B, T, H), *[(B, H)] * S)
    saved, states = None, []
    if save and recompute_every:
        states = arguments.new(("states0", "states1"), *[(B, -(-T // recompute_every), H)] * S)
    elif save:
        saved, *states = arguments.new(("saved", "states0", "states1"), (B, T, len(cell.saved), H), *[(B, T + 1, H)] * S)
    run("forward", arguments)
    if not save:
        return y, tuple(final), None
    return y, tuple(final), Tape(cell, params, x, tuple(states), saved, live, *flags, *scales, "native", recompute_every)


def backward(tape, dy, dstate, wrt):
    """As bptt.backward."""
    x, params = tape.x, tape.params
    flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
    arguments = Arguments(tape.cell, params, x, tape.live, *flags, *scales, tape.recompute_every)
    arguments.give_states("states", tape.states)
    arguments.give("saved", tape.saved)
    arguments.give_states("dfinal", dstate)
    if dy is not None:
        arguments.walk("dy", dy, 2)
    dx, grads, initial = None, None, None
    if "x" in wrt:
        (dx,) = arguments.new(("dx",), x.shape)
    if "params" in wrt:
        names = ["dbx" if name == "b" else f"d{name}" for name in params]
        grads = dict(zip(params, arguments.new(names, *[a.shape for a in params.values()])))
    if "initial_state" in wrt:
        initial = tuple(arguments.new(("dinitial0", "dinitial1"), *[(len(x), len(params["Wh"]))] * len(dstate)))
    run("backward", arguments)
    return Gradients(dx, grads, initial)
