"""t-SNE (van der Maaten and Hinton 2008): points in a plane that keep who is near whom. NumPy alone, for a few thousand points."""

from __future__ import annotations

import numpy as np

from ..typing import Array

EARLY, FACTOR = 250, 12.0  # for so many steps the neighbours pull so many times as hard, so that groups find each other


def tsne(x: Array, perplexity: float = 30.0, steps: int = 1000, seed: int = 0) -> Array:
    """x [N,D] -> places [N,2], float64. The perplexity is about how many neighbours count; it is lowered for few points."""
    x = x - x.mean(axis=0)
    p = affinities(distances(x), min(perplexity, (len(x) - 1) / 3))
    y = 1e-4 * np.random.default_rng(seed).standard_normal((len(x), 2))
    move, gain, rate = np.zeros_like(y), np.ones_like(y), max(len(x) / FACTOR / 4, 50.0)
    for step in range(steps):
        near = 1 / (1 + distances(y))
        np.fill_diagonal(near, 0)
        pull = ((FACTOR if step < EARLY else 1.0) * p - near / near.sum()) * near
        gradient = 4 * (pull.sum(axis=1)[:, None] * y - pull @ y)
        gain = np.maximum(np.where((gradient > 0) == (move > 0), 0.8 * gain, gain + 0.2), 0.01)
        move = (0.5 if step < EARLY else 0.8) * move - rate * gain * gradient
        y = y + move
        y -= y.mean(axis=0)
    return y


def distances(x: Array) -> Array:
    """Squared distances [N,N]."""
    square = (x * x).sum(axis=1)
    return np.maximum(square[:, None] + square - 2 * x @ x.T, 0)


def affinities(d: Array, perplexity: float) -> Array:
    """p [N,N], symmetric, summing to 1: exp(-beta d) by rows, with the beta at which a row has the entropy log(perplexity)."""
    low, high, beta = np.zeros(len(d)), np.full(len(d), np.inf), np.ones(len(d))
    others = np.where(np.eye(len(d), dtype=bool), np.inf, d)  # a point is no neighbour of itself
    for _ in range(60):
        p = np.exp(-(others - others.min(axis=1)[:, None]) * beta[:, None])
        p /= p.sum(axis=1)[:, None]
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), 2 * beta, (low + high) / 2)
    return np.maximum((p + p.T) / (2 * len(d)), 1e-12)


def kept(x: Array, y: Array, count: int = 10) -> float:
    """What share of the `count` nearest of each point in x is among the `count` nearest in y."""
    near = []
    for d in (distances(x), distances(y)):
        np.fill_diagonal(d, np.inf)
        near.append(np.argsort(d, axis=1)[:, :count])
    return float(np.mean([len(set(a) & set(b)) / count for a, b in zip(*near)]))
