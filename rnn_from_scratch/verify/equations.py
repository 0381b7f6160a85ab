"""The cells once more, one row and one step at a time, from the equations alone: what forward is held against.

Nothing here is shared with cells/ or bptt.py, and nothing is fast. A row's step is live or masked; only live ones compute.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any


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


def one_step(cell: Any, params: dict[str, Array], x: Array, state: dict[str, Array], x_scale: Any, h_scale: Any) -> Any:
    """x [I], state name -> [H], scales [G, I] and [G, H] -> the next state and what the cell saves, by name."""
    H, G = len(params["Wh"]), len(cell.gates)
    h = state["h"]

    def phi(a):
        return activation(cell.activation, a)

    def sigma(a):
        return activation(cell.recurrent_activation, a)

    def own(name, j):
        return params[name][..., j * H : (j + 1) * H] if name in params else 0

    def from_x(j):
        return (x * x_scale[j]) @ own("Wx", j) + own("b", j) + own("bx", j)

    def from_h(j, operand=h):
        return (operand * h_scale[j]) @ own("Wh", j) + own("bh", j)

    if G == 1:
        return {"h": phi(from_x(0) + from_h(0))}, {}
    if G == 3:
        z, r = sigma(from_x(0) + from_h(0)), sigma(from_x(1) + from_h(1))
        q = from_h(2)
        n = phi(from_x(2) + (r * q if cell.reset_after else from_h(2, r * h)))
        return {"h": n + z * (h - n)}, {"z": z, "r": r, "n": n, "q": q}
    c = state["c"]
    p_i, p_f, p_o = params.get("p", np.zeros((3, H)))
    i, f = sigma(from_x(0) + from_h(0) + p_i * c), sigma(from_x(1) + from_h(1) + p_f * c)
    g = phi(from_x(2) + from_h(2))
    new_c = f * c + i * g
    o = sigma(from_x(3) + from_h(3) + p_o * new_c)
    return {"h": o * phi(new_c), "c": new_c}, {"i": i, "f": f, "g": g, "o": o}


def run(cell, params, x, initial_state, mask=None, go_backwards=False, zero_masked_outputs=False, x_scale=None, h_scale=None) -> Run:
    """The arguments of forward; x in any floating dtype."""
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
                state, kept = one_step(cell, params, x[b, t], state, *scales)
                output = state["h"]
                for name in cell.saved:
                    saved[name][b, t] = kept[name]
            elif zero_masked_outputs:
                output = np.zeros(H)
            y[b, step] = output
            for name in cell.states:
                states[name][b, after] = state[name]
    return Run(y, states, saved)
