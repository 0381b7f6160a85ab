"""LSTM with peepholes (Gers & Schmidhuber 2000, "Recurrent nets that time and count"; Graves 2013, eq. 7-11).

    [ai af ag ao] = x_t Wx + b + h_{t-1} Wh          the products are made by ../bptt.py
    i   = sigma(ai + p_i * c_{t-1})                  input and forget gate look at the old cell,
    f   = sigma(af + p_f * c_{t-1})
    g   = phi(ag)
    c_t = f * c_{t-1} + i * g
    o   = sigma(ao + p_o * c_t)                      the output gate at the new one
    h_t = o * phi(c_t)

Backward, from dh_t and dc_t. The gradient is the full one: it flows through the peepholes into c (Gers & Schmidhuber
cut it there; TensorFlow's BlockLSTM and this file do not).

    dao = dh * phi(c) * sigma'(o)
    dc  = dc + dh * o * phi'(c) + dao * p_o          c_t feeds h_t, the output gate and step t+1
    dai = dc * g * sigma'(i)       daf = dc * c_{t-1} * sigma'(f)       dag = dc * i * phi'(g)
    dc_{t-1} = dc * f + dai * p_i + daf * p_f        dh_{t-1} = [dai daf dag dao] Wh^T    (made by ../bptt.py)
    dp_i += dai * c_{t-1}          dp_f += daf * c_{t-1}                dp_o += dao * c_t
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..typing import Array, Arrays, StepGradients
from .activations import ACTIVATIONS, check_names


@dataclass(frozen=True)
class PeepholeLSTM:
    """LSTM whose gates see the cell state through per-unit weights p (rows: input, forget, output gate)."""

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True

    gates: ClassVar = ("i", "f", "g", "o")
    states: ClassVar = ("h", "c")
    saved: ClassVar = ("i", "f", "g", "o")
    extras: ClassVar = ("i", "f", "o")
    shared: ClassVar = True
    phases: ClassVar = ((0, 1, 2, 3),)
    candidates: ClassVar = ("g",)
    initial_bias: ClassVar = {"f": 1.0}

    def __post_init__(self) -> None:
        check_names(self)

    def forward(self, k: int, xg: Array, hg: Array, s_prev: Arrays, saved: Arrays, p: Arrays) -> tuple[Arrays, Arrays]:
        """xg, hg: [4, B, H] pre-activations; s_prev: (h, c) of [B, H]; p: three [H] -> ((h, c), (i, f, g, o))."""
        phi, sigma = ACTIVATIONS[self.activation].f, ACTIVATIONS[self.recurrent_activation].f
        _, c_prev = s_prev
        p_i, p_f, p_o = p
        ai, af, ag, ao = xg + hg
        i, f, g = sigma(ai + p_i * c_prev), sigma(af + p_f * c_prev), phi(ag)
        c = f * c_prev + i * g
        o = sigma(ao + p_o * c)
        h = o * phi(c)
        return (h, c), (i, f, g, o)

    def backward(self, k: int, d: Arrays, saved: Arrays, s_prev: Arrays, s: Arrays, p: Arrays) -> StepGradients:
        """d: (dh, dc) of [B, H] -> dxg, dhg (the same four arrays), ds_prev, dp: three [B, H]."""
        phi, phi_derivative = ACTIVATIONS[self.activation]
        sigma_derivative = ACTIVATIONS[self.recurrent_activation].derivative
        dh, dc = d
        i, f, g, o = saved
        _, c_prev = s_prev
        _, c = s
        p_i, p_f, p_o = p
        tau = phi(c)
        dao = dh * tau * sigma_derivative(o)  # h = o * phi(c), o = sigma(ao + p_o * c)
        dc = dc + dh * o * phi_derivative(tau) + dao * p_o  # h = o * phi(c), o = sigma(ao + p_o * c)
        dai = dc * g * sigma_derivative(i)  # c = f * c_prev + i * g, i = sigma(ai + p_i * c_prev)
        daf = dc * c_prev * sigma_derivative(f)  # c = f * c_prev + i * g, f = sigma(af + p_f * c_prev)
        dag = dc * i * phi_derivative(g)  # c = f * c_prev + i * g, g = phi(ag)
        dc_prev = dc * f + dai * p_i + daf * p_f  # c = f * c_prev + i * g, and the two peepholes
        da = (dai, daf, dag, dao)
        dp = (dai * c_prev, daf * c_prev, dao * c)  # p_i * c_prev, p_f * c_prev, p_o * c
        return da, da, (0.0, dc_prev), dp
