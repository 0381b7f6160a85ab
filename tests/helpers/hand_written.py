"""An LSTM that a user might have written, for tests: plain functions, and one planted error of 0.1 % in gate g at one step."""

import numpy as np

GATES = ("i", "f", "g", "o")
BLOCKS = {name: GATES for name in ("Wx", "Wh", "b")}
STEP, FACTOR = 2, 1.001


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def inputs(dtype="float64", B=2, T=4, I=2, H=3, seed=0):
    """x, Wx, Wh, b"""
    rng = np.random.default_rng(seed)
    shapes = ((B, T, I), (I, 4 * H), (H, 4 * H), (4 * H,))
    return [(rng.standard_normal(s) * (1 if len(s) == 3 else 0.5)).astype(dtype) for s in shapes]


def steps(x, Wx, Wh, b):
    """Every step's i, f, g, o, c_prev, c, h_prev; and y [B,T,H]."""
    h = c = np.zeros((len(x), len(Wh)), np.result_type(x, Wx))
    kept, ys = [], []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        i, f, g, o, h_prev, c_prev = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o), h, c
        c = f * c + i * g
        h = o * np.tanh(c)
        kept.append((i, f, g, o, c_prev, c, h_prev))
        ys.append(h)
    return kept, np.stack(ys, axis=1)


def forward(x, Wx, Wh, b):
    return steps(x, Wx, Wh, b)[1]


def backward(x, Wx, Wh, b, dy, wrong=False):
    kept, _ = steps(x, Wx, Wh, b)
    dx, dWx, dWh, db = (np.zeros_like(a) for a in (x, Wx, Wh, b))
    dh = dc = np.zeros_like(kept[0][0])
    for t in reversed(range(x.shape[1])):
        i, f, g, o, c_prev, c, h_prev = kept[t]
        dh = dh + dy[:, t]
        tau = np.tanh(c)
        dc = dc + dh * o * (1 - tau * tau)
        dag = dc * i * (1 - g * g) * (FACTOR if wrong and t == STEP else 1)
        da = np.concatenate([dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dag, dh * tau * o * (1 - o)], axis=1)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(0)
        dh, dc = da @ Wh.T, dc * f
    return dx, dWx, dWh, db


def wrong_backward(*arguments):
    return backward(*arguments, wrong=True)
