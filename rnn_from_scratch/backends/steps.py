"""The host side of the CUDA kernels, on any device.

    forward     all input products at once, then the time loop
    backward    the time loop, last step first; then the weight products

The time loop is a tier's: that of per_step.py, or the one launch of sequence.py.

A device is an object with the few things that this needs; emulated.py has one on the CPU, cuda.py one on a GPU:

    empty(shape, dtype), zeros(shape, dtype)   new arrays that can be sliced and reshaped as NumPy's can
    put(array), get(array)                     from and to the arrays of the caller
    product(a, b, out, accumulate)             out (+)= a b: two-dimensional views with contiguous rows; a, b also transposed
    launch(text, name, grid, block, args)      one kernel of a text of source.py; args are arrays, None or NumPy scalars.
                                               shared=: a cooperative launch with so many bytes of dynamic shared memory
    storage(name)                              the dtype of "float16" or "bfloat16"
    plan(cell, B, H, dtype, per_gate)          planner.Plan: the time loop here, or in one launch by sequence.py
    failed, check()                            an int that a kernel of sequence.cu sets when it gives up; raises if it did
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bptt import Gradients, Tape
from . import per_step, sequence
from .source import column_sum_text, step_text

Array = Any
i32 = np.int32


class Loop:
    """What both passes of one call share: sizes, the kernels' text, parameters and masks on the device."""

    def __init__(self, device, cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, storage):
        self.device, self.cell, self.real, self.storage = device, cell, x.dtype, storage
        self.text = step_text(cell, x.dtype, storage)
        self.store = device.storage(storage) if storage else x.dtype
        self.B, self.T, self.I = x.shape
        self.G, self.H = len(cell.gates), params["Wh"].shape[0]
        self.phases = [(gates[0], gates[-1] + 1) for gates in cell.phases]  # gates lo..hi-1
        self.rev, self.zero_masked = i32(go_backwards), i32(zero_masked_outputs)
        self.params = {name: device.put(a) for name, a in params.items()}
        self.live = self.put(None if live is None else live.view("uint8"))
        self.x = device.put(x).reshape(self.B * self.T, self.I)
        self.x_scale, self.h_scale = self.put_scale(x_scale), self.put_scale(h_scale)
        self.scales = i32(0 if self.h_scale is None else len(self.h_scale))
        self.plan = device.plan(cell, self.B, self.H, self.real, bool(self.scales > 1))
        self.tier = per_step if self.plan.tiles is None else sequence
        device.check()

    def put(self, array: Array | None) -> Array | None:
        return None if array is None else self.device.put(array)

    def put_scale(self, scale: Array | None) -> Array | None:
        """[N,B,K], N = 1 or one for each gate."""
        return self.put(scale if scale is None or scale.ndim == 3 else scale.reshape(1, *scale.shape))

    def launch(self, name: str, rows: int, columns: int, *args: Any) -> None:
        """One thread for each row and column; a warp runs along a row."""
        by = min(8, rows)
        if rows and columns:
            self.device.launch(self.text, name, (-(-rows // by), -(-columns // 32), 1), (32, by, 1), args)

    def gates(self, a: Array, lo: int, hi: int) -> Array:
        """The columns of gates lo..hi-1 of [..., G*H]."""
        return a[..., lo * self.H : hi * self.H]

    def pieces(self, lo: int, hi: int, scale: Array | None) -> list[tuple[int, int, Array | None]]:
        """How a product over gates lo..hi-1 falls apart: (lo, hi, scale [B,K]), one piece, or one for each gate."""
        if scale is None or len(scale) == 1:
            return [(lo, hi, None if scale is None else scale[0])]
        return [(g, g + 1, scale[g]) for g in range(lo, hi)]

    def input_rows(self, scale: Array | None, live: Array | None) -> Array:
        """x [B*T,I], times a scale [B,I], 0 at masked steps."""
        if scale is None and live is None:
            return self.x
        rows = self.device.empty(self.x.shape, self.real)
        self.launch("input_rows", *rows.shape, self.x, scale, live, rows, i32(self.B), i32(self.T), i32(self.I))
        return rows


def column_sum(device: Any, a: Array) -> Array:
    """The sums [C] of the columns of a contiguous [N,C], in the one order of column_sum.cu."""
    N, C = a.shape
    if N == 0:
        return device.zeros((C,), a.dtype)
    while True:
        chunks = -(-N // 256)
        sums = device.empty((chunks, C), a.dtype)
        device.launch(column_sum_text(a.dtype), "column_sum", (chunks, -(-C // 32), 1), (32, 8, 1), (a, sums, np.int64(N), i32(C)))
        if chunks == 1:
            return sums[0]
        a, N = sums, chunks


def forward(device, name, storage, cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save):
    """Run the cell over x; see backends.forward for the arguments, which are checked. name: of the backend, for the tape.

    Returns y [B,T,H], the final states, and the Tape or None.
    """
    loop = Loop(device, cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, storage)
    B, T, G, H, p = loop.B, loop.T, loop.G, loop.H, loop.params
    S, A, real, store = len(s0), len(cell.saved), loop.real, loop.store
    W = max(G, A)

    xg = device.empty((B, T, W, H), real)
    for lo, hi, scale in loop.pieces(0, G, loop.x_scale):
        out = loop.gates(xg.reshape(B * T, W * H), lo, hi)
        device.product(loop.input_rows(scale, None), loop.gates(p["Wx"], lo, hi), out, False)

    s = device.empty((S, B, H), real)
    for k, first in enumerate(s0):
        s[k] = device.put(first)
    tape = [device.empty((B, T + 1, H), store) for _ in s0] if save else []
    saved = None
    if save and A:
        saved = device.empty((B, T, A, H), store) if storage else xg  # the gates take the place of their pre-activations
    y = device.empty((B, T, H), store)
    tapes = (*tape, None, None)[:2]
    loop.tier.forward(loop, xg, s, saved, tapes, y)

    state = tuple(device.get(s[k]) for k in range(S))
    device.check()
    if not save:
        return device.get(y), state, None
    kept = saved if A else device.empty((B, T, 0, H), store)
    flags = bool(go_backwards), bool(zero_masked_outputs)
    return device.get(y), state, Tape(cell, params, x, tuple(tape), kept, live, *flags, x_scale, h_scale, name)


def backward(device, storage, tape, dy, dstate, wrt):
    """Backpropagation through time over a Tape of forward; dy is in processing order. Returns Gradients."""
    cell, live = tape.cell, tape.live
    flags = live, tape.go_backwards, tape.zero_masked_outputs
    loop = Loop(device, cell, tape.params, tape.x, *flags, tape.x_scale, tape.h_scale, storage)
    B, T, G, H, real = loop.B, loop.T, loop.G, loop.H, loop.real
    S, E = len(cell.states), len(cell.extras)
    tapes = (*(device.put(a) for a in tape.states), None)[:2]
    saved = device.put(tape.saved)

    ds = device.zeros((S, B, H), real)
    for k, d in enumerate(dstate):
        if d is not None:
            ds[k] = device.put(d)
    dy = loop.put(dy)
    dxg = device.empty((B, T, G, H), real)
    dhg = dxg if cell.shared else device.empty((B, T, G, H), real)
    dp = device.zeros((E, B, H), real) if E else None
    first = None
    if live is not None:
        first = device.empty((B,), np.dtype("int32"))
        loop.launch("first_live", 1, B, loop.live, first, i32(B), i32(T), loop.rev)
    loop.tier.backward(loop, (saved, *tapes), dy, ds, dxg, dhg, dp, first)

    dx = input_gradient(loop, dxg) if "x" in wrt else None
    grads = None
    if "params" in wrt:
        grads = {name: device.get(g) for name, g in param_gradients(loop, (*tapes, saved), dxg, dhg, dp).items()}
    initial = tuple(device.get(ds[k]) for k in range(S)) if "initial_state" in wrt else None
    device.check()
    return Gradients(None if dx is None else device.get(dx), grads, initial)


def input_gradient(loop: Loop, dxg: Array) -> Array:
    """dx [B,T,I] from dxg [B,T,G,H]."""
    device, N = loop.device, loop.B * loop.T
    dx = device.empty((N, loop.I), loop.real)
    pieces = loop.pieces(0, loop.G, loop.x_scale)
    parts = dx.reshape(1, N, loop.I) if loop.x_scale is None else device.empty((len(pieces), N, loop.I), loop.real)
    for part, (lo, hi, _) in zip(parts, pieces):
        device.product(loop.gates(dxg.reshape(N, loop.G * loop.H), lo, hi), loop.gates(loop.params["Wx"], lo, hi).T, part, False)
    if loop.x_scale is not None:
        sizes = i32(len(pieces)), i32(loop.B), i32(loop.T), i32(loop.I)
        loop.launch("scaled_sum", N, loop.I, parts, loop.x_scale, dx, *sizes)
    return dx.reshape(loop.B, loop.T, loop.I)


def param_gradients(loop: Loop, kept: tuple, dxg: Array, dhg: Array, dp: Array | None) -> dict[str, Array]:
    """Name -> gradient, in the order of the parameters: one product over all steps for each weight, one sum for each bias.

    kept: the tape's h, c (or None) and saved, on the device.
    """
    device, params, N, columns = loop.device, loop.params, loop.B * loop.T, loop.G * loop.H
    D, R = dxg.reshape(N, columns), dhg.reshape(N, columns)
    dWx, dWh = (device.empty(params[name].shape, loop.real) for name in ("Wx", "Wh"))
    for lo, hi, scale in loop.pieces(0, loop.G, loop.x_scale):
        device.product(loop.input_rows(scale, loop.live).T, loop.gates(D, lo, hi), loop.gates(dWx, lo, hi), False)
    rows = device.empty((N, loop.H), loop.real)
    for k, gates in enumerate(loop.phases):
        for lo, hi, scale in loop.pieces(*gates, loop.h_scale):
            sizes = i32(k), i32(loop.B), i32(loop.T), i32(loop.H), loop.rev
            loop.launch("operand_rows", N, loop.H, *kept, scale, loop.live, rows, *sizes)
            device.product(rows.T, loop.gates(R, lo, hi), loop.gates(dWh, lo, hi), False)
    grads = {"Wx": dWx, "Wh": dWh}
    if "b" in params:
        grads["b"] = column_sum(device, D)
    if "bx" in params:
        grads.update(bx=column_sum(device, D), bh=column_sum(device, R))
    if dp is not None:
        grads["p"] = device.empty(params["p"].shape, loop.real)
        for e in range(len(dp)):
            grads["p"][e] = column_sum(device, dp[e])
    return {name: grads[name] for name in params}
