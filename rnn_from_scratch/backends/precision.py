"""The option `precision`: which backend rounds the factors of its products, and whether this machine can."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..rounding import PRECISIONS
from ..typing import Array
from . import native


def rounds(precision: str, backend: str = "auto", cell: Any = None) -> bool:
    """Whether forward(precision=precision, backend=backend) runs NumPy arrays here.

    cell   the cell that is to run; None: any whose kernel was built

    >>> from rnn_from_scratch import backends
    >>> backends.rounds("bfloat16", "reference")
    True
    """
    if backend == "reference":
        return True
    runs = backend in ("auto", "native") and native.available()[0] and not native.lacks(precision)
    return runs and (cell is None or native.supports(cell))


def check_precision(precision: str | None, name: str, asked: str, x: Array) -> None:
    """Raise ValueError or TypeError unless the backend `name`, asked for as `asked`, can round the factors of its products so."""
    if precision is None:
        return
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected None or one of {', '.join(PRECISIONS)}, got {precision!r}")
    if name not in ("native", "reference"):
        raise ValueError(f"precision: only the backends native and reference round products, got backend={name!r}")
    if x.dtype != np.float32:
        raise TypeError(f"precision: products are rounded in float32 arithmetic, got x of {x.dtype}")
    if asked == "reference":
        return
    # nobody is made to wait for NumPy unasked
    why = native.lacks(precision) if name == "native" else "auto takes native for it, which does not run here (backends.choose says why)"
    if why:
        raise ValueError(f"precision: {precision!r}: {why}; backend='reference' computes it in NumPy, more slowly")
