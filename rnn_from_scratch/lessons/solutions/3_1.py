"""The backward pass of lesson 2, mended: dWh takes the state before the step.

    rnn-from-scratch exercise 3.1 --check

x [B,T,I], Wx [I,H], Wh [H,H], b [H]. h has one step more than y: h[:, t] is the state before step t, h[:, t + 1] the one after.
"""

import numpy as np


def all_states(x, Wx, Wh, b):
    h = [np.zeros((len(x), len(Wh)))]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ Wx + h[-1] @ Wh + b))
    return np.stack(h, axis=1)


def forward(x, Wx, Wh, b):
    """The states after each step [B,T,H]."""
    return all_states(x, Wx, Wh, b)[:, 1:]


def backward(x, Wx, Wh, b, dy):
    """dy [B,T,H]: the derivative of the loss by each state. Returns dx, dWx, dWh, db."""
    h = all_states(x, Wx, Wh, b)
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.zeros_like(h[:, 0])
    for t in reversed(range(x.shape[1])):
        dh = dh + dy[:, t]
        da = dh * (1 - h[:, t + 1] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h[:, t].T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T
    return dx, dWx, dWh, db
