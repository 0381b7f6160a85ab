"""The cells once more, one row and one step at a time, from the equations alone: what forward is held against.

Nothing here is shared with cells/ or bptt.py, and nothing is fast. A row's step is live or masked; only live ones compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..cells import form_name
from ..typing import Array


class Run(NamedTuple):
    """What forward should give: y [B,T,H], the states in the tape's slots [B,T+1,H], the saved arrays [B,T,H] by name."""

    y: Array
    states: dict[str, Array]
    saved: dict[str, Array]


def activation(name: str, a: Array) -> Array:
    if name == "linear":
        return a
    if name == "tanh":
        return (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))
    if name == "sigmoid":
        return 1 / (1 + np.exp(-a))
    if name == "relu":
        return np.where(a > 0, a, 0)
    return np.clip(a / 6 + 0.5, 0, 1)  # hard_sigmoid


class Step:
    """What the equations of one step are written in: the pre-activations of gate j from x and from h, phi, sigma, the states.

    x [I], state name -> [H], scales [G, I] and [G, H]
    """

    def __init__(self, cell: Any, params: dict[str, Array], x: Array, state: dict[str, Array], x_scale: Array, h_scale: Array):
        self.cell, self.params, self.x, self.state, self.x_scale, self.h_scale = cell, params, x, state, x_scale, h_scale

    def own(self, name: str, j: int) -> Any:
        """The columns of gate j in a parameter; 0 for one that the cell does not have."""
        H = len(self.params["Wh"])
        return self.params[name][..., j * H : (j + 1) * H] if name in self.params else 0

    def from_x(self, j: int) -> Array:
        return (self.x * self.x_scale[j]) @ self.own("Wx", j) + self.own("b", j) + self.own("bx", j)

    def from_h(self, j: int, operand: Array | None = None) -> Array:
        """operand: what Wh multiplies in place of h."""
        h = self.state["h"] if operand is None else operand
        return (h * self.h_scale[j]) @ self.own("Wh", j) + self.own("bh", j)

    def both(self, j: int) -> Array:
        return self.from_x(j) + self.from_h(j)

    def phi(self, a: Array) -> Array:
        return activation(self.cell.activation, a)

    def sigma(self, a: Array) -> Array:
        return activation(self.cell.recurrent_activation, a)


def simple_rnn(at: Step) -> Any:
    return {"h": at.phi(at.both(0))}, {}


def lstm(at: Step) -> Any:
    i, f, g, o = at.sigma(at.both(0)), at.sigma(at.both(1)), at.phi(at.both(2)), at.sigma(at.both(3))
    c = f * at.state["c"] + i * g
    return {"h": o * at.phi(c), "c": c}, {"i": i, "f": f, "g": g, "o": o}


def peephole_lstm(at: Step) -> Any:
    (p_i, p_f, p_o), c_prev = at.params["p"], at.state["c"]
    i, f = at.sigma(at.both(0) + p_i * c_prev), at.sigma(at.both(1) + p_f * c_prev)
    g = at.phi(at.both(2))
    c = f * c_prev + i * g
    o = at.sigma(at.both(3) + p_o * c)
    return {"h": o * at.phi(c), "c": c}, {"i": i, "f": f, "g": g, "o": o}


def gru_reset_after(at: Step) -> Any:
    z, r, q = at.sigma(at.both(0)), at.sigma(at.both(1)), at.from_h(2)
    n = at.phi(at.from_x(2) + r * q)
    return {"h": n + z * (at.state["h"] - n)}, {"z": z, "r": r, "n": n, "q": q}


def gru_reset_before(at: Step) -> Any:
    z, r, h = at.sigma(at.both(0)), at.sigma(at.both(1)), at.state["h"]
    n = at.phi(at.from_x(2) + at.from_h(2, r * h))
    return {"h": n + z * (h - n)}, {"z": z, "r": r, "n": n}


def coupled_lstm(at: Step) -> Any:
    i, g, o = at.sigma(at.both(0)), at.phi(at.both(1)), at.sigma(at.both(2))
    c = at.state["c"] + i * (g - at.state["c"])
    return {"h": o * at.phi(c), "c": c}, {"i": i, "g": g, "o": o}


# form -> one step: the next state, and what the cell saves, by name. A form without a row is not covered: see `covers`
EQUATIONS: dict[str, Callable[[Step], Any]] = {
    "SimpleRNN": simple_rnn,
    "LSTM": lstm,
    "PeepholeLSTM": peephole_lstm,
    "GRU reset after": gru_reset_after,
    "GRU reset before": gru_reset_before,
    "CoupledLSTM": coupled_lstm,
}


def covers(cell: Any) -> bool:
    """Whether the equations of this cell are written here."""
    return form_name(cell) in EQUATIONS


def run(cell, params, x, initial_state, mask=None, go_backwards=False, zero_masked_outputs=False, x_scale=None, h_scale=None) -> Run:
    """The arguments of forward; x in any floating dtype. Raises ValueError for a cell that `covers` does not know."""
    if not covers(cell):
        raise ValueError(f"cell: the equations of {form_name(cell)} are not written here; expected one of {', '.join(EQUATIONS)}")
    one_step = EQUATIONS[form_name(cell)]
    (B, T, I), H, G = x.shape, len(params["Wh"]), len(cell.gates)
    y = np.zeros((B, T, H))
    states = {name: np.zeros((B, T + 1, H)) for name in cell.states}
    saved = {name: np.zeros((B, T, H)) for name in cell.saved}
    for b in range(B):
        state = {name: first[b] for name, first in zip(cell.states, initial_state)}
        output, scales = np.zeros(H), []
        for scale, width in ((x_scale, I), (h_scale, H)):
            scales.append(np.ones((G, width)) if scale is None else np.broadcast_to(scale[..., b, :], (G, width)))
        for step in range(T):
            t = T - 1 - step if go_backwards else step
            before, after = (t + 1, t) if go_backwards else (t, t + 1)
            for name in cell.states:
                states[name][b, before] = state[name]
            if mask is None or mask[b, t]:
                state, kept = one_step(Step(cell, params, x[b, t], state, *scales))
                output = state["h"]
                for name in cell.saved:
                    saved[name][b, t] = kept[name]
            elif zero_masked_outputs:
                output = np.zeros(H)
            y[b, step] = output
            for name in cell.states:
                states[name][b, after] = state[name]
    return Run(y, states, saved)
