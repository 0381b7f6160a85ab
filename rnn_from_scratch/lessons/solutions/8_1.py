"""An LSTM without an output gate: c = f * c_prev + i * g, and h = tanh(c). Write it as a cell that the package runs.

A cell knows one step, and no matrix product: the package makes xg = x Wx + b and hg = h_prev Wh. See rnn_from_scratch/cells/lstm.py.
"""

import numpy as np


def sigma(a):
    return 1 / (1 + np.exp(-a))


class Cell:
    """Gates i, f, g; states h, c."""

    gates = ("i", "f", "g")
    states = ("h", "c")
    saved = ("i", "f", "g")
    extras = ()
    shared = True
    phases = ((0, 1, 2),)

    def forward(self, k, xg, hg, s_prev, saved, p):
        """xg, hg: [3,B,H]; s_prev: (h_prev, c_prev). Returns ((h, c), (i, f, g))."""
        (ai, af, ag), (_, c_prev) = xg + hg, s_prev
        i, f, g = sigma(ai), sigma(af), np.tanh(ag)
        c = f * c_prev + i * g
        return (np.tanh(c), c), (i, f, g)

    def backward(self, k, d, saved, s_prev, s, p):
        """d: (dh, dc); saved: (i, f, g); s: (h, c). Returns da, da, (0.0, dc_prev), () with da = (dai, daf, dag)."""
        (dh, dc), (i, f, g), (_, c_prev), (h, _) = d, saved, s_prev, s
        dc = dc + dh * (1 - h**2)  # h = tanh(c)
        dai, daf = dc * g * i * (1 - i), dc * c_prev * f * (1 - f)  # c = f * c_prev + i * g
        dag = dc * i * (1 - g**2)
        da = (dai, daf, dag)
        return da, da, (0.0, dc * f), ()


def equations(params, x):
    """All outputs [B,T,H], from the equations. Your cell is compared with this."""
    h = c = np.zeros((len(x), len(params["Wh"])))
    outputs = []
    for t in range(x.shape[1]):
        ai, af, ag = np.split(x[:, t] @ params["Wx"] + h @ params["Wh"] + params["b"], 3, axis=1)
        c = sigma(af) * c + sigma(ai) * np.tanh(ag)
        h = np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)
