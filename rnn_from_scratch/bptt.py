"""The time loop in NumPy: forward makes a Tape, backward turns it into Gradients.

    forward     all input products at once:  xg = x Wx + b
                for each step:               hg = h_prev Wh;  s, saved = cell.forward(xg_t, hg, s_prev)
    backward    for each step, last first:   d = d + dy_t;  dxg_t, dhg_t, d = cell.backward(d, ...);  d[h] += dhg_t Wh^T
                all weight products at once: dWx = sum x_t^T dxg_t,  dWh = sum h_prev^T dhg_t,  dx = dxg Wx^T

Letters: B batch, T time, I inputs, H units, G gates, A saved arrays, S states. Arguments are checked before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import shown
from .products import product, product_da, product_dW
from .typing import Array, Arrays, Cell


@dataclass(frozen=True, eq=False)
class Tape:
    """What backward needs from forward; the same on every backend, and only read by backward.

    x [B,T,I], params, live ([B,T] bool or None), scales and the two flags are the caller's arrays, not copies. states: one [B,T+1,H]
    per state; saved: [B,T,A,H], 0 at masked steps. Both in the time order of x: saved[:,t] belongs to x[:,t]; slot 0 is the initial
    state and slot t+1 the state after x[:,t] (go_backwards: slot T, and slot t). With recompute_every = K there is no saved, and
    states are [B, ceil(T/K), H]: those before the steps 0, K, 2K, ... in processing order; backward makes the rest again.
    """

    cell: Cell
    params: dict[str, Array]
    x: Array
    states: Arrays
    saved: Array | None
    live: Array | None
    go_backwards: bool
    zero_masked_outputs: bool
    x_scale: Array | None
    h_scale: Array | None
    backend: str
    recompute_every: int | None = None
    precision: str | None = None  # of the products: products.py
    math: str | None = None  # "tensor": what forward was asked for; backends/gpu/tensor.py
    tensors: bool = False  # x came as a torch tensor, and gradients become tensors too
    __repr__, _repr_html_ = shown.tape_text, shown.tape_html

    def gate(self, name: str) -> Array:
        """The saved gate `name` at every step: a view [B,T,H]. Raises ValueError for a name that was not saved."""
        if self.saved is None:
            raise ValueError("gate: nothing is saved on a tape with recompute_every; call forward without it")
        if name not in self.cell.saved:
            known = ", ".join(self.cell.saved) or "nothing"
            raise ValueError(f"gate: {type(self.cell).__name__} saves {known}, got {name!r}")
        return self.saved[:, :, self.cell.saved.index(name)]

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays made by forward: B*H*(A*T + S*(T+1)) elements; with recompute_every = K, B*H*S*ceil(T/K)."""
        return sum(a.nbytes for a in (*self.states, self.saved) if a is not None)


@dataclass(frozen=True, eq=False)
class Gradients:
    """What backward returns: the gradients that `wrt` asked for. The others are None, whatever their types say."""
    x: Array  # [B,T,I]
    params: dict[str, Array]  # name -> gradient, in the shape of the parameter
    initial_state: Arrays  # one [B,H] per state
    __repr__, _repr_html_ = shown.gradients_text, shown.gradients_html


def started_steps(live: Array, go_backwards: bool) -> Array:
    """[B,T] bool in the time order of x: True from the first live step of each row on, in processing order."""
    order = live[:, ::-1] if go_backwards else live
    started = np.logical_or.accumulate(order, axis=1)
    return started[:, ::-1] if go_backwards else started


