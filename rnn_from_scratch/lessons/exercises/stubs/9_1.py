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
    raise NotImplementedError("fill in backward()")
