"""One step after another on the native backend: kernels/native/stepper.h keeps the packed weights from one step to the next."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from ...typing import Array
from .call import Arguments, check
from .loader import entry, form


def stepper(cell: Any, params: dict[str, Array], x: Array, states: tuple[Array, ...], owner: object) -> Callable[[], int]:
    """A call that runs one step from x [B,1,I] and the states [B,H] to new states in the same arrays, and returns 0 or a failure.

    The arrays must stay where they are. What the library keeps is freed with `owner`.
    """
    params = {name: a.copy() for name, a in params.items()}  # the peepholes are read at each step
    arguments = Arguments(form(cell, x.dtype), params, x, None, False, False, None, None, None)
    for name in ("initial", "final"):
        arguments.give_states(name, states)
    made = ctypes.c_void_p()
    check(entry("stepper", x.dtype)(arguments.packed(), ctypes.byref(made)))
    weakref.finalize(owner, entry("free", x.dtype), made)
    run = partial(entry("step", x.dtype), made)
    run.arrays = params  # type: ignore[attr-defined]  # they live as long as the call
    return run
