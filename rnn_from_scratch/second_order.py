"""Forward mode and gradients of gradients: forward and backward of bptt.py once more, on numbers that carry a tangent.

    backward computes            g = J^T u        u = (dy, dstate); g, J by (x, params, initial_state)
    for cotangents v of g        <v, g> = <J v, u>
    its gradient by u is         J v, the tangent of forward along v                      (forward mode: jvp)
    its gradient by x, ... is    the tangent of backward along v, with u held fixed       (forward over reverse)

A number that carries a tangent is a complex one: f(a + i e v) = f(a) + i e f'(a) v + O(e^2) for analytic f. With e so small that e^2 is
lost in rounding, the imaginary part over e is the derivative, and no difference is taken (Squire & Trapp 1998). Every cell is
analytic but for its corners: at those of relu and hard_sigmoid, and everywhere beside them, the second derivative is 0.

Sources: Pearlmutter 1994, "Fast exact multiplication by the Hessian"; Griewank & Walther 2008, section 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import bptt, shown
from .bptt import Gradients, Tape
from .typing import Array, Arrays

# dtype of x -> the complex dtype with parts of that dtype, and the exponent of e: e^2 is below its rounding
COMPLEX = {"float32": ("complex64", -40), "float64": ("complex128", -100)}


@dataclass(frozen=True, eq=False)
class Tangents:
    """What jvp returns: the derivatives of forward's results along a direction."""

    y: Array  # [B,T,H], in processing order as y is
    state: Arrays  # one [B,H] per state
    __repr__ = shown.fields_text


@dataclass(frozen=True, eq=False)
class SecondGradients:
    """What backward_vjp returns: the gradients of <cotangents, backward(dy, dstate)> that `wrt` asked for. The others are None."""

    x: Array  # [B,T,I]
    params: dict[str, Array]  # name -> gradient, in the shape of the parameter
    initial_state: Arrays  # one [B,H] per state
    dy: Array  # [B,T,H]
    dstate: Arrays  # one [B,H] per state
    __repr__ = shown.fields_text


@dataclass(frozen=True)
class Carrier:
    """Arrays with a tangent as complex arrays, for tangents of about the size 2^scale."""

    dtype: str
    exponent: int

    @classmethod
    def of(cls, x: Array, tangents: list[Array]) -> Carrier:
        dtype, exponent = COMPLEX[str(x.dtype)]
        largest = max((float(np.max(np.abs(v), where=np.isfinite(v), initial=0)) for v in tangents), default=0.0)
        return cls(dtype, exponent - int(np.frexp(largest)[1]))

    def join(self, a: Array, v: Array | None) -> Array:
        """a + i e v; v None is zero."""
        joined = a.astype(self.dtype)
        if v is not None:
            joined.imag = np.ldexp(v, self.exponent)
        return joined

    def tangent(self, a: Array) -> Array:
        """The v of a + i e v."""
        return np.ldexp(np.ascontiguousarray(a.imag), -self.exponent)


def forward(tape: Tape, v: Gradients, save: bool) -> tuple[Carrier, Array, Arrays, Tape | None]:
    """bptt.forward once more, from what the tape holds, along the direction v, any part of which may be None."""
    first = tape.x.shape[1] if tape.go_backwards and tape.recompute_every is None else 0
    s0 = tuple(s[:, first] for s in tape.states)
    vx = v.x if v.x is None or tape.live is None else np.where(tape.live[:, :, None], v.x, 0)
    named, vs0 = v.params or {}, v.initial_state or (None,) * len(s0)
    carrier = Carrier.of(tape.x, [a for a in (vx, *named.values(), *vs0) if a is not None])
    join = carrier.join
    params = {name: join(a, named.get(name)) for name, a in tape.params.items()}
    states = tuple(map(join, s0, vs0))
    flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
    return carrier, *bptt.forward(tape.cell, params, join(tape.x, vx), states, tape.live, *flags, *scales, save)


def jvp(tape: Tape, v: Gradients) -> Tangents:
    """The tangents of y and of the final states along v."""
    carrier, y, state, _ = forward(tape, v, save=False)
    return Tangents(carrier.tangent(y), tuple(map(carrier.tangent, state)))


def backward_vjp(tape: Tape, dy: Array | None, dstate: tuple, v: Gradients, wrt: tuple[str, ...]) -> SecondGradients:
    """The gradients of <v, bptt.backward(tape, dy, dstate)>."""
    first_order = tuple(name for name in wrt if name in ("x", "params", "initial_state"))
    carrier, y, state, dual = forward(tape, v, save=bool(first_order))
    tangent = carrier.tangent
    found: Any = dict.fromkeys(SecondGradients.__dataclass_fields__)  # None, where nobody asks
    if dual is not None:
        grads = bptt.backward(dual, dy, dstate, first_order)
        found["x"] = None if grads.x is None else tangent(grads.x)
        found["params"] = grads.params and {name: tangent(g) for name, g in grads.params.items()}
        found["initial_state"] = grads.initial_state and tuple(map(tangent, grads.initial_state))
    found["dy"] = tangent(y) if "dy" in wrt else None
    found["dstate"] = tuple(map(tangent, state)) if "dstate" in wrt else None
    return SecondGradients(**found)
