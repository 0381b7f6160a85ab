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
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dh = dc = np.zeros_like(dy[:, 0])
    for t, (h_prev, c_prev, i, f, g, o, c, h) in reversed(list(enumerate(steps(x, Wx, Wh, b)))):
        dh = dh + dy[:, t]
        tau = np.tanh(c)
        dao = dh * tau * o * (1 - o)  # h = o * tanh(c)
        dc = dc + dh * o * (1 - tau**2)  # h = o * tanh(c)
        dai = dc * g * i * (1 - i)  # c = f * c_prev + i * g
        daf = dc * c_prev * f * (1 - f)
        dag = dc * i * (1 - g**2)
        da = np.concatenate([dai, daf, dag, dao], axis=1)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h_prev.T @ da
        db += da.sum(axis=0)
        dh = da @ Wh.T
        dc = dc * f
    return dx, dWx, dWh, db
