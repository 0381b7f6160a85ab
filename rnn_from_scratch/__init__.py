"""RNNs from the inside out: hand-written cells and BPTT in NumPy, the same maths as fused kernels, and the tools to check them.

Start reading at cells/simple_rnn.py, then bptt.py.
"""

from __future__ import annotations

from typing import Any

from . import backends, cells
from .backends import backward, forward
from .backends.truncated import truncated_bptt
from .params import init_params

__version__ = "0.1.0"
__all__ = ["backends", "backward", "cells", "forward", "gradcheck", "init_params", "truncated_bptt"]


def __getattr__(name: str) -> Any:
    if name == "gradcheck":  # loaded on first use: importing the package stays as quick as importing NumPy
        from .verify import gradcheck

        return gradcheck
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
