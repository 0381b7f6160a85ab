"""The native backend: kernels/native.cpp, built by setup.py for several instruction sets, called through ctypes.

loader.py says which build is used; threads.py, how many threads there are.
"""

from __future__ import annotations

import ctypes
from typing import Any

from ...bptt import Gradients, Tape
from ...cells import is_listed
from .call import Arguments, address, check
from .loader import OtherSourcesError, bfloat16, entry, form, forms, isa, lacks, library, precision_of, refusal
from .second_order import backward_vjp, jvp
from .stepper import stepper
from .threads import num_threads, set_num_threads

__all__ = [
    "available",
    "backward",
    "backward_vjp",
    "bfloat16",
    "forms",
    "forward",
    "isa",
    "jvp",
    "lacks",
    "num_threads",
    "outdated",
    "parts",
    "refusal",
    "set_num_threads",
    "stepper",
    "supports",
]

# fields of Call with one array for each state; a cell has four at most
STATES = {name: tuple(f"{name}{s}" for s in range(4)) for name in ("states", "final", "dinitial")}


def available() -> tuple[bool, str]:
    """(usable, why not)"""
    try:
        library()
    except OSError as error:
        return False, str(error)
    return True, ""


def supports(cell: Any) -> bool:
    """Whether the library has this cell: one of the package's own, not derived from it, whose kernel it was built with."""
    return not refusal(cell)


def outdated(cell: Any) -> bool:
    """Whether there is a library, but an older one than the package: from other sources, or without this cell of the table."""
    try:
        library()
    except OtherSourcesError:
        return True
    except OSError:
        return False
    return is_listed(cell) and not supports(cell)


def run(function: str, arguments: Arguments) -> None:
    """Raises MemoryError or RuntimeError."""
    check(entry(function, arguments.dtype)(arguments.packed()))


def parts(cell: Any, params: Any, x: Any, batch: int, steps: int, precision: str | None = None) -> tuple[int, int]:
    """How the threads divide the recurrence of so many rows and steps like those of x: (parts of the rows, parts of the units)."""
    arguments = Arguments(form(cell, x.dtype), params, x, None, False, False, None, None, None, precision_of(precision))
    arguments.fields.update(B=batch, T=steps)
    rows, units = ctypes.c_int64(), ctypes.c_int64()
    entry("parts", x.dtype)(arguments.packed(), ctypes.byref(rows), ctypes.byref(units))
    return rows.value, units.value


def forward(
    cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save, recompute_every=None, out=None, precision=None
):
    """As bptt.forward; recompute_every as in backends.forward. out [B,T,H]: y is written there, in whatever order its steps lie."""
    (B, T, _), H, S = x.shape, len(params["Wh"]), len(s0)
    flags, scales = (go_backwards, zero_masked_outputs), (x_scale, h_scale)
    arguments = Arguments(form(cell, x.dtype), params, x, live, *flags, *scales, recompute_every, precision_of(precision))
    arguments.give_states("initial", s0)
    if out is None:
        y, *final = arguments.new(("y", *STATES["final"]), (B, T, H), *[(B, H)] * S)
        arguments.give_strides("y", y)
    else:
        y, final = out, arguments.new(STATES["final"], *[(B, H)] * S)
        arguments.fields["y"] = address(out)
        arguments.give_strides("y", out)
    saved, states = None, []
    if save and recompute_every:
        states = arguments.new(STATES["states"], *[(B, -(-T // recompute_every), H)] * S)
    elif save:
        saved, *states = arguments.new(("saved", *STATES["states"]), (B, T, len(cell.saved), H), *[(B, T + 1, H)] * S)
    run("forward", arguments)
    if not save:
        return y, tuple(final), None
    return y, tuple(final), Tape(cell, params, x, tuple(states), saved, live, *flags, *scales, "native", recompute_every, precision)


def backward(tape, dy, dstate, wrt):
    """As bptt.backward."""
    x, params = tape.x, tape.params
    flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
    precision = precision_of(tape.precision)
    arguments = Arguments(form(tape.cell, x.dtype), params, x, tape.live, *flags, *scales, tape.recompute_every, precision)
    arguments.give_states("states", tape.states)
    arguments.give("saved", tape.saved)
    arguments.give_states("dfinal", dstate)
    if dy is not None:
        arguments.walk("dy", dy, 2)
    dx: Any = None
    grads: Any = None
    initial: Any = None
    if "x" in wrt:
        (dx,) = arguments.new_like(("dx",), x)
    if "params" in wrt:
        names = ["dbx" if name == "b" else f"d{name}" for name in params]
        grads = dict(zip(params, arguments.new_like(names, *params.values())))
    if "initial_state" in wrt:
        initial = tuple(arguments.new(STATES["dinitial"], *[(len(x), len(params["Wh"]))] * len(dstate)))
    run("backward", arguments)
    return Gradients(dx, grads, initial)
