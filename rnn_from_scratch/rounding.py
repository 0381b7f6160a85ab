"""Factors of products, rounded to the nearest bfloat16 (ties to even): a float32 whose significand has 8 bits instead of 24.

The sums stay float32, as processors with bfloat16 instructions have them.
"""

from __future__ import annotations

import numpy as np

from .typing import Array

PRECISIONS = ("bfloat16",)


def rounded(a: Array, precision: str | None) -> Array:
    """The factor as the product takes it: itself (precision None), or float32 numbers that bfloat16 has.

    Source: the upper half of a float32 is a bfloat16. Adding half of the lower half's range, and 1 more if the upper half is odd,
    rounds to nearest even; NaN is kept apart, since the carry could make an infinity of it.
    """
    if precision is None:
        return a
    bits = np.ascontiguousarray(a, "float32").view("uint32")
    nearest = (bits + (0x7FFF + (bits >> 16 & 1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(a), a, nearest.view("float32"))
