"""A stretch of a long sequence: its first state h0 is what the stretch before left. x [B,T,I], h0 [B,H], Wx [I,H], Wh [H,H], b [H].

Write its backward pass. It has to give dh0, too: plain backpropagation hands it on to the stretch before, truncation drops it.
"""

import numpy as np


def forward(x, h0, Wx, Wh, b):
    """The states after each step [B,T,H]."""
    h, states = h0, []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        states.append(h)
    return np.stack(states, axis=1)


def backward(x, h0, Wx, Wh, b, dy):
    """dy [B,T,H]: the derivative of the loss by each state. Returns dx, dh0, dWx, dWh, db."""
    y = forward(x, h0, Wx, Wh, b)
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        h_prev = y[:, t - 1] if t > 0 else h0
        dh = dh + dy[:, t]
        da = dh * (1 - y[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T
    return dx, dh, dWx, dWh, db
