"""An update of the weights with clipping, and with one bug. Mend it.

It should shrink all gradients by one factor, so that their norm together is at most the limit, and leave short ones alone.
"""

import numpy as np


def update(params, grads, rate, limit):
    """params, grads: name -> array, which stay as they are. Returns the new params."""
    new = {}
    for name, g in grads.items():
        norm = np.sqrt((g**2).sum())
        factor = min(1.0, limit / norm) if norm > 0 else 1.0
        new[name] = params[name] - rate * factor * g
    return new
