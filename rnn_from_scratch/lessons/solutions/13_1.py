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
    e = np.exp(y @ W @ k.swapaxes(1, 2))
    p = e / e.sum(axis=2, keepdims=True)
    dp = dcontext @ k.swapaxes(1, 2)
    da = p * (dp - (p * dp).sum(axis=2, keepdims=True))
    dy = da @ k @ W.T
    dk = p.swapaxes(1, 2) @ dcontext + da.swapaxes(1, 2) @ (y @ W)
    dW = np.tensordot(y, da @ k, ((0, 1), (0, 1)))
    return dy, dk, dW
