"""Weights over the steps that are there."""

import numpy as np


def weights(a, lengths):
    """a [B,T,S]: how well each step s fits; lengths [B], each at least 1. Returns the softmax over the first lengths[b] steps of row
    b, and 0 behind them. The sums can be as large as 1000, and behind the end stands anything, NaN included.
    """
    live = (np.arange(a.shape[2]) < lengths[:, None])[:, None, :]
    a = np.where(live, a, -np.inf)
    e = np.exp(a - a.max(axis=2, keepdims=True))
    return e / e.sum(axis=2, keepdims=True)
