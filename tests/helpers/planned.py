"""The shapes for which sequence.cu is planned, compiled for their devices with no GPU; and a table of what they need.

    python -m tests.helpers.planned kernels/sequence.md        # writes the table between its marks
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from bench.gpu_model import DEVICES
from rnn_from_scratch import cells
from rnn_from_scratch.backends.gpu import planner
from rnn_from_scratch.backends.gpu.sequence import PATIENCE
from rnn_from_scratch.backends.gpu.source import sequence_text
from rnn_from_scratch.verify.table import rewrite

from . import nvrtc

ARCHITECTURES = {"T4": "sm_75", "A100": "sm_80", "H100": "sm_90", "B200": "sm_100"}
CELLS = cells.forms()
SHAPES = [(1, 128), (150, 150), (64, 256), (64, 512), (16, 1024)]  # B, H
KINDS = [("float32", None, False), ("float64", None, False), ("float32", "bfloat16", True), ("float64", None, True)]


class Case(NamedTuple):
    """A planned call: the device; KINDS' dtype, storage, and whether h_scale differs from gate to gate; the kernels' text."""

    device: str
    cell: str
    B: int
    H: int
    dtype: str
    storage: str | None
    per_gate: bool
    plan: planner.Plan
    text: str


def cases(device: str, kinds: list[tuple] = KINDS) -> list[Case]:
    """Every planned shape that takes the sequence tier on a device."""
    found = []
    for name, cell in CELLS.items():
        for B, H in SHAPES:
            for dtype, storage, per_gate in kinds:
                plan = planner.plan(DEVICES[device], cell, B, H, dtype, per_gate)
                if plan.tier == "sequence":
                    text = sequence_text(cell, dtype, storage, H, plan.tiles, per_gate, PATIENCE)
                    found.append(Case(device, name, B, H, dtype, storage, per_gate, plan, text))
    return found


def occupancy(device: str, plan: planner.Plan, registers: int) -> int:
    """Blocks on one multiprocessor: of 65536 registers, given out by 256 to a warp, and of its shared memory."""
    assert plan.tiles is not None
    threads = plan.tiles.threads
    by_registers = 65536 // (planner.up(registers * 32, 256) * 256 * (threads // 32))
    return min(by_registers, (DEVICES[device].shared + 1024) // (plan.shared + 1024), 2048 // threads)


def table() -> str:
    lines = ["| GPU | cell | B | H | blocks | units x rows | weights in | shared KB | registers f, b | blocks on a multiprocessor |"]
    lines.append("|---|---|--:|--:|---|---|---|--:|---|--:|")
    for device, architecture in ARCHITECTURES.items():
        rows = cases(device, KINDS[:1])
        for case, kernels in zip(rows, nvrtc.inspect_all([case.text for case in rows], architecture)):
            tiles, (slices, groups) = case.plan.tiles, case.plan.grid
            assert tiles is not None
            needed = [kernels[name].registers for name in ("forward", "backward")]
            weights, together = "registers" if tiles.held else "shared", occupancy(case.device, case.plan, max(needed))
            lines.append(
                f"| {device} | {case.cell} | {case.B} | {case.H} | {slices} x {groups} of {tiles.threads} | {tiles.own} x {tiles.rows} "
                f"| {weights} | {case.plan.shared / 1024:.0f} | {needed[0]}, {needed[1]} | {together} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]), "resources", table())
