"""The reference backend: the NumPy loop of bptt.py with the NumPy cells. The truth in float64; always usable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .. import bptt, second_order

__all__ = ["available", "backward", "backward_vjp", "forward", "jvp"]


def available() -> tuple[bool, str]:
    """(usable, why not)"""
    return True, ""


def forward(cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save, recompute_every=None, precision=None):
    """As bptt.forward; recompute_every as in backends.forward."""
    flags, scales = (go_backwards, zero_masked_outputs), (x_scale, h_scale)
    y, state, tape = bptt.forward(cell, params, x, s0, live, *flags, *scales, save, precision=precision)
    if tape is None or recompute_every is None:
        return y, state, tape
    ordered = (s[:, ::-1] if tape.go_backwards else s for s in tape.states)
    kept = tuple(s[:, :-1:recompute_every].copy() for s in ordered)
    return y, state, replace(tape, states=kept, saved=None, recompute_every=recompute_every)


def backward(tape: Any, dy: Any, dstate: tuple, wrt: tuple[str, ...]) -> Any:
    """As bptt.backward."""
    if tape.recompute_every is not None:  # all of it in one call: the products of a part of the rows may round otherwise
        s0 = tuple(s[:, 0] for s in tape.states)
        flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
        tape = bptt.forward(tape.cell, tape.params, tape.x, s0, tape.live, *flags, *scales, True, precision=tape.precision)[2]
    return bptt.backward(tape, dy, dstate, wrt)


jvp, backward_vjp = second_order.jvp, second_order.backward_vjp
