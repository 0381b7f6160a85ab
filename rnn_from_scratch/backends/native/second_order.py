"""Forward mode and gradients of gradients by the native kernels: the same calls, on numbers that carry tangents (kernels/native/dual.h).

The arrays that the kernels make have twice the rows: those of the numbers, and behind them those of their tangents. Backward is given the
upstream gradients of first order, and makes the tangents of the gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...bptt import Gradients, Tape
from ...second_order import SecondGradients, Tangents
from ...typing import Array, Arrays
from .call import Arguments
from .loader import form


class DualCall:
    """Calls of the kernels on what a tape holds, along the direction v, any part of which may be None."""

    def __init__(self, tape: Tape, v: Gradients):
        self.tape, self.v, self.sizes = tape, v, (len(tape.x), tape.x.shape[1], len(tape.params["Wh"]))

    def arguments(self) -> Arguments:
        tape, v = self.tape, self.v
        cell: Any = tape.cell
        flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
        arguments = Arguments(form(cell, tape.x.dtype), tape.params, tape.x, tape.live, *flags, *scales, None)
        arguments.fields["dual"] = 1
        arguments.give("tx", v.x)
        for name, tangent in (v.params or {}).items():
            arguments.give("tbx" if name == "b" else f"t{name}", tangent)
        return arguments

    def forward(self, y_too: bool, save: bool) -> tuple[Array | None, Arrays, list[Array]]:
        """The tangents of y (None unless asked for) and of the final states; the tape, saved and then states, with that of the tangents."""
        from . import STATES, run

        (B, T, H), tape = self.sizes, self.tape
        first = T if tape.go_backwards and tape.recompute_every is None else 0
        S, arguments, kept = len(tape.states), self.arguments(), list[Array]()
        tangents = self.v.initial_state or (None,) * S
        s0 = [np.concatenate([s[:, first], np.zeros((B, H), s.dtype) if t is None else t]) for s, t in zip(tape.states, tangents)]
        arguments.give_states("initial", s0)
        final = arguments.new(STATES["final"], *[(2 * B, H)] * S)
        y = arguments.new(("y",), (2 * B, T, H))[0] if y_too else None
        if y is not None:
            arguments.give_strides("y", y)
        if save:
            shapes = [(2 * B, T, len(tape.cell.saved), H), *[(2 * B, T + 1, H)] * S]
            kept = arguments.new(("saved", *STATES["states"]), *shapes)
        run("forward", arguments)
        return None if y is None else y[B:], tuple(s[B:] for s in final), kept

    def backward(self, kept: list[Array], dy: Array | None, dstate: tuple, wrt: tuple[str, ...]) -> dict[str, Any]:
        """The tangents of the gradients that wrt asks for, by its names; kept: the tape that forward made."""
        from . import STATES, run

        (B, _, H), params, found = self.sizes, self.tape.params, dict[str, Any]()
        arguments, (saved, *states) = self.arguments(), kept
        arguments.give("saved", saved)
        arguments.give_states("states", states)
        arguments.give_states("dfinal", dstate)
        if dy is not None:
            arguments.walk("dy", dy, 2)
        if "x" in wrt:
            (found["x"],) = arguments.new_like(("dx",), self.tape.x)
        if "params" in wrt:
            names = ["dbx" if name == "b" else f"d{name}" for name in params]
            found["params"] = dict(zip(params, arguments.new_like(names, *params.values())))
        if "initial_state" in wrt:
            found["initial_state"] = tuple(arguments.new(STATES["dinitial"], *[(B, H)] * len(dstate)))
        run("backward", arguments)
        return found


def jvp(tape: Tape, v: Gradients) -> Tangents:
    """As second_order.jvp."""
    y, state, _ = DualCall(tape, v).forward(True, save=False)
    assert y is not None
    return Tangents(y, state)


def backward_vjp(tape: Tape, dy: Array | None, dstate: tuple, v: Gradients, wrt: tuple[str, ...]) -> SecondGradients:
    """As second_order.backward_vjp."""
    first_order = tuple(name for name in wrt if name in ("x", "params", "initial_state"))
    call = DualCall(tape, v)
    y, state, kept = call.forward("dy" in wrt, save=bool(first_order))
    found: Any = dict.fromkeys(SecondGradients.__dataclass_fields__)  # None, where nobody asks
    if first_order:
        found.update(call.backward(kept, dy, dstate, first_order))
    found.update(dy=y, dstate=state if "dstate" in wrt else None)
    return SecondGradients(**found)