class Layout:
    """Where a call's rows, gates and slots are: the index arithmetic that forward and backward share."""

    def __init__(self, cell: Cell, x: Array, live: Array | None, go_backwards: bool, h_scale: Array | None):
        self.B, self.T, self.I = x.shape
        self.steps = range(self.T - 1, -1, -1) if go_backwards else range(self.T)
        self.before, self.after = (1, 0) if go_backwards else (0, 1)  # slot of s_prev and of s: t + before, t + after
        every = np.arange(self.B * self.T)
        self.rows = every if live is None else every[live.reshape(-1)]  # live steps, as rows of [B*T, ...]
        self.batch = self.rows // self.T
        self.gates = [list(phase) for phase in cell.phases]
        self.h_scale = [h_scale[g] if h_scale is not None and h_scale.ndim == 3 else h_scale for g in self.gates]

    def per_row(self, scale: Array | None) -> Array | None:
        """A scale [B,K] or [G,B,K], constant over time, for the live rows."""
        return None if scale is None else scale[..., self.batch, :]

    def flat(self, a: Array) -> Array:
        """[B,T,...] -> the live rows [N, K]."""
        rows = a.reshape(self.B * self.T, int(np.prod(a.shape[2:])))
        return rows if len(self.rows) == len(rows) else rows[self.rows]

    def unflat(self, rows: Array) -> Array:
        """Undoes flat: the live rows [N, K] -> [B,T,K], 0 at masked steps."""
        K = rows.shape[1]
        if len(self.rows) < self.B * self.T:
            full = np.zeros((self.B * self.T, K), rows.dtype)
            full[self.rows] = rows
            rows = full
        return rows.reshape(self.B, self.T, K)


def columns(W: Array, gates: list[int], G: int) -> Array:
    """The columns of some gates: [..., G*H] -> [..., len(gates)*H]."""
    H = W.shape[-1] // G
    return W.reshape(*W.shape[:-1], G, H)[..., gates, :].reshape(*W.shape[:-1], len(gates) * H)


def forward(
    cell: Cell, params: dict[str, Array], x: Array, s0: Arrays, live: Array | None, go_backwards: bool, zero_masked_outputs: bool,
    x_scale: Array | None, h_scale: Array | None, save: bool, backend: str = "reference", precision: str | None = None
) -> tuple[Array, Arrays, Tape | None]:
    """Run the cell over x; see backends.forward for the arguments. Returns y [B,T,H], final states, Tape or None."""
    at = Layout(cell, x, live, go_backwards, h_scale)
    G, H = len(cell.gates), params["Wh"].shape[0]
    Wh = [columns(params["Wh"], g, G) for g in at.gates]
    p = tuple(params["p"]) if cell.extras else ()
    xg = product(at.flat(x), params["Wx"], at.per_row(x_scale), precision)
    if "b" in params or "bx" in params:
        xg += params["b" if cell.shared else "bx"]
    xg = at.unflat(xg).reshape(at.B, at.T, G, H)
    bh = [columns(params["bh"], g, G) if "bh" in params else None for g in at.gates]

    y = np.zeros((at.B, at.T, H), x.dtype)
    states: Arrays = tuple(np.empty((at.B, at.T + 1, H), x.dtype) for _ in s0) if save else ()
    kept: Any = np.zeros((at.B, at.T, len(cell.saved), H), x.dtype) if save else None
    s, out = s0, np.zeros((at.B, H), x.dtype)
    saved: Arrays
    operand: Any  # of the next product [B,H]; after the last phase the new states
    for slots, first in zip(states, s0):
        slots[:, at.T if go_backwards else 0] = first
    for step, t in enumerate(at.steps):
        s_prev, operand, saved = s, s[0], ()
        for k, gates in enumerate(at.gates):
            hg = product(operand, Wh[k], at.h_scale[k], precision)
            if bh[k] is not None:
                hg += bh[k]
            by_gate = hg.reshape(at.B, len(gates), H).transpose(1, 0, 2)
            operand, saved_k = cell.forward(k, xg[:, t, gates].transpose(1, 0, 2), by_gate, s_prev, saved, p)
            saved = saved + tuple(saved_k)
        s = operand
        if live is None:
            out = s[0]
        else:
            m = live[:, t, None]
            s = tuple(np.where(m, new, old) for new, old in zip(s, s_prev))
            saved = tuple(np.where(m, value, 0) for value in saved)
            out = np.where(m, s[0], 0 if zero_masked_outputs else out)
        y[:, step] = out
        for slots, new in zip(states, s):
            slots[:, t + at.after] = new
        for a, value in enumerate(saved if save else ()):
            kept[:, t, a] = value
    state = tuple(np.array(a) for a in s)
    if not save:
        return y, state, None
    flags, scales = (go_backwards, zero_masked_outputs), (x_scale, h_scale)
    return y, state, Tape(cell, params, x, states, kept, live, *flags, *scales, backend, precision=precision)


