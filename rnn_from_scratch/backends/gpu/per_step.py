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
    device, cell, (B, T, H, real) = call.device, call.cell, (call.B, call.T, call.H, call.real)
    operand: Any = device.empty((most_operands(call), B, H), real) if call.scales or len(call.phases) > 1 else None
    hg: list[Any] = [None if cell.shared else device.empty((B, (hi - lo) * H), real) for lo, hi in call.phases]

    sizes = i32(T), i32(H), call.scales, call.rev
    call.launch("begin", B, H, s, *tapes, operand if call.scales else None, call.h_scale, i32(B), *sizes)
    steps = xg.reshape(B, T, xg.shape[2] * H)
    last = len(call.phases) - 1
    vectors = call.vectors("bx" if "bx" in call.params else "b", "bh", "p")
    for step in range(T):
        at = steps[:, T - 1 - step if call.rev else step]
        for k, (lo, hi) in enumerate(call.phases):
            out = call.gates(at, lo, hi) if cell.shared else hg[k]  # added to xg where hg has no use of its own
            for i, (a, b, _) in enumerate(call.pieces(lo, hi, call.h_scale)):
                source = operand[i] if k or call.scales else s[0]
                call.product(source, "Wh", a, b, call.gates(out, a - lo, b - lo), cell.shared)
            target = operand if k < last or call.scales else None
            arrays = xg, hg[k], *vectors, s, saved, *tapes, target, call.h_scale, y, call.live
            call.launch(call.kernels + "forward", call.batch, H, *arrays, i32(k), i32(step), i32(call.batch), *sizes, call.zero_masked)


def backward(
    call: GpuCall, kept: tuple, dy: Array | None, ds: Array, dxg: Array, dhg: Array, dp: Array | None, first: Array | None
) -> None:
    """All steps, last first: ds becomes the gradient of the initial states; dxg, dhg and dp are filled.

    kept: saved and the tapes. first: the first live step of each row, or None. dhg is dxg where they are the same.
    """
    device, cell, (B, T, H, real) = call.device, call.cell, (call.B, call.T, call.H, call.real)
    ds_sum = device.empty((len(ds), B, H), real) if len(call.phases) > 1 else None
    back = device.empty((most_operands(call), B, H), real)
    sizes = i32(T), i32(H), call.scales, call.rev
    steps = dhg.reshape(B, T, call.G * H)
    extras = call.vectors("p")
    for step in reversed(range(T)):
        at = steps[:, T - 1 - step if call.rev else step]
        for k, (lo, hi) in reversed(list(enumerate(call.phases))):
            arrays = *kept, *extras, dy, ds, ds_sum, back, call.h_scale, dxg, None if cell.shared else dhg, dp
            where = call.live, first, i32(k), i32(step)
            call.launch(call.kernels + "backward", call.batch, H, *arrays, *where, i32(call.batch), *sizes, call.zero_masked)
            for i, (a, b, _) in enumerate(call.pieces(lo, hi, call.h_scale)):
                call.product_back(call.gates(at, a, b), "Wh", a, b, back[i])
    call.launch("end", B, H, ds, back, call.h_scale, call.live, i32(B), *sizes)
