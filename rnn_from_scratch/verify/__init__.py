"""Checks for these cells and for yours. NumPy is enough for gradcheck; oracles import their framework when they are called."""

from __future__ import annotations

from . import conventions
from .diagnose import diagnose
from .functions import assert_gradients, check_function
from .functions.frameworks import Pair, of_jax, of_keras, of_tensorflow, of_torch
from .functions.report import FunctionReport
from .gradcheck import assert_gradcheck, gradcheck
from .measure import Row, error
from .report import Report
from .to_onnx import mask_lengths, to_onnx

__all__ = [
    "FunctionReport",
    "Pair",
    "Report",
    "Row",
    "assert_gradcheck",
    "assert_gradients",
    "check_function",
    "conventions",
    "diagnose",
    "error",
    "gradcheck",
    "mask_lengths",
    "of_jax",
    "of_keras",
    "of_tensorflow",
    "of_torch",
    "to_onnx",
]
