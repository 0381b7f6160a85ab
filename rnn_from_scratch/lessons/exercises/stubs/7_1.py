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
    raise NotImplementedError("fill in backward()")
