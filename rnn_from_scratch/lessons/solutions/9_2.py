"""Truncated backpropagation: stretches of k steps. The state goes on from one to the next, the gradient does not go back.

x [B,T,I], Wx [I,H], Wh [H,H]; the first state is 0; T is a multiple of k. forward and backward below are those of one stretch.
"""

import numpy as np


def forward(x, h0, Wx, Wh):
    """The states of a stretch [B,K+1,H]; the first one is h0."""
    h = [h0]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ Wx + h[-1] @ Wh))
    return np.stack(h, axis=1)


def backward(h, Wh, dy):
    """dWh of a stretch, from its states h [B,K+1,H] and dy [B,K,H]."""
    dWh, dh = np.zeros_like(Wh), np.zeros_like(h[:, 0])
    for t in reversed(range(dy.shape[1])):
        da = (dh + dy[:, t]) * (1 - h[:, t + 1] ** 2)
        dWh += h[:, t].T @ da
        dh = da @ Wh.T
    return dWh


def truncated_gradient(x, Wx, Wh, dy, k):
    """dy [B,T,H]: the derivative of the loss by each state. Returns dWh, summed over all stretches."""
    h0, dWh = np.zeros((len(x), len(Wh))), np.zeros_like(Wh)
    for t0 in range(0, x.shape[1], k):
        h = forward(x[:, t0 : t0 + k], h0, Wx, Wh)
        dWh += backward(h, Wh, dy[:, t0 : t0 + k])
        h0 = h[:, -1]  # the state goes on
    return dWh
