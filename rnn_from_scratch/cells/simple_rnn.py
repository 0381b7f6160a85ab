"""SimpleRNN (Elman 1990). Start reading here.

    a_t = x_t Wx + b + h_{t-1} Wh        the products are made by ../bptt.py: xg = x_t Wx + b, hg = h_{t-1} Wh
    h_t = phi(a_t)

Backpropagation through time runs the steps in reverse. h_t is used twice: as the output y_t, and by step t+1. So
dh_t = dL/dh_t is the sum of what comes back through both, and the step turns it into

    da_t     = dh_t * phi'(a_t)          phi' written in h_t: tanh' = 1 - h_t^2
    dh_{t-1} = da_t Wh^T                 made by ../bptt.py, which adds dy_{t-1} and goes on to step t-1

and, once all da_t are known, dWx = sum x_t^T da_t, dWh = sum h_{t-1}^T da_t, db = sum da_t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..typing import Array, Arrays, StepGradients
from .activations import ACTIVATIONS, check_names


@dataclass(frozen=True)
class SimpleRNN:
    """h = activation(x Wx + b + h_prev Wh). One gate, one state, nothing saved but h itself."""

    activation: str = "tanh"
    use_bias: bool = True

    gates: ClassVar = ("h",)
    states: ClassVar = ("h",)
    saved: ClassVar = ()
    extras: ClassVar = ()
    shared: ClassVar = True
    phases: ClassVar = ((0,),)
    candidates: ClassVar = ("h",)

    def __post_init__(self) -> None:
        check_names(self)

    def forward(self, k: int, xg: Array, hg: Array, s_prev: Arrays, saved: Arrays, p: Arrays) -> tuple[Arrays, Arrays]:
        """xg, hg: [1, B, H] pre-activations -> ((h,), ()); h: [B, H]."""
        phi = ACTIVATIONS[self.activation].f
        (a,) = xg + hg
        h = phi(a)
        return (h,), ()

    def backward(self, k: int, d: Arrays, saved: Arrays, s_prev: Arrays, s: Arrays, p: Arrays) -> StepGradients:
        """d: (dh,), dh: [B, H] -> dxg, dhg, ds_prev (nothing flows back but through the product), dp."""
        phi_derivative = ACTIVATIONS[self.activation].derivative
        (dh,), (h,) = d, s
        da = dh * phi_derivative(h)  # h = phi(a)
        return (da,), (da,), (0.0,), ()
