"""The layers that are compared, and what needs no framework to compare them."""

from __future__ import annotations

import numpy as np

from rnn_from_scratch.measure import error

KINDS = {
    "SimpleRNN": ("SimpleRNN", {}),
    "SimpleRNN relu": ("SimpleRNN", {"activation": "relu", "use_bias": False}),
    "LSTM": ("LSTM", {}),
    "LSTM hard": ("LSTM", {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False}),
    "GRU after": ("GRU", {}),
    "GRU after, no bias": ("GRU", {"use_bias": False}),
    "GRU before": ("GRU", {"reset_after": False}),
}
B, T, I, H = 6, 7, 3, 5
MASK = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 1, 1],
        [0, 1, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 0, 1, 0, 1, 0, 1],
    ],
    bool,
)


def random(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def fill(layer, seed=1):
    """Seeded random weights, different for every gate."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.standard_normal(w.shape) * 0.5 for w in layer.get_weights()])
    return layer


def worst(ours, theirs):
    """The largest error over all names; a missing or an extra name is inf."""
    if ours.keys() != theirs.keys():
        return float("inf")
    return max(error(ours[name], theirs[name]) for name in theirs)
