"""The products of BPTT with the weights: forward, and towards each of the two factors.

Every factor passes through rounded (rounding.py), which changes nothing unless a precision is asked for.
"""

from __future__ import annotations

import numpy as np

from .rounding import rounded
from .typing import Array


def product(a: Array, W: Array, scale: Array | None, precision: str | None = None) -> Array:
    """(a * scale) W for a [N,K], W [K,G*H]; scale is None, [N,K], or one per gate [G,N,K]."""
    W = rounded(W, precision)
    if scale is None or scale.ndim == 2:
        return rounded(a if scale is None else a * scale, precision) @ W
    return np.concatenate([rounded(a * s, precision) @ w for s, w in zip(scale, np.split(W, len(scale), axis=1))], axis=1)


def product_da(d: Array, W: Array, scale: Array | None, precision: str | None = None) -> Array:
    """Undoes product(a, W, scale) towards a: d [N,G*H] -> [N,K]."""
    d, W = rounded(d, precision), rounded(W, precision)
    if scale is None or scale.ndim == 2:
        return d @ W.T if scale is None else (d @ W.T) * scale
    G = len(scale)
    return sum((dg @ w.T) * s for dg, w, s in zip(np.split(d, G, axis=1), np.split(W, G, axis=1), scale))


def product_dW(a: Array, d: Array, scale: Array | None, precision: str | None = None) -> Array:
    """Undoes product(a, W, scale) towards W: a [N,K], d [N,G*H] -> [K,G*H]."""
    d = rounded(d, precision)
    if scale is None or scale.ndim == 2:
        return rounded(a if scale is None else a * scale, precision).T @ d
    split = np.split(d, len(scale), axis=1)
    return np.concatenate([rounded(a * s, precision).T @ dg for s, dg in zip(scale, split)], axis=1)
