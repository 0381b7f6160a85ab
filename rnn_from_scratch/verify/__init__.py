"""Checks for these cells and for yours. NumPy is enough for gradcheck; oracles import their framework when they are called."""

from __future__ import annotations

from .functions import assert_gradients, check_function
from .functions.frameworks import Pair, of_jax, of_keras, of_tensorflow, of_torch
from .functions.report import FunctionReport
from .gradcheck import assert_gradcheck, gradcheck
from .measure import Row, error
from .report import Report

__all__ = [
    "FunctionReport",
    "Pair",
    "Report",
    "Row",
    "assert_gradcheck",
    "assert_gradients",
    "check_function",
    "error",
    "gradcheck",
    "of_jax",
    "of_keras",
    "of_tensorflow",
    "of_torch",
]
