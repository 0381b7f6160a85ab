"""How arrays that live from forward to backward are kept in 16 bits: the dtypes of storage=."""

from __future__ import annotations

from typing import Any

import numpy as np


def storage_dtype(name: str) -> np.dtype:
    """float16, or bfloat16 as ml_dtypes has it. Raises ValueError if that is not installed."""
    if name == "bfloat16":
        try:
            from ml_dtypes import bfloat16
        except ImportError:
            raise ValueError("storage: bfloat16 needs ml_dtypes: pip install ml_dtypes") from None
        return np.dtype(bfloat16)
    return np.dtype(name)


def storage_of(tape: Any) -> str | None:
    """The storage that forward was asked for."""
    dtype = tape.states[0].dtype
    return None if dtype == tape.x.dtype else str(dtype)
