"""The shapes for which tensor_product.h is planned, compiled for their devices with no GPU; and a table of what they need.

    python -m tests.helpers.planned_tensor kernels/tensor.md        # writes the table between its marks
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from bench.gpu_model import DEVICES
from rnn_from_scratch.backends.gpu import tensor
from rnn_from_scratch.backends.gpu.planner import Plan
from rnn_from_scratch.backends.gpu.sequence import PATIENCE
from rnn_from_scratch.backends.gpu.source import sequence_text
from rnn_from_scratch.verify.table import rewrite

from . import nvrtc
from .planned import ARCHITECTURES, CELLS, SHAPES, occupancy

IN_THE_TABLE = ("LSTM", "GRU reset before")


class Case(NamedTuple):
    """A planned call: the device; what is multiplied; whether h_scale differs from gate to gate; the kernels' text."""

    device: str
    cell: str
    B: int
    H: int
    operands: str
    per_gate: bool
    plan: Plan
    text: str


def cases(device: str, cell: str, operands: str, per_gate: bool = False) -> list[Case]:
    """Every shape that a device has tensor cores and room for."""
    found = []
    for B, H in SHAPES:
        try:
            plan = tensor.plan(DEVICES[device], CELLS[cell], B, H, "float32", per_gate, operands)
        except ValueError:
            continue
        storage = None if operands == "TF32" else operands
        text = sequence_text(CELLS[cell], "float32", storage, H, plan.tiles, per_gate, PATIENCE, True)
        found.append(Case(device, cell, B, H, operands, per_gate, plan, text))
    return found


def table() -> str:
    """bfloat16 needs what float16 does."""
    head = "| GPU | cell | B | H | factors | blocks | units x rows | weights in | shared KB | registers f, b | on one | us predicted |"
    lines = [head, "|---|---|--:|--:|---|---|---|---|--:|---|--:|--:|"]
    for device, architecture in ARCHITECTURES.items():
        rows = [case for cell in IN_THE_TABLE for operands in ("float16", "TF32") for case in cases(device, cell, operands)]
        for case, kernels in zip(rows, nvrtc.inspect_all([case.text for case in rows], architecture)):
            tiles, (slices, groups) = case.plan.tiles, case.plan.grid
            assert tiles is not None and case.plan.us["tensor"] is not None
            needed = [kernels[name].registers for name in ("forward", "backward")]
            others = [sum(us) for tier, us in case.plan.us.items() if us and tier != "tensor"]
            weights, us = "registers" if tiles.held else "shared", f"{sum(case.plan.us['tensor']):.1f}, {min(others):.1f} without"
            lines.append(
                f"| {device} | {case.cell} | {case.B} | {case.H} | {case.operands} | {slices} x {groups} of {tiles.threads} "
                f"| {tiles.own} x {tiles.rows} | {weights} | {case.plan.shared / 1024:.0f} | {needed[0]}, {needed[1]} "
                f"| {occupancy(case.device, case.plan, max(needed))} | {us} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    rewrite(Path(sys.argv[1]), "tensor cores", table())