def backward(tape: Tape, dy: Array | None, dstate: tuple[Array | None, ...], wrt: tuple[str, ...]) -> Gradients:
    """Backpropagation through time over a Tape; dy is in processing order. Returns Gradients."""
    cell, params, x, live = tape.cell, tape.params, tape.x, tape.live
    at = Layout(cell, x, live, tape.go_backwards, tape.h_scale)
    G, H = len(cell.gates), params["Wh"].shape[0]
    Wh = [columns(params["Wh"], g, G) for g in at.gates]
    p = tuple(params["p"]) if cell.extras else ()
    assert tape.saved is not None
    if dy is not None and live is not None:
        dy_used = live if tape.zero_masked_outputs else started_steps(live, tape.go_backwards)
        dy = np.where((dy_used[:, ::-1] if tape.go_backwards else dy_used)[:, :, None], dy, 0)

    dxg = np.zeros((at.B, at.T, G, H), x.dtype)
    dhg = dxg if cell.shared else np.zeros_like(dxg)
    dp_sum = np.zeros((len(cell.extras), H), x.dtype)
    ds = tuple(np.zeros((at.B, H), x.dtype) if d is None else d for d in dstate)
    for step, t in reversed(list(enumerate(at.steps))):
        s_prev = tuple(a[:, t + at.before] for a in tape.states)
        s = tuple(a[:, t + at.after] for a in tape.states)
        saved = tuple(tape.saved[:, t, a] for a in range(len(cell.saved)))
        m = True if live is None else live[:, t, None]
        if dy is not None:
            ds = (ds[0] + dy[:, step], *ds[1:])  # y_t = h_t
        d, parts = ds, list[Any]([0.0] * len(ds))
        d_operand: Arrays = ()
        for k in reversed(range(len(at.gates))):
            dxg_k, dhg_k, part, dp = cell.backward(k, d + d_operand, saved, s_prev, s, p)
            parts = [a + b for a, b in zip(parts, part)]
            for side, values in ((dxg, dxg_k), (dhg, dhg_k)):
                for gate, value in zip(at.gates[k], values):
                    side[:, t, gate] = value  # nobody reads the masked rows
            if dp:
                dp_sum += [np.where(m, value, 0).sum(0) for value in dp]
            d_hg = columns(dhg[:, t].reshape(at.B, G * H), at.gates[k], G)
            back = product_da(d_hg, Wh[k], at.h_scale[k], tape.precision)  # hg = operand Wh
            d_operand = (back,)
        parts[0] = parts[0] + d_operand[0]  # phase 0's operand is h_prev
        ds = tuple(parts) if live is None else tuple(np.where(m, a, b) for a, b in zip(parts, d))  # a masked step copies s

    D = at.flat(dxg)
    dx: Any = at.unflat(product_da(D, params["Wx"], at.per_row(tape.x_scale), tape.precision)) if "x" in wrt else None
    grads: Any = param_gradients(tape, at, D, dhg, dp_sum) if "params" in wrt else None
    initial: Any = tuple(np.array(d) for d in ds) if "initial_state" in wrt else None
    return Gradients(dx, grads, initial)


def param_gradients(tape, at, D, dhg, dp_sum):
    """The weight products over all live steps: D [N,G*H] is dxg, dhg [B,T,G,H] -> name -> gradient, in the order of params."""
    cell, params = tape.cell, tape.params
    G, H = dhg.shape[2:]
    s_prev = tuple(a[:, at.before : at.T + at.before] for a in tape.states)
    saved = tuple(tape.saved[:, :, a] for a in range(len(cell.saved)))
    dWh = np.empty((H, G, H), D.dtype)
    for k, gates in enumerate(at.gates):
        operand = s_prev[0] if k == 0 else cell.operand(k - 1, saved, s_prev)
        rows = product_dW(at.flat(operand), at.flat(dhg[:, :, gates]), at.per_row(at.h_scale[k]), tape.precision)
        dWh[:, gates] = rows.reshape(H, len(gates), H)
    dWx = product_dW(at.flat(tape.x), D, at.per_row(tape.x_scale), tape.precision)
    grads = {"Wx": dWx, "Wh": dWh.reshape(H, G * H), "p": dp_sum}
    if "b" in params:
        grads["b"] = D.sum(0)
    elif "bx" in params:
        grads.update(bx=D.sum(0), bh=at.flat(dhg).sum(0))
    return {name: grads[name] for name in params}
