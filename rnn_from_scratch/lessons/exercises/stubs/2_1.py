"""One step of a tanh network. x [B,I], h_prev [B,H], Wx [I,H], Wh [H,H], b [H].

Write its backward pass.
"""

import numpy as np


def phi(a):
    return np.tanh(a)


def forward(x, h_prev, Wx, Wh, b):
    """The new state h [B,H]."""
    return phi(x @ Wx + h_prev @ Wh + b)


def backward(x, h_prev, Wx, Wh, b, dh):
    """dh [B,H]: the derivative of the loss by h. Returns dx, dh_prev, dWx, dWh, db, each as large as what it belongs to."""
    raise NotImplementedError("fill in backward()")
