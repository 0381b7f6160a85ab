"""A tanh network whose output is the mean of all its states. x [B,T,I], Wx [I,H], Wh [H,H], b [H].

Write its backward pass. Which states does the output hear, and in how many ways?
"""

import numpy as np


def phi(a):
    return np.tanh(a)


def forward(x, Wx, Wh, b):
    """The mean of the states [B,H]; the state before the first step is 0."""
    h, total = np.zeros((len(x), len(Wh))), 0
    for t in range(x.shape[1]):
        h = phi(x[:, t] @ Wx + h @ Wh + b)
        total = total + h
    return total / x.shape[1]


def backward(x, Wx, Wh, b, dy):
    """dy [B,H]: the derivative of the loss by the mean. Returns dx, dWx, dWh, db."""
    B, T, _ = x.shape
    h = [np.zeros((B, len(Wh)))]
    for t in range(T):
        h.append(phi(x[:, t] @ Wx + h[-1] @ Wh + b))
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = np.zeros_like(dy)
    for t in reversed(range(T)):
        h_prev, new = h[t], h[t + 1]
        dh = dh + dy / T  # the mean hears every state
        da = dh * slope(new)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T
    return dx, dWx, dWh, db


def slope(h):
    """phi'(a), written in h = phi(a)."""
    return (1 - h**2)
