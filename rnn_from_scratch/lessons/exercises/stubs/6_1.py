"""An LSTM. x [B,T,I], Wx [I,4H], Wh [H,4H], b [4H]; the columns of the gates stand side by side, in the order of GATES.

Write its backward pass. Two things go from step to step, h and c. So two things come back.
"""

import numpy as np

GATES = "i", "f", "g", "o"


def sigma(a):
    return 1 / (1 + np.exp(-a))


def steps(x, Wx, Wh, b):
    """For each step: h_prev, c_prev, i, f, g, o, c, h."""
    B, T, _ = x.shape
    h = c = np.zeros((B, len(Wh)))
    for t in range(T):
        h_prev, c_prev = h, c
        ai, af, ag, ao = np.split(x[:, t] @ Wx + h_prev @ Wh + b, 4, axis=1)
        i, f, g, o = sigma(ai), sigma(af), np.tanh(ag), sigma(ao)
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        yield h_prev, c_prev, i, f, g, o, c, h


def forward(x, Wx, Wh, b):
    """The outputs h of all steps [B,T,H]."""
    return np.stack([h for *_, h in steps(x, Wx, Wh, b)], axis=1)


def backward(x, Wx, Wh, b, dy):
    """dy [B,T,H]: the derivative of the loss by each output. Returns dx, dWx, dWh, db."""
    raise NotImplementedError("fill in backward()")
