"""Noise-contrastive estimation: a word, its true neighbour, and words drawn at random that all words of the batch share.

h [B,H], w [B,H] are the rows of the words and of their neighbours, w_false [V,H] those drawn at random. Write the backward pass.
"""

import numpy as np


def sigma(a):
    return 1 / (1 + np.exp(-a))


def forward(h, w, w_false):
    """The loss, a number: true pairs should have large scores, false ones small."""
    a, a_false = (h * w).sum(axis=1), h @ w_false.T
    return np.mean(np.log1p(np.exp(-a)) + np.log1p(np.exp(a_false)).sum(axis=1))


def backward(h, w, w_false, dloss):
    """dloss: a number. Returns dh, dw, dw_false."""
    raise NotImplementedError("fill in backward()")
