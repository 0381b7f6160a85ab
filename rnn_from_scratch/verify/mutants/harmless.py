"""What survives the sweep, and why it changes nothing: file, function, the mutated line -> the reason.

`make check` fails on a survivor that is not listed here, and on a line here that no longer survives.
"""

from __future__ import annotations

BRANCH = "the two branches are the same number wherever exp overflows in neither"
COPIES = "the same values, once more copied"
ONE_STATE = "a GRU has one state: its first is its last"
ONE_OPERAND = "a GRU makes one operand and does not look at k"
ONE_GATE_GRADIENT = "shared: both sides are one array, and what is written last stands"
ALL_NAMED = "every activation that the checks try has a name"

HARMLESS = {
    "cells/activations.py sigmoid: positive = a.real > 0": BRANCH,
    "cells/activations.py sigmoid: positive = a.real >= 1": BRANCH,
    "cells/activations.py sigmoid: positive = a.real >= -1": BRANCH,
    "cells/activations.py relu: return np.where(a.real <= 0, 0, a).astype(a.dtype, copy=True)": COPIES,
    (
        "cells/activations.py hard_sigmoid: "
        "return (np.where(s.real <= 0, 0, np.where(s.real >= 6, 6, s)) / 6).astype(a.dtype, copy=True)"
    ): COPIES,
    "cells/activations.py Table.__missing__: if True:": ALL_NAMED,
    "cells/activations.py Table.__missing__: if False:": ALL_NAMED,
    "cells/gru.py GRU.operand: return saved[1] * s_prev[-1]": ONE_STATE,
    "cells/gru.py GRU.forward: return self.operand(1, (z, r), s_prev), (z, r)": ONE_OPERAND,
    "cells/gru.py GRU.forward: return self.operand(-1, (z, r), s_prev), (z, r)": ONE_OPERAND,
    "cells/gru.py GRU.backward: return (dar, daz), (daz, dar), (dm * r,), ()": ONE_GATE_GRADIENT,
    "bptt.py Tape.nbytes: return sum(a.nbytes for a in (self.saved, *self.states) if a is not None)": "a + b = b + a",
    "bptt.py Layout.__init__: self.rows = every if live is None else every[live.reshape(-2)]": "NumPy takes any negative size as -1",
    "bptt.py Layout.flat: return (rows[self.rows])": COPIES,
    "bptt.py Layout.unflat: if len(self.rows) <= self.B * self.T:": COPIES,
    "bptt.py forward: states: Arrays = (tuple(np.empty((at.B, at.T + 1, H), x.dtype) for _ in s0))": (
        "made, filled and dropped with save=False"
    ),
    "bptt.py forward: kept: Any = (np.zeros((at.B, at.T, len(cell.saved), H), x.dtype))": "made, filled and dropped with save=False",
    "bptt.py forward: m = live[:, None, t]": "the same [B,1] as live[:, t, None]",
    "bptt.py backward: m = True if live is None else live[:, None, t]": "the same [B,1] as live[:, t, None]",
    "bptt.py backward: dhg = (np.zeros_like(dxg))": "shared: two arrays with the same values in place of one",
    "bptt.py backward: for side, values in ((dhg, dhg_k), (dxg, dxg_k)):": "the two sides may be written in either order",
    "bptt.py backward: parts = [a + b for b, a in zip(parts, part)]": "a + b = b + a",
    "bptt.py backward: parts[0] = parts[0] + d_operand[-1]": "there is one operand in it: the first is the last",
    "bptt.py backward: ds = (tuple(np.where(m, a, b) for a, b in zip(parts, d)))": "without a mask m is True and selects parts",
    "bptt.py param_gradients: operand = s_prev[0] if k == 0 else cell.operand(k + 1, saved, s_prev)": ONE_OPERAND,
    "bptt.py param_gradients: operand = s_prev[0] if k == 0 else cell.operand((k), saved, s_prev)": ONE_OPERAND,
    "bptt.py param_gradients: operand = s_prev[0] if k == 0 else cell.operand((1), saved, s_prev)": ONE_OPERAND,
    "bptt.py param_gradients: operand = s_prev[0] if k == 0 else cell.operand(k - 2, saved, s_prev)": ONE_OPERAND,
    "bptt.py param_gradients: operand = s_prev[0] if k == 0 else cell.operand(k - 0, saved, s_prev)": ONE_OPERAND,
    "bptt.py param_gradients: elif True:": "biases that params does not name are dropped at the end",
}
