"""Attention in NumPy, forward and backward by hand: what layers/attention.py computes, to be read.

Luong's "general" attention (Luong, Pham and Manning 2015), its scores divided by the root of K, without which the softmax may be
stuck on one key before anything is learned: at each step t of y the decoder looks over all steps s of the keys k.

    a[t,s] = y_t W k_s / sqrt(K)  how well key s fits
    p[t,:] = softmax(a[t,:])      where to look: sums to 1 over the live s
    context_t = sum_s p[t,s] k_s  what is seen there
    out_t = tanh([context_t, y_t] V + b)

Backward, from dout and, if somebody uses p, from dp:

    dz = dout (1 - out^2)         dV = [context, y]^T dz      [dcontext, dy] = dz V^T
    dp += dcontext k^T            dk = p^T dcontext
    da = p (dp - sum_s p dp)      the slope of softmax
    dy += da k W^T / sqrt(K)      dW = y^T da k / sqrt(K)     dk += da^T y W / sqrt(K)
"""

from __future__ import annotations

import numpy as np

from ..typing import Array


def forward(y: Array, k: Array, W: Array, V: Array, b: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """out [B,T,U] and p [B,T,S].

    y [B,T,H], k [B,S,K], W [H,K], V [K+H,U], b [U]; mask [B,S] bool: which keys are there. What stands in the others is not seen,
    NaN included. Where a row has none, p and its context are 0.
    """
    k = select(k, mask)
    a = y @ W @ k.swapaxes(1, 2) / k.shape[2] ** 0.5
    live = np.ones(a.shape, bool) if mask is None else np.broadcast_to(mask[:, None, :], a.shape)
    high = np.max(np.where(live, a.real, -np.inf), axis=2, keepdims=True, initial=-1e30)
    e = np.where(live, np.exp(np.where(live, a - high, 0)), 0)
    total = e.sum(axis=2, keepdims=True)
    p = e / np.where(total == 0, 1, total)
    out = np.tanh(np.concatenate([p @ k, y], axis=2) @ V + b)
    return out, p


def backward(
    y: Array, k: Array, W: Array, V: Array, b: Array, mask: Array | None, dout: Array, dp: Array | None = None
) -> tuple[Array | None, ...]:
    """Gradients by y, k, W, V, b; None for the mask. dout [B,T,U]; dp [B,T,S], if p is used, too."""
    out, p = forward(y, k, W, V, b, mask)
    k, K = select(k, mask), k.shape[2]
    dz = dout * (1 - out**2)
    dV = np.tensordot(np.concatenate([p @ k, y], axis=2), dz, ((0, 1), (0, 1)))
    dboth = dz @ V.T
    dcontext, dy = dboth[..., :K], dboth[..., K:]
    dp = dcontext @ k.swapaxes(1, 2) + (0 if dp is None else dp)
    dk = p.swapaxes(1, 2) @ dcontext
    da = p * (dp - (p * dp).sum(axis=2, keepdims=True)) / K**0.5  # p is 0 where the mask is false, and so is da
    dy = dy + da @ k @ W.T
    dW = np.tensordot(y, da @ k, ((0, 1), (0, 1)))
    dk = dk + da.swapaxes(1, 2) @ (y @ W)
    return dy, select(dk, mask), dW, dV, dz.sum(axis=(0, 1)), None


def select(k: Array, mask: Array | None) -> Array:
    """k, 0 where the mask is false; selected, not multiplied, since 0 times NaN is NaN."""
    return k if mask is None else np.where(mask[:, :, None], k, 0)
