"""A leaky network: a part of the old state stays as it is. x [B,T,I], Wx [I,H], Wh [H,H], b [H].

Write its backward pass. How many ways lead from h back to h_prev?
"""

import numpy as np

K = 0.3


def forward(x, Wx, Wh, b):
    """All states [B,T,H]; the one before the first step is 0."""
    h, states = np.zeros((len(x), len(Wh))), []
    for t in range(x.shape[1]):
        n = np.tanh(x[:, t] @ Wx + h @ Wh + b)
        h = (1 - K) * h + K * n
        states.append(h)
    return np.stack(states, axis=1)


def backward(x, Wx, Wh, b, dy):
    """dy [B,T,H]: the derivative of the loss by each state. Returns dx, dWx, dWh, db."""
    y = forward(x, Wx, Wh, b)
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.zeros_like(y[:, 0])
    for t in reversed(range(x.shape[1])):
        h_prev = y[:, t - 1] if t > 0 else np.zeros_like(dh)
        n = np.tanh(x[:, t] @ Wx + h_prev @ Wh + b)
        dh = dh + dy[:, t]
        da = dh * K * (1 - n**2)  # h = (1 - K) h_prev + K n, n = tanh(a)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh = dh * (1 - K) + da @ Wh.T  # h_prev is used twice
    return dx, dWx, dWh, db
