"""Checks for these cells and for yours. NumPy is enough for gradcheck; oracles import their framework when they are called."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..measure import Row, error
from .gradcheck import assert_gradcheck, gradcheck
from .report import Report

if TYPE_CHECKING:
    from ..interop import conventions
    from ..interop.diagnose import diagnose
    from ..interop.to_onnx import mask_lengths, to_onnx
    from .functions import assert_gradients, check_function
    from .functions.frameworks import Pair, of_jax, of_keras, of_tensorflow, of_torch
    from .functions.report import FunctionReport

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
# name -> the module that has it, loaded when it is first asked for: importing the package stays quick
ELSEWHERE = {
    "conventions": "..interop.conventions",
    "diagnose": "..interop.diagnose",
    **dict.fromkeys(("mask_lengths", "to_onnx"), "..interop.to_onnx"),
    **dict.fromkeys(("assert_gradients", "check_function"), ".functions"),
    **dict.fromkeys(("Pair", "of_jax", "of_keras", "of_tensorflow", "of_torch"), ".functions.frameworks"),
    "FunctionReport": ".functions.report",
}


def __getattr__(name: str) -> Any:
    if name not in ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(ELSEWHERE[name], __name__)
    return module if name == "conventions" else getattr(module, name)


class FunctionsFirst(ModuleType):
    """verify.diagnose and verify.to_onnx are functions, and modules to import from: importing one leaves the function in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ELSEWHERE or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = FunctionsFirst
