"""RNNs from the inside out: hand-written cells and BPTT in NumPy, the same maths as fused kernels, and the tools to check them.

Start reading at cells/simple_rnn.py, then bptt.py.
"""

from __future__ import annotations

from . import backends, cells
from .backends import backward, forward
from .backends.second_order import backward_vjp, hvp, jvp
from .backends.stepper import Stepper
from .backends.truncated import truncated_bptt
from .params import init_params
from .verify.gradcheck import gradcheck

__version__ = "0.1.0"
__all__ = [
    "Stepper",
    "backends",
    "backward",
    "backward_vjp",
    "cells",
    "forward",
    "gradcheck",
    "hvp",
    "init_params",
    "jvp",
    "truncated_bptt",
]
