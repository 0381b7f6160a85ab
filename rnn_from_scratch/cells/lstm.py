"""LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000).

    [ai af ag ao] = x_t Wx + b + h_{t-1} Wh          the products are made by ../bptt.py
    i, f, o = sigma(ai), sigma(af), sigma(ao)        input, forget, output gate
    g       = phi(ag)                                candidate
    c_t     = f * c_{t-1} + i * g
    h_t     = o * phi(c_t)

Backward, from dh_t and dc_t (what steps after t, and the output, ask for):

    dao = dh * phi(c) * sigma'(o)
    dc  = dc + dh * o * phi'(c)                      c_t feeds h_t and step t+1
    dai = dc * g * sigma'(i)       daf = dc * c_{t-1} * sigma'(f)       dag = dc * i * phi'(g)
    dc_{t-1} = dc * f              dh_{t-1} = [dai daf dag dao] Wh^T    (made by ../bptt.py)

phi(c_t) is computed again from the tape's c_t; i, f, g, o are saved. phi' and sigma' are written in the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..typing import Array, Arrays, StepGradients
from .activations import ACTIVATIONS, check_names


@dataclass(frozen=True)
class LSTM:
    """Long short-term memory; gates in Keras' order i, f, g, o."""

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True

    gates: ClassVar = ("i", "f", "g", "o")
    states: ClassVar = ("h", "c")
    saved: ClassVar = ("i", "f", "g", "o")
    extras: ClassVar = ()
    shared: ClassVar = True
    phases: ClassVar = ((0, 1, 2, 3),)
    candidates: ClassVar = ("g",)
    initial_bias: ClassVar = {"f": 1.0}

    def __post_init__(self) -> None:
        check_names(self)

    def forward(self, k: int, xg: Array, hg: Array, s_prev: Arrays, saved: Arrays, p: Arrays) -> tuple[Arrays, Arrays]:
        """xg, hg: [4, B, H] pre-activations; s_prev: (h, c) of [B, H] -> ((h, c), (i, f, g, o))."""
        phi, sigma = ACTIVATIONS[self.activation].f, ACTIVATIONS[self.recurrent_activation].f
        _, c_prev = s_prev
        ai, af, ag, ao = xg + hg
        i, f, g, o = sigma(ai), sigma(af), phi(ag), sigma(ao)
        c = f * c_prev + i * g
        h = o * phi(c)
        return (h, c), (i, f, g, o)

    def backward(self, k: int, d: Arrays, saved: Arrays, s_prev: Arrays, s: Arrays, p: Arrays) -> StepGradients:
        """d: (dh, dc) of [B, H] -> dxg, dhg (the same four arrays), ds_prev, dp."""
        phi, phi_derivative = ACTIVATIONS[self.activation]
        sigma_derivative = ACTIVATIONS[self.recurrent_activation].derivative
        dh, dc = d
        i, f, g, o = saved
        _, c_prev = s_prev
        _, c = s
        tau = phi(c)
        dao = dh * tau * sigma_derivative(o)  # h = o * phi(c), o = sigma(ao)
        dc = dc + dh * o * phi_derivative(tau)  # h = o * phi(c)
        dai = dc * g * sigma_derivative(i)  # c = f * c_prev + i * g, i = sigma(ai)
        daf = dc * c_prev * sigma_derivative(f)  # c = f * c_prev + i * g, f = sigma(af)
        dag = dc * i * phi_derivative(g)  # c = f * c_prev + i * g, g = phi(ag)
        dc_prev = dc * f  # c = f * c_prev + i * g
        da = (dai, daf, dag, dao)
        return da, da, (0.0, dc_prev), ()
