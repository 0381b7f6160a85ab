"""GRU (Cho et al. 2014, eq. 5-8). The reset gate acts after the recurrent product (cuDNN, Keras' default) or before it (paper).

    z = sigma(xz + hz)      update gate: how much of the old state stays         xg = x_t Wx + bx, made by ../bptt.py
    r = sigma(xr + hr)      reset gate                                           hg = h_{t-1} Wh + bh, made by ../bptt.py
    n = phi(xn + r * q)     reset after:  q = h_{t-1} Wh_n + bh_n                one product for z, r, n
    n = phi(xn + m Wh_n)    reset before: m = r * h_{t-1}                        a second product, which needs r first
    h_t = z * h_{t-1} + (1 - z) * n

So reset-before has two phases: phase 0 makes z, r and the operand m of the next product; phase 1 makes n and h_t.
Backward, from dh = dL/dh_t:

    daz = dh * (h_{t-1} - n) * sigma'(z)      dan = dh * (1 - z) * phi'(n)
    reset after:   dar = dan * q * sigma'(r)         dq = dan * r, and the recurrent side gets (daz, dar, dq)
    reset before:  dar = dm * h_{t-1} * sigma'(r)    dm = dan Wh_n^T, made by ../bptt.py
    dh_{t-1} = dh * z [+ dm * r] + (recurrent side) Wh^T
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..typing import Array, Arrays, StepGradients
from .activations import ACTIVATIONS, check_names


@dataclass(frozen=True)
class GRU:
    """Gated recurrent unit; gates in Keras' order z, r, n."""

    reset_after: bool = True
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True

    gates: ClassVar = ("z", "r", "n")
    states: ClassVar = ("h",)
    extras: ClassVar = ()
    candidates: ClassVar = ("n",)
    variants: ClassVar = {"reset after": {"reset_after": True}, "reset before": {"reset_after": False}}

    def __post_init__(self) -> None:
        check_names(self)

    @property
    def saved(self) -> tuple[str, ...]:
        return ("z", "r", "n", "q") if self.reset_after else ("z", "r", "n")

    @property
    def shared(self) -> bool:
        return not self.reset_after

    @property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        return ((0, 1, 2),) if self.reset_after else ((0, 1), (2,))

    def operand(self, k: int, saved: Arrays, s_prev: Arrays) -> Array:
        """What the product after phase k takes: m = r * h_prev."""
        return saved[1] * s_prev[0]

    def forward(self, k: int, xg: Array, hg: Array, s_prev: Arrays, saved: Arrays, p: Arrays) -> tuple[Array | Arrays, Arrays]:
        """Reset after: one phase -> ((h,), (z, r, n, q)). Reset before: phase 0 -> (m, (z, r)), phase 1 -> ((h,), (n,))."""
        phi, sigma = ACTIVATIONS[self.activation].f, ACTIVATIONS[self.recurrent_activation].f
        (h_prev,) = s_prev
        if self.reset_after:
            z, r, q = sigma(xg[0] + hg[0]), sigma(xg[1] + hg[1]), hg[2]
            n = phi(xg[2] + r * q)
            return (z * h_prev + (1 - z) * n,), (z, r, n, q)
        if k == 0:
            z, r = sigma(xg + hg)
            return self.operand(0, (z, r), s_prev), (z, r)
        (z, _), (n,) = saved, phi(xg + hg)
        return (z * h_prev + (1 - z) * n,), (n,)

    def backward(self, k: int, d: Arrays, saved: Arrays, s_prev: Arrays, s: Arrays, p: Arrays) -> StepGradients:
        """d: (dh,) in the last phase; (dh, dm) in phase 0 of reset-before -> dxg, dhg, ds_prev, dp."""
        phi_derivative, sigma_derivative = ACTIVATIONS[self.activation].derivative, ACTIVATIONS[self.recurrent_activation].derivative
        z, r, n = saved[:3]
        (h_prev,), dh = s_prev, d[0]
        daz = dh * (h_prev - n) * sigma_derivative(z)  # h = z * h_prev + (1 - z) * n
        dan = dh * (1 - z) * phi_derivative(n)  # h = z * h_prev + (1 - z) * n, n = phi(an)
        if self.reset_after:
            q = saved[3]
            dar = dan * q * sigma_derivative(r)  # an = xn + r * q
            dq = dan * r  # an = xn + r * q
            return (daz, dar, dan), (daz, dar, dq), (dh * z,), ()
        if k == 1:
            return (dan,), (dan,), (dh * z,), ()
        dm = d[1]
        dar = dm * h_prev * sigma_derivative(r)  # m = r * h_prev
        return (daz, dar), (daz, dar), (dm * r,), ()
