"""A cell that has as much of everything as the C++ side takes: 6 gates, 4 states, 6 saved, 4 extras, 3 phases. Twins, line by line."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnn_from_scratch.cells.activations import ACTIVATIONS


@dataclass(frozen=True)
class AtTheLimits:
    """c = b c_prev + a g,  m = r m_prev + u v,  n = a n_prev + v,  h = v phi(c + p m): no model of anything."""

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True

    gates: ClassVar = ("a", "b", "g", "r", "u", "v")
    states: ClassVar = ("h", "c", "m", "n")
    saved: ClassVar = ("a", "b", "g", "r", "u", "v")
    extras: ClassVar = ("a", "r", "v", "h")
    shared: ClassVar = True
    phases: ClassVar = ((0, 1, 2), (3, 4), (5,))
    candidates: ClassVar = ("g", "u", "v")

    def operand(self, k, saved, s_prev):
        h_prev, c_prev, m_prev, _ = s_prev
        if k == 0:
            return saved[0] * h_prev + saved[2] * m_prev
        return saved[3] * h_prev + saved[4] * c_prev

    def forward(self, k, xg, hg, s_prev, saved, p):
        phi, sigma = ACTIVATIONS[self.activation].f, ACTIVATIONS[self.recurrent_activation].f
        _, c_prev, m_prev, n_prev = s_prev
        x = xg + hg
        if k == 0:
            kept = (sigma(x[0] + p[0] * c_prev), sigma(x[1]), phi(x[2]))
            return self.operand(0, kept, s_prev), kept
        if k == 1:
            kept = (sigma(x[0] + p[1] * m_prev), phi(x[1]))
            return self.operand(1, (*saved, *kept), s_prev), kept
        a, b, g, r, u = saved
        v = phi(x[0] + p[2] * n_prev)
        c = b * c_prev + a * g
        m = r * m_prev + u * v
        n = a * n_prev + v
        h = v * phi(c + p[3] * m)
        return (h, c, m, n), (v,)

    def backward(self, k, d, saved, s_prev, s, p):
        phi, phi_derivative = ACTIVATIONS[self.activation]
        sigma_derivative = ACTIVATIONS[self.recurrent_activation].derivative
        a, b, g, r, u, v = saved
        h_prev, c_prev, m_prev, n_prev = s_prev
        _, c, m, _ = s
        dh, dc, dm, dn = d[:4]
        none = np.zeros_like(dh)
        tau = phi(c + p[3] * m)
        dt = dh * v * phi_derivative(tau)
        dc, dm = dc + dt, dm + dt * p[3]
        if k == 2:
            dav = (dh * tau + dm * u + dn) * phi_derivative(v)
            return (dav,), (dav,), (none, dc * b, dm * r, dn * a + dav * p[2]), (none, none, dav * n_prev, dt * m)
        if k == 1:
            dar = (d[4] * h_prev + dm * m_prev) * sigma_derivative(r)
            dau = (d[4] * c_prev + dm * v) * phi_derivative(u)
            return (dar, dau), (dar, dau), (d[4] * r, d[4] * u, dar * p[1], none), (none, dar * m_prev, none, none)
        daa = (d[4] * h_prev + dc * g + dn * n_prev) * sigma_derivative(a)
        dab = dc * c_prev * sigma_derivative(b)
        dag = (d[4] * m_prev + dc * a) * phi_derivative(g)
        return (daa, dab, dag), (daa, dab, dag), (d[4] * a, daa * p[0], d[4] * g, none), (daa * c_prev, none, none, none)


ROW = "FORM(at_the_limits, AtTheLimits<Phi, Sigma>)\n"
HEADER = """
template <class Phi, class Sigma>
struct AtTheLimits {
    static constexpr int GATES = 6, STATES = 4, SAVED = 6, EXTRAS = 4, PHASES = 3;
    static constexpr bool SHARED = true;
    template <int K> static constexpr int FIRST = K == 0 ? 0 : K == 1 ? 3 : 5;
    template <int K> static constexpr int COUNT = 3 - K;

    template <int K, class V>
    static RNN_FN V operand(const V* saved, const V* s_prev) {
        if constexpr (K == 0) return saved[0] * s_prev[0] + saved[2] * s_prev[2];
        else return saved[3] * s_prev[0] + saved[4] * s_prev[1];
    }

    template <int K, class V>
    static RNN_FN void forward(const V* xg, const V* hg, const V* s_prev, V* saved, const V* p, V* s) {
        if constexpr (K == 0) {
            saved[0] = Sigma::f(xg[0] + hg[0] + p[0] * s_prev[1]);
            saved[1] = Sigma::f(xg[1] + hg[1]);
            saved[2] = Phi::f(xg[2] + hg[2]);
            s[0] = operand<0>(saved, s_prev);
        } else if constexpr (K == 1) {
            saved[3] = Sigma::f(xg[0] + hg[0] + p[1] * s_prev[2]);
            saved[4] = Phi::f(xg[1] + hg[1]);
            s[0] = operand<1>(saved, s_prev);
        } else {
            V v = Phi::f(xg[0] + hg[0] + p[2] * s_prev[3]);
            saved[5] = v;
            s[1] = saved[1] * s_prev[1] + saved[0] * saved[2];
            s[2] = saved[3] * s_prev[2] + saved[4] * v;
            s[3] = saved[0] * s_prev[3] + v;
            s[0] = v * Phi::f(s[1] + p[3] * s[2]);
        }
    }

    template <int K, class V>
    static RNN_FN void backward(const V* d, const V* saved, const V* s_prev, const V* s, const V* p, V* dxg, V*, V* ds_prev, V* dp) {
        V a = saved[0], b = saved[1], g = saved[2], r = saved[3], u = saved[4], v = saved[5];
        V tau = Phi::f(s[1] + p[3] * s[2]);
        V dt = d[0] * v * Phi::derivative(tau);
        V dc = d[1] + dt, dm = d[2] + dt * p[3], dn = d[3];
        dp[0] = dp[1] = dp[2] = dp[3] = V{};
        ds_prev[0] = ds_prev[1] = ds_prev[2] = ds_prev[3] = V{};
        if constexpr (K == 2) {
            dxg[0] = (d[0] * tau + dm * u + dn) * Phi::derivative(v);
            ds_prev[1] = dc * b, ds_prev[2] = dm * r, ds_prev[3] = dn * a + dxg[0] * p[2];
            dp[2] = dxg[0] * s_prev[3], dp[3] = dt * s[2];
        } else if constexpr (K == 1) {
            dxg[0] = (d[4] * s_prev[0] + dm * s_prev[2]) * Sigma::derivative(r);
            dxg[1] = (d[4] * s_prev[1] + dm * v) * Phi::derivative(u);
            ds_prev[0] = d[4] * r, ds_prev[1] = d[4] * u, ds_prev[2] = dxg[0] * p[1];
            dp[1] = dxg[0] * s_prev[2];
        } else {
            dxg[0] = (d[4] * s_prev[0] + dc * g + dn * s_prev[3]) * Sigma::derivative(a);
            dxg[1] = dc * s_prev[1] * Sigma::derivative(b);
            dxg[2] = (d[4] * s_prev[2] + dc * a) * Phi::derivative(g);
            ds_prev[0] = d[4] * a, ds_prev[1] = dxg[0] * p[0], ds_prev[2] = d[4] * g;
            dp[0] = dxg[0] * s_prev[1];
        }
    }
};
"""
