"""Forward mode and gradients of gradients by the CUDA kernels: the host code of first order, on numbers that carry tangents.

A call runs a batch of twice the rows: those of the numbers, and behind them those of their tangents. What is linear does not notice; what
is not is in kernels/second_order.cu, where is told how gradients lie in such arrays. A product with a parameter that moves is two:
the tangent of h Wh is h' Wh + h Wh'. A tangent that is None costs no product.
"""

from __future__ import annotations

from typing import Any

from ...bptt import Gradients, Tape
from ...second_order import SecondGradients, Tangents
from ...typing import Array, Device
from . import host, per_step
from .call import GpuCall
from .source import second_order_text


class DualCall(GpuCall):
    """A call on what a tape holds, along the direction v, any part of which may be None."""

    kernels = "dual_"

    def __init__(self, device: Device, tape: Tape, v: Gradients):
        cell: Any = tape.cell
        self.tangents = {name: device.put(a) for name, a in (v.params or {}).items()}
        x = tape.x if v.x is None else stacked(device, tape.x, v.x)
        live = None if tape.live is None else stacked(device, tape.live, tape.live)
        flags, scales = (tape.go_backwards, tape.zero_masked_outputs), (tape.x_scale, tape.h_scale)
        super().__init__(device, cell, tape.params, x, live, *flags, *scales, None)
        self.text = second_order_text(cell, x.dtype)
        self.batch, self.B = len(tape.x), 2 * len(tape.x)
        if self.h_scale is not None:
            self.h_scale = self.for_both(self.h_scale)

    def for_both(self, scale: Array) -> Array:
        """[N,B,K] -> [N,2B,K]: a tangent is scaled as its number is."""
        both = self.device.empty((len(scale), 2, *scale.shape[1:]), scale.dtype)
        both[:, 0] = both[:, 1] = scale
        return both.reshape(len(scale), self.B, scale.shape[2])

    def input_rows(self, scale: Array | None, live: Array | None) -> Array:
        """As GpuCall's: of the numbers alone, if x does not move."""
        moves = len(self.x) > self.batch * self.T
        return super().input_rows(self.for_both(scale[None])[0] if scale is not None and moves else scale, live)

    def product(self, a: Array, name: str, lo: int, hi: int, out: Array, accumulate: bool) -> None:
        """out (+)= a W, and its tangent a' W + a W'. a has the rows of the numbers alone, if it does not move."""
        half, tangent = len(out) // 2, self.tangents.get(name)
        moves = len(a) > half
        super().product(a, name, lo, hi, out[: len(a)], accumulate)
        if tangent is not None:
            self.device.product(a[:half], self.gates(tangent, lo, hi), out[half:], moves)
        elif not moves:
            out[half:] = 0

    def product_back(self, d: Array, name: str, lo: int, hi: int, out: Array) -> None:
        """The gradients by the numbers, d W^T + d' W'^T, and by the tangents, d' W^T; or the first alone, if out has half the rows."""
        half, tangent = len(d) // 2, self.tangents.get(name)
        super().product_back(d[: len(out)], name, lo, hi, out)
        if tangent is not None:
            self.device.product(d[half:], self.gates(tangent, lo, hi).T, out[:half], True)

    def vectors(self, *names: str) -> list[Array | None]:
        """As GpuCall's, then their tangents."""
        return [*super().vectors(*names), *map(self.tangents.get, names)]


def stacked(device: Device, a: Array, tangent: Array | None) -> Array:
    """[B,...] -> [2B,...]: the numbers, and behind them their tangents; None is zero."""
    both = device.empty((2, *a.shape), a.dtype)
    both[0] = device.put(a)
    both[1] = 0 if tangent is None else device.put(tangent)
    return both.reshape(2 * len(a), *a.shape[1:])


def forward(call: DualCall, tape: Tape, v: Gradients, save: bool) -> tuple[Array, Array, Array | None, list[Array]]:
    """The tangents of y [B,T,H] and of the final states [S,B,H]; saved and the states, of numbers and tangents: what a tape holds."""
    device, S = call.device, len(tape.states)
    first = call.T if tape.go_backwards and tape.recompute_every is None else 0
    s = device.empty((S, call.B, call.H), call.real)
    for k, (slots, tangent) in enumerate(zip(tape.states, v.initial_state or (None,) * S)):
        s[k] = stacked(device, slots[:, first], tangent)
    y, saved, states = host.run_forward(call, per_step, s, save)
    return y[call.batch :], s[:, call.batch :], saved, states


def jvp(device: Device, tape: Tape, v: Gradients) -> Tangents:
    """As second_order.jvp."""
    y, s, *_ = forward(DualCall(device, tape, v), tape, v, save=False)
    return Tangents(device.get(y), tuple(map(device.get, s)))


def backward_vjp(device: Device, tape: Tape, dy: Array | None, dstate: tuple, v: Gradients, wrt: tuple[str, ...]) -> SecondGradients:
    """As second_order.backward_vjp."""
    call = DualCall(device, tape, v)
    first_order = tuple(name for name in wrt if name in ("x", "params", "initial_state"))
    y, s, saved, states = forward(call, tape, v, save=bool(first_order))
    found: Any = dict.fromkeys(SecondGradients.__dataclass_fields__)  # None, where nobody asks
    if first_order:
        ds = device.zeros((len(s), call.B, call.H), call.real)
        for k, d in enumerate(dstate):
            if d is not None:
                ds[k, call.batch :] = device.put(d)  # by the tangents
        found.update(vars(host.run_backward(call, per_step, saved, states, call.put(dy), ds, first_order)))
    found["dy"] = device.get(y) if "dy" in wrt else None
    found["dstate"] = tuple(map(device.get, s)) if "dstate" in wrt else None
    return SecondGradients(**found)
