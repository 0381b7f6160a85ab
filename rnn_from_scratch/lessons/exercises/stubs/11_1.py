"""The loss of a model that writes: the mean of -log p(wanted character), over the steps that are there.

a [B,T,V] are the sums before softmax, wanted [B,T] the characters 0 .. V-1 that come next, lengths [B] how many steps are there.
Write its backward pass.
"""

import numpy as np


def forward(a, wanted, lengths):
    """The loss, a number."""
    B, T, _ = a.shape
    log_p = a - np.log(np.exp(a).sum(axis=2, keepdims=True))
    live = np.arange(T) < lengths[:, None]
    chosen = log_p[np.arange(B)[:, None], np.arange(T), wanted]
    return -(np.where(live, chosen, 0)).sum() / live.sum()


def backward(a, wanted, lengths, dloss):
    """dloss: a number. Returns da, None, None: whole numbers have no gradient."""
    raise NotImplementedError("fill in backward()")
