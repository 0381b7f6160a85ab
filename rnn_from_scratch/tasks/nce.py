"""Noise-contrastive estimation (Gutmann and Hyvarinen 2010), forward and backward by hand. NumPy alone; lazy_adam.py moves the rows.

A word and its neighbour are a true pair. The same word with each of K words drawn from noise is a false one. The score of a pair
is a = h . w + b, minus log(expected count) of the second word, and the loss is what telling true from false costs:

    loss = mean over the batch of    -log sigma(a_true) - sum over the K of log(1 - sigma(a_false))

Backward:  da_true = (sigma(a_true) - 1) / B,   da_false = sigma(a_false) / B,   then dh, dw, db as in any product.

Only rows of the two matrices come in and only their gradients go out: a step costs the same however large the vocabulary is.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array

SHARED = 2**18  # multiplications, above which OpenBLAS takes several threads


def forward(h: Array, w: Array, w_false: Array, log_expected: Array, log_expected_false: Array) -> Array:
    """The loss, shape [].

    h [B,D]                 vectors of the words
    w [B,D+1]               rows of their neighbours; the last column is the bias b
    w_false [K,D+1]         rows of the words drawn from noise, shared by the batch
    log_expected [B], log_expected_false [K]    log of how often each is drawn
    """
    true, false = losses(*scores(h, w, w_false, log_expected, log_expected_false))
    return true + false


def backward(h: Array, w: Array, w_false: Array, log_expected: Array, log_expected_false: Array, dloss: Array) -> tuple[Array, ...]:
    """Gradients by h, w and w_false; the logs are constants."""
    return gradients(h, w, w_false, *scores(h, w, w_false, log_expected, log_expected_false), dloss)


def scores(h: Array, w: Array, w_false: Array, log_expected: Array, log_expected_false: Array) -> tuple[Array, Array]:
    """a_true [B], a_false [B,K]."""
    a_true = (h * w[:, :-1]).sum(axis=1) + (w[:, -1] - log_expected)
    return a_true, product(h, w_false[:, :-1].T) + (w_false[:, -1] - log_expected_false)


def losses(a_true: Array, a_false: Array) -> tuple[Array, Array]:
    """The part of true pairs and the part of false ones."""
    return softplus(-a_true).mean(), softplus(a_false).sum() / len(a_false)


def gradients(h: Array, w: Array, w_false: Array, a_true: Array, a_false: Array, dloss: Array) -> tuple[Array, ...]:
    """dh, dw, dw_false, from the scores."""
    da_true = (-sigmoid(-a_true) * dloss / len(h))[:, None]
    da_false = sigmoid(a_false) * (dloss / len(h))
    dh = da_true * w[:, :-1] + product(da_false, w_false[:, :-1])
    dw, dw_false = np.empty_like(w), np.empty_like(w_false)
    dw[:, :-1], dw[:, -1:] = da_true * h, da_true
    dw_false[:, :-1], dw_false[:, -1] = product(da_false.T, h), da_false.sum(axis=0)
    return dh, dw, dw_false


def product(a: Array, b: Array) -> Array:
    """a @ b by blocks of rows, each too small for BLAS to share among threads, which wait for one another wherever other work runs."""
    out, rows = np.empty((len(a), b.shape[1]), np.result_type(a, b)), max(1, SHARED // b.size)
    for n in range(0, len(a), rows):
        np.matmul(a[n : n + rows], b, out=out[n : n + rows])
    return out


def sigmoid(a: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * a)


def softplus(a: Array) -> Array:
    """log(1 + e^a), without overflow; for complex a, too."""
    positive = a.real > 0
    return np.where(positive, a, 0) + np.log(1 + np.exp(np.where(positive, -a, a)))
