"""The host side of sequence.cu: one launch for a whole time loop, in place of the loop of steps.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from .planner import up
from .source import sequence_text

Array = Any
SPINS = 1 << 26  # looks at a counter before a block gives up: the better part of a minute
i32 = np.int32


def launch(loop: Any, name: str, before: tuple, after: tuple) -> None:
    """One kernel. Between the two groups of arrays stands mail: what the blocks write to each other, in two slots by turns."""
    device, (slices, groups), tiles = loop.device, loop.plan.grid, loop.plan.tiles
    text = sequence_text(loop.cell, loop.real, loop.storage, loop.H, tiles, bool(loop.scales > 1), SPINS)
    widest = max(hi - lo for lo, hi in loop.phases)
    lines = widest if name == "backward" or loop.scales > 1 else 1
    mail = device.zeros((2, lines * loop.B, 4 * up(loop.H, 4)), loop.real)
    arrived = device.zeros((groups, 32), np.dtype("uint32"))
    sizes = i32(loop.B), i32(loop.T), loop.scales, loop.rev, loop.zero_masked
    args = (*before, mail, loop.h_scale, *after, arrived, device.failed, *sizes)
    device.launch(text, name, (1, slices, groups), (tiles.threads, 1, 1), args, shared=loop.plan.shared)


def forward(loop: Any, xg: Array, s: Array, saved: Array | None, tapes: tuple, y: Array) -> None:
    """As per_step.forward."""
    p = loop.params
    biases = p.get("bx", p.get("b")), p.get("bh"), p.get("p")
    launch(loop, "forward", (xg, p["Wh"], *biases, s, saved, *tapes), (y, loop.live))


def backward(loop: Any, kept: tuple, dy: Array | None, ds: Array, dxg: Array, dhg: Array, dp: Array | None, first: Array | None) -> None:
    """As per_step.backward."""
    p = loop.params
    own = None if loop.cell.shared else dhg
    launch(loop, "backward", (*kept, p["Wh"], p.get("p"), dy, ds, dxg, own, dp), (loop.live, first))
