"""LSTM with coupled input and forget gates (Greff et al. 2017, "LSTM: A Search Space Odyssey", CIFG): f = 1 - i.

    [ai ag ao] = x_t Wx + b + h_{t-1} Wh             the products are made by ../bptt.py
    i, o = sigma(ai), sigma(ao)                      input and output gate; what i lets in, it lets go of the old c
    g    = phi(ag)                                   candidate
    c_t  = (1 - i) * c_{t-1} + i * g
    h_t  = o * phi(c_t)

Backward, from dh_t and dc_t (what steps after t, and the output, ask for):

    dao = dh * phi(c) * sigma'(o)
    dc  = dc + dh * o * phi'(c)                      c_t feeds h_t and step t+1
    dai = dc * (g - c_{t-1}) * sigma'(i)             dag = dc * i * phi'(g)
    dc_{t-1} = dc * (1 - i)                          dh_{t-1} = [dai dag dao] Wh^T    (made by ../bptt.py)

The bias of i begins at -1: 1 - sigma(-1) = sigma(1), so c is kept as by an LSTM whose forget bias is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..typing import Array, Arrays, StepGradients
from .activations import ACTIVATIONS, check_names


@dataclass(frozen=True)
class CoupledLSTM:
    """LSTM that forgets as much as it lets in: three gates i, g, o, a quarter fewer weights."""

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True

    gates: ClassVar = ("i", "g", "o")
    states: ClassVar = ("h", "c")
    saved: ClassVar = ("i", "g", "o")
    extras: ClassVar = ()
    shared: ClassVar = True
    phases: ClassVar = ((0, 1, 2),)
    candidates: ClassVar = ("g",)
    initial_bias: ClassVar = {"i": -1.0}

    def __post_init__(self) -> None:
        check_names(self)

    def forward(self, k: int, xg: Array, hg: Array, s_prev: Arrays, saved: Arrays, p: Arrays) -> tuple[Arrays, Arrays]:
        """xg, hg: [3, B, H] pre-activations; s_prev: (h, c) of [B, H] -> ((h, c), (i, g, o))."""
        phi, sigma = ACTIVATIONS[self.activation].f, ACTIVATIONS[self.recurrent_activation].f
        _, c_prev = s_prev
        ai, ag, ao = xg + hg
        i, g, o = sigma(ai), phi(ag), sigma(ao)
        c = (1 - i) * c_prev + i * g
        h = o * phi(c)
        return (h, c), (i, g, o)

    def backward(self, k: int, d: Arrays, saved: Arrays, s_prev: Arrays, s: Arrays, p: Arrays) -> StepGradients:
        """d: (dh, dc) of [B, H] -> dxg, dhg (the same three arrays), ds_prev, dp."""
        phi, phi_derivative = ACTIVATIONS[self.activation]
        sigma_derivative = ACTIVATIONS[self.recurrent_activation].derivative
        dh, dc = d
        i, g, o = saved
        _, c_prev = s_prev
        _, c = s
        tau = phi(c)
        dao = dh * tau * sigma_derivative(o)  # h = o * phi(c), o = sigma(ao)
        dc = dc + dh * o * phi_derivative(tau)  # h = o * phi(c)
        dai = dc * (g - c_prev) * sigma_derivative(i)  # c = (1 - i) * c_prev + i * g, i = sigma(ai)
        dag = dc * i * phi_derivative(g)  # c = (1 - i) * c_prev + i * g, g = phi(ag)
        dc_prev = dc * (1 - i)  # c = (1 - i) * c_prev + i * g
        da = (dai, dag, dao)
        return da, da, (0.0, dc_prev), ()
