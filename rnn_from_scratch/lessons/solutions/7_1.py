"""A network with one gate z, which mixes the old state with a new candidate n. It is a GRU without its reset gate.

x [B,T,I], W [I,2H], U [H,H], b [2H]. The columns of W and b are z and n, side by side. The old state reaches the gate by U.
Write its backward pass.
"""

import numpy as np

GATES = "z", "n"


def steps(x, W, U, b):
    """For each step: h_prev, z, n, h."""
    h = np.zeros((len(x), len(U)))
    for t in range(x.shape[1]):
        h_prev = h
        az, an = np.split(x[:, t] @ W + b, 2, axis=1)
        z, n = 1 / (1 + np.exp(-(az + h_prev @ U))), np.tanh(an)
        h = z * h_prev + (1 - z) * n
        yield h_prev, z, n, h


def forward(x, W, U, b):
    """The states after each step [B,T,H]."""
    return np.stack([h for *_, h in steps(x, W, U, b)], axis=1)


def backward(x, W, U, b, dy):
    """dy [B,T,H]: the derivative of the loss by each state. Returns dx, dW, dU, db."""
    dx, dW, dU, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh = np.zeros_like(dy[:, 0])
    for t, (h_prev, z, n, h) in reversed(list(enumerate(steps(x, W, U, b)))):
        dh = dh + dy[:, t]
        daz = dh * (h_prev - n) * z * (1 - z)  # h = z * h_prev + (1 - z) * n
        dan = dh * (1 - z) * (1 - n**2)
        da = np.concatenate([daz, dan], axis=1)
        dx[:, t] = da @ W.T
        dW += x[:, t].T @ da
        dU += h_prev.T @ daz
        db += da.sum(axis=0)
        dh = dh * z + daz @ U.T  # h_prev is used twice
    return dx, dW, dU, db
