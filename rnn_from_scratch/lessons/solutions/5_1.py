"""Clipping: shrink all gradients by one factor, so that their norm together is at most the limit."""

import numpy as np


def clip(grads, limit):
    """grads: name -> array, which stay as they are. Returns new arrays by the same names."""
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    factor = limit / norm if norm > limit else 1.0
    return {name: factor * g for name, g in grads.items()}
