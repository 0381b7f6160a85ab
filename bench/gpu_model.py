"""A model of time on a GPU, from bytes, operations, launches and barriers. No GPU has run these kernels yet: all of it is prediction.

    python -m bench.gpu_model --out FOLDER                     # gpu_model.md and roofline.png
    python -m bench.gpu_model --fit gpu_report.json            # the constants that fit what `make gpu-check` measured

The constants are planner.Costs, the ones by which the planner chooses a tier; --fit prints what to write there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_from_scratch.backends import planner
from rnn_from_scratch.backends.planner import Costs, Limits, Plan

from .cases import CELLS, SHAPES, SIX, gates, sizes

MB, KB = 1 << 20, 1 << 10
DEVICES = {
    "T4": Limits("T4", 40, 64 * KB, 1.59, 64, 2, 4 * MB, 0.32),
    "A100": Limits("A100", 108, 163 * KB, 1.41, 64, 32, 40 * MB, 1.55),
    "H100": Limits("H100", 132, 227 * KB, 1.755, 128, 64, 50 * MB, 3.35),
    "B200": Limits("B200", 148, 227 * KB, 1.85, 128, 64, 126 * MB, 8.0),
    "RTX 4090": Limits("RTX 4090", 128, 99 * KB, 2.52, 128, 2, 72 * MB, 1.0),
    "toy": Limits("toy", 1, 48 * KB, 1.0, 64, 2, MB, 0.1),
}
DRAWN = ("T4", "A100", "H100")
NAMES = (*SIX, *(name for name in SHAPES if name.startswith(("deepbench", "flashrnn"))))
LARGE = 0.8  # of the peak, by a product over all steps at once

# What others published: device, who, shape (B, T, H), us of a step forward, and of one backward with the weight gradients
PUBLISHED = [
    ("H100", "cuDNN bf16", (16, 1024, 768), 1.96, 3.11),
    ("H100", "FlashRNN fused bf16", (16, 1024, 768), 4.76, 8.54),
    ("H100", "FlashRNN alternating bf16", (16, 1024, 768), 10.5, 15.3),
    ("H100", "Haste fp32", (16, 1024, 768), 18.0, 24.9),
    ("V100", "cuDNN 2017 fp32", (16, 25, 512), 44.0, 44.4),
    ("V100", "cuDNN 2017 fp32", (128, 25, 512), 62.4, 91.6),
    ("V100", "cuDNN 2017 fp32", (64, 25, 1024), 88.4, 128.0),
]
SOURCES = "FlashRNN's README plot head_dim--lstm (B 16, T 1024, H 768); DeepBench's training sheet for V100, x Wx left out"


class Prediction(NamedTuple):
    """ms of both passes of a whole call, and what they are made of; None where a tier cannot run."""

    device: str
    shape: str
    cell: str
    operations: int  # of the recurrent products of one step, forward
    bytes: int  # moved by a step of the step tier, forward
    plan: Plan
    hoisted: tuple[float, float]  # ms of the products over all steps, forward and backward
    step: tuple[float, float]
    sequence: tuple[float, float] | None


def predict(device: str, shape: str, cell: str, costs: Costs | None = None) -> Prediction:
    """The model's word on one shape in float32."""
    limits, (B, T, I, H), G = DEVICES[device], sizes(shape), gates(cell)
    plan = planner.plan(limits, CELLS[cell], B, H, "float32", costs=costs)
    peak = 2e9 * limits.multiprocessors * limits.lanes * limits.clock * LARGE  # operations in a second
    ahead = 2 * B * T * I * G * H / peak * 1e3
    back = 2 * B * T * (2 * I + H) * G * H / peak * 1e3

    def whole(us: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if us is None else (ahead + us[0] * T / 1e3, back + us[1] * T / 1e3)

    step = whole(plan.us["step"])
    assert step is not None
    operations, moved = 2 * B * H * G * H, 4 * (G * H * H + 3 * B * G * H)
    return Prediction(device, shape, cell, operations, moved, plan, (ahead, back), step, whole(plan.us["sequence"]))
