"""Attention: each step of y looks at all steps of k, and gets a mean of them, weighted by how well they fit.

y [B,T,H] are the decoder's outputs, k [B,I,H] the encoder's, W [H,H]. Write the backward pass.
"""

import numpy as np


def forward(y, k, W):
    """The context of each step of y, [B,T,H]."""
    a = y @ W @ k.swapaxes(1, 2)
    e = np.exp(a)
    p = e / e.sum(axis=2, keepdims=True)
    return p @ k


def backward(y, k, W, dcontext):
    """dcontext [B,T,H]. Returns dy, dk, dW."""
    raise NotImplementedError("fill in backward()")
