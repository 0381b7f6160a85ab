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
    raise NotImplementedError("fill in backward()")
