"""The step tier: the only time loop on the host, for each step and phase one product and one launch of step.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import Array
from .call import GpuCall

i32 = np.int32


def most_operands(call: GpuCall) -> int:
    """How many operands the widest phase has: one, or one for each of its gates."""
    return max(hi - lo for lo, hi in call.phases) if call.scales > 1 else 1


def forward(call: GpuCall, xg: Array, s: Array, saved: Array | None, tapes: tuple, y: Array) -> None:
    """All steps: s becomes the final states; saved, the tapes and y are filled."""
    device, cell, p, (B, T, H, real) = call.device, call.cell, call.params, (call.B, call.T, call.H, call.real)
    operand: Any = device.empty((most_operands(call), B, H), real) if call.scales or len(call.phases) > 1 else None
    hg: list[Any] = [None if cell.shared else device.empty((B, (hi - lo) * H), real) for lo, hi in call.phases]

    sizes = i32(B), i32(T), i32(H), call.scales, call.rev
    call.launch("begin", B, H, s, *tapes, operand if call.scales else None, call.h_scale, *sizes)
    steps = xg.reshape(B, T, xg.shape[2] * H)
    last = len(call.phases) - 1
    for step in range(T):
        at = steps[:, T - 1 - step if call.rev else step]
        for k, (lo, hi) in enumerate(call.phases):
            out = call.gates(at, lo, hi) if cell.shared else hg[k]  # added to xg where hg has no use of its own
            for i, (a, b, _) in enumerate(call.pieces(lo, hi, call.h_scale)):
                source = operand[i] if k or call.scales else s[0]
                device.product(source, call.gates(p["Wh"], a, b), call.gates(out, a - lo, b - lo), cell.shared)
            target = operand if k < last or call.scales else None
            biases = p.get("bx", p.get("b")), p.get("bh"), p.get("p")
            arrays = xg, hg[k], *biases, s, saved, *tapes, target, call.h_scale, y, call.live
            call.launch("forward", B, H, *arrays, i32(k), i32(step), *sizes, call.zero_masked)


def backward(
    call: GpuCall, kept: tuple, dy: Array | None, ds: Array, dxg: Array, dhg: Array, dp: Array | None, first: Array | None
) -> None:
    """All steps, last first: ds becomes the gradient of the initial states; dxg, dhg and dp are filled.

    kept: saved and the tapes. first: the first live step of each row, or None. dhg is dxg where they are the same.
    """
    device, cell, (B, T, H, real) = call.device, call.cell, (call.B, call.T, call.H, call.real)
    ds_sum = device.empty((len(ds), B, H), real) if len(call.phases) > 1 else None
    back = device.empty((most_operands(call), B, H), real)
    sizes = i32(B), i32(T), i32(H), call.scales, call.rev
    steps = dhg.reshape(B, T, call.G * H)
    Wh = call.params["Wh"]
    for step in reversed(range(T)):
        at = steps[:, T - 1 - step if call.rev else step]
        for k, (lo, hi) in reversed(list(enumerate(call.phases))):
            arrays = *kept, call.params.get("p"), dy, ds, ds_sum, back, call.h_scale, dxg, None if cell.shared else dhg, dp
            call.launch("backward", B, H, *arrays, call.live, first, i32(k), i32(step), *sizes, call.zero_masked)
            for i, (a, b, _) in enumerate(call.pieces(lo, hi, call.h_scale)):
                device.product(call.gates(at, a, b), call.gates(Wh, a, b).T, back[i], False)
    call.launch("end", B, H, ds, back, call.h_scale, call.live, *sizes)
