"""The host side of the CUDA kernels, on any device (see call.py).

    forward     all input products at once, then the time loop
    backward    the time loop, last step first; then the weight products

The time loop is a tier's: that of per_step.py, or the one launch of sequence.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...bptt import Gradients, Tape
from ...typing import Array, Device
from . import per_step, sequence
from .call import GpuCall, column_sum, tape_arguments

i32 = np.int32


def tier(call: GpuCall) -> Any:
    """The module whose time loop runs this call, as the planner says."""
    return per_step if call.plan.tiles is None else sequence


def forward(device: Device, name, storage, math, cell, params, x, s0, live, go_backwards, zero_masked_outputs, x_scale, h_scale, save):
    """Run the cell over x; see backends.forward for the arguments, which are checked. name: of the backend, for the tape.

    Returns y [B,T,H], the final states, and the Tape or None.
    """
    call = GpuCall(device, cell, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, storage, math)
    loop, s = tier(call), device.empty((len(s0), call.B, call.H), call.real)
    for k, first in enumerate(s0):
        s[k] = device.put(first)
    y, saved, states = run_forward(call, loop, s, save)

    state = tuple(device.get(s[k]) for k in range(len(s)))
    device.check()
    if not save:
        return device.get(y), state, None
    flags = bool(go_backwards), bool(zero_masked_outputs)
    return device.get(y), state, Tape(cell, params, x, tuple(states), saved, live, *flags, x_scale, h_scale, name, math=math)


def run_forward(call: GpuCall, loop: Any, s: Array, save: bool) -> tuple[Array, Array | None, list[Array]]:
    """The input products, then the time loop: s [S,B,H] becomes the final states. Returns y, and what a tape holds: saved, states."""
    device, cell, B, T, G, H = call.device, call.cell, call.B, call.T, call.G, call.H
    A, real, store = len(cell.saved), call.real, call.store
    W = max(G, A)
    xg = device.empty((B, T, W, H), real)
    for lo, hi, scale in call.pieces(0, G, call.x_scale):
        out = call.gates(xg.reshape(B * T, W * H), lo, hi)
        call.product(call.input_rows(scale, None), "Wx", lo, hi, out, False)
    states = [device.empty((B, T + 1, H), store) for _ in s] if save else []
    saved = None
    if save:
        in_place = A == W and not call.storage  # the gates take the place of x Wx
        saved = xg if in_place else device.empty((B, T, A, H), store)
    y = device.empty((B, T, H), store)
    loop.forward(call, xg, s, saved if A else None, tape_arguments(states), y)
    return y, saved, states


def backward(device: Device, storage, tape, dy, dstate, wrt):
    """Backpropagation through time over a Tape of forward; dy is in processing order. Returns Gradients."""
    cell, live = tape.cell, tape.live
    flags = live, tape.go_backwards, tape.zero_masked_outputs
    call = GpuCall(device, cell, tape.params, tape.x, *flags, tape.x_scale, tape.h_scale, storage, tape.math)
    loop, ds = tier(call), device.zeros((len(cell.states), call.B, call.H), call.real)
    for k, d in enumerate(dstate):
        if d is not None:
            ds[k] = device.put(d)
    states = [device.put(a) for a in tape.states]
    return run_backward(call, loop, device.put(tape.saved), states, call.put(dy), ds, wrt)


def run_backward(call: GpuCall, loop: Any, saved: Array | None, states: list[Array], dy: Array | None, ds: Array, wrt: Any) -> Gradients:
    """The time loop, then the weight products. ds [S,B,H]: the gradient of the final states, and becomes that of the initial ones."""
    device, cell, B, T, G, H, real = call.device, call.cell, call.B, call.T, call.G, call.H, call.real
    tapes, E = tape_arguments(states), len(cell.extras)
    dxg = device.empty((B, T, G, H), real)
    dhg = dxg if cell.shared else device.empty((B, T, G, H), real)
    dp = device.zeros((E, call.batch, H), real) if E else None
    first = None
    if call.live is not None:
        first = device.empty((B,), np.dtype("int32"))
        call.launch("first_live", 1, B, call.live, first, i32(B), i32(T), call.rev)
    loop.backward(call, (saved, *tapes), dy, ds, dxg, dhg, dp, first)

    dx = input_gradient(call, dxg) if "x" in wrt else None
    grads: Any = None
    if "params" in wrt:
        grads = {name: device.get(g) for name, g in param_gradients(call, (*tapes, saved), dxg, dhg, dp).items()}
    initial: Any = tuple(device.get(ds[k, : call.batch]) for k in range(len(ds))) if "initial_state" in wrt else None
    device.check()
    dx_there: Any = None if dx is None else device.get(dx)
    return Gradients(dx_there, grads, initial)


def input_gradient(call: GpuCall, dxg: Array) -> Array:
    """dx [B,T,I] from dxg [B,T,G,H]."""
    device, N = call.device, call.batch * call.T
    D = dxg.reshape(call.B * call.T, call.G * call.H)
    dx = device.empty((N, call.I), call.real)
    pieces = call.pieces(0, call.G, call.x_scale)
    parts = dx.reshape(1, N, call.I) if call.x_scale is None else device.empty((len(pieces), N, call.I), call.real)
    for part, (lo, hi, _) in zip(parts, pieces):
        call.product_back(call.gates(D, lo, hi), "Wx", lo, hi, part)
    if call.x_scale is not None:
        sizes = i32(len(pieces)), i32(call.batch), i32(call.T), i32(call.I)
        call.launch("scaled_sum", N, call.I, parts, call.x_scale, dx, *sizes)
    return dx.reshape(call.batch, call.T, call.I)


def param_gradients(call: GpuCall, kept: tuple, dxg: Array, dhg: Array, dp: Array | None) -> dict[str, Array]:
    """Name -> gradient, in the order of the parameters: one product over all steps for each weight, one sum for each bias.

    kept: tape_arguments of the states, and saved, on the device.
    """
    device, params, N, columns = call.device, call.params, call.B * call.T, call.G * call.H
    D, R = dxg.reshape(N, columns), dhg.reshape(N, columns)
    dWx, dWh = (device.empty(params[name].shape, call.real) for name in ("Wx", "Wh"))
    for lo, hi, scale in call.pieces(0, call.G, call.x_scale):
        rows = call.input_rows(scale, call.live)
        device.product(rows.T, call.gates(D[: len(rows)], lo, hi), call.gates(dWx, lo, hi), False)
    rows = device.empty((N, call.H), call.real)
    for k, gates in enumerate(call.phases):
        for lo, hi, scale in call.pieces(*gates, call.h_scale):
            sizes = i32(k), i32(call.batch), i32(call.T), i32(call.H), call.rev
            call.launch(call.kernels + "operand_rows", call.batch * call.T, call.H, *kept, scale, call.live, rows, *sizes)
            device.product(rows.T, call.gates(R, lo, hi), call.gates(dWh, lo, hi), False)
    grads, D, R = {"Wx": dWx, "Wh": dWh}, D[: call.batch * call.T], R[: call.batch * call.T]
    if "b" in params:
        grads["b"] = column_sum(device, D)
    if "bx" in params:
        grads.update(bx=column_sum(device, D), bh=column_sum(device, R))
    if dp is not None:
        grads["p"] = device.empty(params["p"].shape, call.real)
        for e in range(len(dp)):
            grads["p"][e] = column_sum(device, dp[e])
    return {name: grads[name] for name in params}
