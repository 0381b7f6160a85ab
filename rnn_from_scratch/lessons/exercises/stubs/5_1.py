"""Clipping: shrink all gradients by one factor, so that their norm together is at most the limit."""

import numpy as np


def clip(grads, limit):
    """grads: name -> array, which stay as they are. Returns new arrays by the same names."""
    raise NotImplementedError("fill in clip()")
