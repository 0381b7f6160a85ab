"""What a document may not be, said by name: the smallest checks of schema.py."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

import numpy as np

BYTES = {"float32": 4, "float64": 8}


class DocumentError(ValueError):
    """What is wrong in a document: a path in it, what was expected, what was found."""


def expect(name: str, value: Any, holds: bool, what: str) -> None:
    if not holds:
        shown = json.dumps(value, default=str) if not isinstance(value, (dict, list)) else f"{type(value).__name__} of {len(value)}"
        raise DocumentError(f"{name or 'document'}: expected {what}, got {shown[:60]}")


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    expect(name, value, value in choices, f"one of {', '.join(choices)}")


def whole(value: Any, below: float = math.inf, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < below


def check_array(name: str, a: Any, shape: list[int] | None = None) -> None:
    """An array: its dtype, its shape, as many bytes as it needs, and no NaN or infinity."""
    expect(name, a, isinstance(a, dict) and {"dtype", "shape", "data"} <= set(a), "an object with dtype, shape and data")
    one_of(f"{name}.dtype", a["dtype"], tuple(BYTES))
    expect(f"{name}.shape", a["shape"], isinstance(a["shape"], list) and all(whole(v) for v in a["shape"]), "a list of whole numbers")
    if shape is not None and a["shape"] != shape:
        raise DocumentError(f"{name}: expected {shape}, got {a['shape']}")
    try:
        data = base64.b64decode(a["data"], validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise DocumentError(f"{name}.data: expected base64, got {error}") from error
    needed = math.prod(a["shape"]) * BYTES[a["dtype"]]
    if len(data) != needed:
        raise DocumentError(f"{name}.data: expected {needed} bytes for {a['shape']} of {a['dtype']}, got {len(data)}")
    if not np.isfinite(np.frombuffer(data, np.dtype(a["dtype"]).newbyteorder("<"))).all():
        raise DocumentError(f"{name}.data: expected finite numbers, got NaN or infinity")
