"""Noise-contrastive estimation (Gutmann and Hyvarinen 2010), forward and backward by hand, and a step of training with it.

A word and its neighbour are a true pair. The same word with each of K words drawn from noise is a false one. The score of a pair
is a = h . w + b, minus log(expected count) of the second word, and the loss is what telling true from false costs:

    loss = mean over the batch of    -log sigma(a_true) - sum over the K of log(1 - sigma(a_false))

Backward:  da_true = (sigma(a_true) - 1) / B,   da_false = sigma(a_false) / B,   then dh, dw, db as in any product.

Only rows of the two matrices come in and only their gradients go out: a step costs the same however large the vocabulary is.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Adam's, as in Keras


def forward(h: Array, w: Array, w_false: Array, log_expected: Array, log_expected_false: Array) -> Array:
    """The loss, shape [].

    h [B,D]                 vectors of the words
    w [B,D+1]               rows of their neighbours; the last column is the bias b
    w_false [K,D+1]         rows of the words drawn from noise, shared by the batch
    log_expected [B], log_expected_false [K]    log of how often each is drawn
    """
    a_true, a_false = scores(h, w, w_false, log_expected, log_expected_false)
    return np.mean(softplus(-a_true) + softplus(a_false).sum(axis=1))


def backward(h: Array, w: Array, w_false: Array, log_expected: Array, log_expected_false: Array, dloss: Array) -> tuple[Array, ...]:
    """Gradients by h, w and w_false; the logs are constants."""
    a_true, a_false = scores(h, w, w_false, log_expected, log_expected_false)
    da_true = -sigmoid(-a_true) * dloss / len(h)
    da_false = sigmoid(a_false) * dloss / len(h)
    dh = da_true[:, None] * w[:, :-1] + da_false @ w_false[:, :-1]
    dw = np.concatenate([da_true[:, None] * h, da_true[:, None]], axis=1)
    dw_false = np.concatenate([da_false.T @ h, da_false.sum(axis=0)[:, None]], axis=1)
    return dh, dw, dw_false


def scores(h: Array, w: Array, w_false: Array, log_expected: Array, log_expected_false: Array) -> tuple[Array, Array]:
    """a_true [B], a_false [B,K]."""
    a_true = (h * w[:, :-1]).sum(axis=1) + w[:, -1] - log_expected
    return a_true, h @ w_false[:, :-1].T + w_false[:, -1] - log_expected_false


def sigmoid(a: Array) -> Array:
    return (1 + np.tanh(a / 2)) / 2


def softplus(a: Array) -> Array:
    """log(1 + e^a), without overflow; for complex a, too."""
    high = np.where(a.real > 0, a, 0)
    return high + np.log1p(np.exp(np.where(a.real > 0, -a, a)))


def sum_rows(ids: Array, gradients: Array) -> tuple[Array, Array]:
    """The different ids, sorted, and for each the sum of its gradients [N,D], in the order in which they stand."""
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    return ids[starts], np.add.reduceat(gradients[order], starts)


def lazy_adam(rows: Array, mean: Array, square: Array, ids: Array, gradients: Array, n: int, rate: float) -> None:
    """Adam's step number n (from 1) on the rows `ids` alone, in place. The mean and square of other rows do not fade."""
    ids, g = sum_rows(ids, gradients)
    mean[ids] = BETA_1 * mean[ids] + (1 - BETA_1) * g
    square[ids] = BETA_2 * square[ids] + (1 - BETA_2) * g * g
    rate = rate * np.sqrt(1 - BETA_2**n) / (1 - BETA_1**n)
    rows[ids] -= (rate * mean[ids] / (np.sqrt(square[ids]) + EPSILON)).astype(rows.dtype)


def train_step(arrays: list[Array], batch: tuple[Array, ...], n: int, rate: float) -> float:
    """One step in place; returns the loss from before it.

    arrays: embeddings [V,D], contexts [V,D+1], then mean and square of each, as Adam keeps them
    batch: words [B], neighbours [B], false ones [K], log of the expected counts of the last two
    """
    embeddings, contexts, *moments = arrays
    words, neighbours, false, log_expected, log_expected_false = batch
    rows = embeddings[words], contexts[neighbours], contexts[false]
    loss = forward(*rows, log_expected, log_expected_false)
    dh, dw, dw_false = backward(*rows, log_expected, log_expected_false, np.ones((), embeddings.dtype))
    lazy_adam(embeddings, moments[0], moments[1], words, dh, n, rate)
    lazy_adam(contexts, moments[2], moments[3], np.concatenate([neighbours, false]), np.concatenate([dw, dw_false]), n, rate)
    return float(loss)
