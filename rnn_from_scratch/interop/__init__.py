"""Weights and cells to and from other frameworks.

    weight_layouts.py    how each framework lays out the same cell, one table
    conventions.py       converts parameters by that table
    parts.py             the normal form in between
    several_layers.py    several layers and two directions in one set of arrays
    mismatches.py        what implementations of one cell do differently
    diagnose.py          which of these makes two implementations disagree
    to_onnx.py           a cell as an ONNX model
    keras_to_onnx.py     a whole Keras model as an ONNX model
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .keras_to_onnx import model_to_onnx

__all__ = ["model_to_onnx"]


def __getattr__(name: str) -> Any:
    if name == "model_to_onnx":  # loaded on first use: NumPy is enough for the modules above
        from .keras_to_onnx import model_to_onnx

        return model_to_onnx
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
