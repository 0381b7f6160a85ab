"""The step tier: the only time loop on the host, for each step and phase one product and one launch of step.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
i32 = np.int32


def most_operands(loop: Any) -> int:
    """How many operands the widest phase has: one, or one for each of its gates."""
    return max(hi - lo for lo, hi in loop.phases) if loop.scales > 1 else 1


def forward(loop: Any, xg: Array, s: Array, saved: Array | None, tapes: tuple, y: Array) -> None:
    """All steps: s becomes the final states; saved, the tapes and y are filled."""
    device, cell, p, (B, T, H, real) = loop.device, loop.cell, loop.params, (loop.B, loop.T, loop.H, loop.real)
    operand: Array = device.empty((most_operands(loop), B, H), real) if loop.scales or len(loop.phases) > 1 else None
    hg = [None if cell.shared else device.empty((B, (hi - lo) * H), real) for lo, hi in loop.phases]

    sizes = i32(B), i32(T), i32(H), loop.scales, loop.rev
    loop.launch("begin", B, H, s, *tapes, operand if loop.scales else None, loop.h_scale, *sizes)
    steps = xg.reshape(B, T, xg.shape[2] * H)
    last = len(loop.phases) - 1
    for step in range(T):
        at = steps[:, T - 1 - step if loop.rev else step]
        for k, (lo, hi) in enumerate(loop.phases):
            out = loop.gates(at, lo, hi) if cell.shared else hg[k]  # added to xg where hg has no use of its own
            for i, (a, b, _) in enumerate(loop.pieces(lo, hi, loop.h_scale)):
                source = operand[i] if k or loop.scales else s[0]
                device.product(source, loop.gates(p["Wh"], a, b), loop.gates(out, a - lo, b - lo), cell.shared)
            target = operand if k < last or loop.scales else None
            biases = p.get("bx", p.get("b")), p.get("bh"), p.get("p")
            arrays = xg, hg[k], *biases, s, saved, *tapes, target, loop.h_scale, y, loop.live
            loop.launch("forward", B, H, *arrays, i32(k), i32(step), *sizes, loop.zero_masked)


def backward(loop: Any, kept: tuple, dy: Array | None, ds: Array, dxg: Array, dhg: Array, dp: Array | None, first: Array | None) -> None:
    """All steps, last first: ds becomes the gradient of the initial states; dxg, dhg and dp are filled.

    kept: saved and the tapes. first: the first live step of each row, or None. dhg is dxg where they are the same.
    """
    device, cell, (B, T, H, real) = loop.device, loop.cell, (loop.B, loop.T, loop.H, loop.real)
    part = device.empty((len(ds), B, H), real) if len(loop.phases) > 1 else None
    back = device.empty((most_operands(loop), B, H), real)
    sizes = i32(B), i32(T), i32(H), loop.scales, loop.rev
    steps = dhg.reshape(B, T, loop.G * H)
    Wh = loop.params["Wh"]
    for step in reversed(range(T)):
        at = steps[:, T - 1 - step if loop.rev else step]
        for k, (lo, hi) in reversed(list(enumerate(loop.phases))):
            arrays = *kept, loop.params.get("p"), dy, ds, part, back, loop.h_scale, dxg, None if cell.shared else dhg, dp
            loop.launch("backward", B, H, *arrays, loop.live, first, i32(k), i32(step), *sizes, loop.zero_masked)
            for i, (a, b, _) in enumerate(loop.pieces(lo, hi, loop.h_scale)):
                device.product(loop.gates(at, a, b), loop.gates(Wh, a, b).T, back[i], False)
    loop.launch("end", B, H, ds, back, loop.h_scale, loop.live, *sizes)
