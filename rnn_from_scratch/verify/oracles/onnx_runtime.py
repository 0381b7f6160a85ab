"""ONNX Runtime on what to_onnx writes: outputs and final states of every cell that ONNX has. It has no gradients and no float64."""

from __future__ import annotations

import numpy as np

from ...interop.to_onnx import mask_lengths, to_onnx
from ...interop.weight_layouts import LAYOUTS
from ...typing import Array
from ..cases import Problem
from . import absent, lacks, seen_x

NAME, COVERS = "ONNX Runtime", LAYOUTS["onnx"].rows
FLOAT32_ONLY, OUTPUTS_ONLY = True, True


def missing() -> str:
    return absent("onnx", "ONNX", "onnx") or absent("onnxruntime", "ONNX Runtime", "onnxruntime")


def cannot(p: Problem) -> str:
    if p.x.dtype != np.float32:
        return "float32 only"
    if {"x_scale", "h_scale"} & set(p.options):
        return "no scales: they are for training"
    if "mask" in p.options:
        try:
            mask_lengths(p.options["mask"])
        except ValueError:
            return "its only masks are lengths"
    return lacks(NAME, COVERS, p.cell)


def solve(p: Problem) -> dict[str, Array]:
    """y and the final states."""
    import onnxruntime

    options = {name: p.options[name] for name in ("go_backwards", "zero_masked_outputs") if name in p.options}
    masking = "lengths" if "mask" in p.options else None
    model = to_onnx(p.cell, p.params, masking=masking, initial_state=True, **options)
    inputs = {"x": seen_x(p), **{f"initial_{s}": a for s, a in zip(p.cell.states, p.options["initial_state"])}}
    if masking:
        inputs["lengths"] = mask_lengths(p.options["mask"])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(("y", *p.cell.states), session.run(None, inputs)))
