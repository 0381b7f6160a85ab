"""Arrays as the format rnn-explain/1 has them: dtype, shape, and the bytes in base64, little endian."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from ..typing import Array


def numbers(a: Array) -> dict[str, Any]:
    """An array as the format has it."""
    a = np.asarray(a)
    a = np.ascontiguousarray(a, a.dtype.newbyteorder("<"))
    return {"dtype": a.dtype.name, "shape": list(a.shape), "data": base64.b64encode(a.tobytes()).decode()}


def array_of(a: dict[str, Any]) -> Array:
    """Undoes numbers()."""
    return np.frombuffer(base64.b64decode(a["data"]), np.dtype(a["dtype"]).newbyteorder("<")).reshape(a["shape"])


def wide(a: Array) -> Array:
    """The same numbers in float64."""
    return np.asarray(a).astype("float64")
