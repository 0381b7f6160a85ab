"""A tanh network with a mask: where mask [B,T] is False, there is no step, and the state stays. x [B,T,I], Wx [I,H], Wh [H,H], b [H].

Write its backward pass.
"""

import numpy as np


def forward(x, mask, Wx, Wh, b):
    """The states after each step [B,T,H]; the one before the first step is 0."""
    h, states = np.zeros((len(x), len(Wh))), []
    for t in range(x.shape[1]):
        new = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        h = np.where(mask[:, t, None], new, h)
        states.append(h)
    return np.stack(states, axis=1)


def backward(x, mask, Wx, Wh, b, dy):
    """dy [B,T,H]: the derivative of the loss by each state. Returns dx, None, dWx, dWh, db: a mask has no gradient."""
    y = forward(x, mask, Wx, Wh, b)
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.zeros_like(y[:, 0])
    for t in reversed(range(x.shape[1])):
        h_prev = y[:, t - 1] if t > 0 else np.zeros_like(dh)
        m = mask[:, t, None]
        dh = dh + dy[:, t]
        da = np.where(m, dh * (1 - y[:, t] ** 2), 0)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T + np.where(m, 0, dh)  # a masked step hands it on
    return dx, None, dWx, dWh, db
