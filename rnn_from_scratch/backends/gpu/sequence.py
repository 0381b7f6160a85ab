"""The host side of sequence.cu: one launch for a whole time loop, in place of the one in per_step.py."""

from __future__ import annotations

import numpy as np

from ...typing import Array
from .call import GpuCall
from .source import sequence_text
from .tensor import item, padded

PATIENCE = 1 << 36  # clock cycles that a block waits before it gives up: the better part of a minute
i32 = np.int32


def launch(call: GpuCall, name: str, before: tuple, after: tuple) -> None:
    """One kernel. Between the two groups of arrays stands exchange: what the blocks write to each other, in two slots by turns."""
    device, (slices, groups), tiles = call.device, call.plan.grid, call.plan.tiles
    tensor = call.operands is not None
    text = sequence_text(call.cell, call.real, call.storage, call.H, tiles, bool(call.scales > 1), PATIENCE, tensor)
    widest = max(hi - lo for lo, hi in call.phases)
    operands = widest if name == "backward" or call.scales > 1 else 1
    width = padded(call.H, item(call.operands) if call.operands else 4)
    exchange = device.zeros((2, call.B, operands * width), np.dtype("uint16") if tensor and call.storage else call.real)
    arrived = device.zeros((groups, 32), np.dtype("uint32"))
    sizes = i32(call.B), i32(call.T), call.scales, call.rev, call.zero_masked
    args = (*before, exchange, call.h_scale, *after, arrived, device.failed, *sizes)
    device.launch(text, name, (1, slices, groups), (tiles.threads, 1, 1), args, shared=call.plan.shared)


def forward(call: GpuCall, xg: Array, s: Array, saved: Array | None, tapes: tuple, y: Array) -> None:
    """As per_step.forward."""
    p = call.params
    biases = p.get("bx", p.get("b")), p.get("bh"), p.get("p")
    launch(call, "forward", (xg, p["Wh"], *biases, s, saved, *tapes), (y, call.live))


def backward(
    call: GpuCall, kept: tuple, dy: Array | None, ds: Array, dxg: Array, dhg: Array, dp: Array | None, first: Array | None
) -> None:
    """As per_step.backward."""
    p = call.params
    own = None if call.cell.shared else dhg
    launch(call, "backward", (*kept, p["Wh"], p.get("p"), dy, ds, dxg, own, dp), (call.live, first))
