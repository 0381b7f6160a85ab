"""gradcheck: is the backward of a cell right, and if not, which gate, which unit, which step?

The truth is a complex step through the reference forward: with f analytic, f'(a) = Im f(a + ih) / h exactly to rounding, because
no difference is taken, so any h will do (Squire & Trapp 1998); the square of 1e-200 is 0, so that it never leads across a corner.
The loss is sum(y * dy) + sum(state * dstate) with random dy and dstate: every output and every final state counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from .. import backends
from ..array_kinds import as_numpy
from ..bptt import product
from ..measure import EXACT, budget, error
from ..params import cell_name, check_initial_state, param_shapes
from ..typing import Array, Cell
from .parts import blocks, gradients, repeat
from .report import Entry, ErrorOrigin, Report

STEP = 1e-200
ELEMENTS = 1 << 20  # of x in one stacked forward


def gradcheck(
    cell: Cell,
    params: dict[str, Array] | None = None,
    x: Array | None = None,
    *,
    backend: str = "auto",
    dtype: str | None = None,
    seed: int = 0,
    entries: int = 4000,
    order: int = 1,
    **options: Any,
) -> Report:
    """Check backward(cell) on a backend against complex-step derivatives of the reference forward.

    cell      one of cells, or an object of that shape (see rnn_from_scratch.cells)
    params    name -> array; None: random, every gate different.  x: [B,T,I]; None: random, B=3, T=4, I=3, H=5
    backend   whose backward is checked.  dtype: of random data, float64 (default) or float32
    entries   at most so many elements of an array are checked, drawn at random (seed) if it has more
    order     2: backward_vjp in place of backward, against complex steps through the reference backward
    options   as for forward: initial_state (default: random), lengths, mask, go_backwards, zero_masked_outputs, x_scale, h_scale

    float64 must agree to 1e-12 of the largest element; float32 to 3x the error of float32 NumPy, plus 1e-6.
    Returns a Report: .ok, and a str() that names parameter, gate, unit, and the step where the error is born.
    Raises ValueError or TypeError as forward does.

    >>> from rnn_from_scratch import cells, gradcheck
    >>> gradcheck(cells.LSTM()).ok
    True
    >>> class Flat(cells.SimpleRNN):
    ...     def backward(self, k, d, saved, s_prev, s, p):
    ...         return d, d, (0.0,), ()  # phi'(a) is missing
    >>> gradcheck(Flat()).birth.step  # of the steps 0..3, the last is the first that backward runs
    3
    """
    rng = np.random.default_rng(seed)
    params = params and {name: as_numpy(name, array) for name, array in params.items()}
    if x is None:
        inputs = 3 if params is None else params["Wx"].shape[0]
        x = rng.standard_normal((3, 4, inputs)).astype(dtype or (params["Wx"].dtype if params else "float64"))
    x = np.array(as_numpy("x", x))
    if params is None:
        params = {name: (0.5 * rng.standard_normal(s)).astype(x.dtype) for name, s in param_shapes(cell, x.shape[2], 5).items()}
    (B, T, _), H = x.shape, params["Wh"].shape[0]
    states = options.get("initial_state") or tuple(rng.standard_normal((B, H)).astype(x.dtype) for _ in cell.states)
    options["initial_state"] = check_initial_state(states, cell, x, H)
    dy = rng.standard_normal((B, T, H)).astype(x.dtype)
    dstate = tuple(rng.standard_normal((B, H)).astype(x.dtype) for _ in cell.states)

    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, got {order!r}")
    kind = Check if order == 1 else import_module(".second_order", __package__).SecondCheck
    check = kind(cell, params, x, options, dy, dstate, backend)
    found = list(check.entries(rng, entries))
    report = Report(cell_name(cell) + check.label, check.backend, str(x.dtype), tuple(found))
    if report.ok:
        return report
    if B * (T * len(cell.gates) * H) ** 2 > ELEMENTS * 64:
        note = "too large to say at which step the error is born: check fewer steps or units for that"
        return Report(report.cell, report.backend, report.dtype, report.entries, None, (note,))
    return Report(report.cell, report.backend, report.dtype, report.entries, check.birth())


def assert_gradcheck(cell: Cell, *args: Any, **options: Any) -> None:
    """gradcheck as an assertion, for the tests of a cell. Returns nothing if all gradients are right.

    cell            one of cells, or an object of that shape
    args, options   as for gradcheck: params, x, backend=, dtype=, seed=, entries=, and what forward takes

    Raises AssertionError, with the whole report as its text, if a gradient is wrong; ValueError or TypeError as gradcheck does.

    >>> from rnn_from_scratch import cells
    >>> from rnn_from_scratch.verify import assert_gradcheck
    >>> assert_gradcheck(cells.LSTM(use_bias=False), go_backwards=True)
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    report = gradcheck(cell, *args, **options)
    if not report.ok:
        raise AssertionError(str(report))


class Check:
    """One problem, with our gradients of it and the complex-step derivatives of the same loss."""

    label = ""  # what the report says behind the cell's name

    def __init__(self, cell, params, x, options, dy, dstate, backend):
        self.cell, self.params, self.x, self.options, self.dy, self.dstate = cell, params, x, options, dy, dstate
        _, _, tape = backends.forward(cell, params, x, **options, backend=backend)
        assert tape is not None
        self.backend, self.tape = tape.backend, tape
        self.grads = gradients(backends.backward(tape, dy, dstate), cell)

    def on_reference(self) -> dict[str, Array]:
        """The same gradients by NumPy, in the dtype of x."""
        _, _, tape = backends.forward(self.cell, self.params, self.x, **self.options, backend="reference")
        return gradients(backends.backward(tape, self.dy, self.dstate), self.cell)

    def losses(self, params, x, options, copies=1) -> Array:
        """The loss of each of the stacked copies, summed over its rows: complex [copies]."""
        scaled = {k: repeat(k, v, copies) for k, v in options.items()}
        cast = {k: v.astype(complex) for k, v in params.items()}
        y, state, _ = backends.forward(self.cell, cast, x, **scaled, save=False, backend="reference")
        total = (y * np.tile(self.dy, (copies, 1, 1))).sum((1, 2))
        for s, d in zip(state, self.dstate):
            total = total + (s * np.tile(d, (copies, 1))).sum(1)
        return total.reshape(copies, -1)

    def slopes(self, name: str, where: Array) -> Array:
        """d loss / d array at the flat indices `where`, by complex step; name as in gradients()."""
        x, options = self.x.astype(complex), dict(self.options)
        states = tuple(s.astype(complex) for s in options["initial_state"])
        options["initial_state"] = states
        if name in self.params:
            result = np.empty(len(where))
            for j, index in enumerate(where):
                params = {k: np.array(v, complex) for k, v in self.params.items()}
                params[name].reshape(-1)[index] += STEP * 1j
                result[j] = self.losses(params, x, options).sum().imag / STEP
            return result
        source = x if name == "x" else states[self.cell.states.index(name.split()[-1])]
        chunk = max(1, ELEMENTS // max(1, self.x.size))
        parts = []
        for start in range(0, len(where), chunk):
            part = where[start : start + chunk]
            stack = np.tile(source, (len(part),) + (1,) * (source.ndim - 1))
            flat = stack.reshape(len(part), -1)
            flat[np.arange(len(part)), part] += STEP * 1j
            moved = tuple(stack if s is source else np.tile(s, (len(part), 1)) for s in states)
            xs = stack if source is x else np.tile(x, (len(part), 1, 1))
            values = self.losses(self.params, xs, {**options, "initial_state": moved}, len(part))
            parts.append(values.sum(1).imag / STEP)
        return np.concatenate(parts) if parts else np.zeros(0)

    def entries(self, rng: np.random.Generator, limit: int) -> Iterator[Entry]:
        """Every gradient array against the truth, one entry per gate."""
        own = self.on_reference() if self.x.dtype == np.float32 else self.grads
        for name, ours in self.grads.items():
            size = ours.size
            where = np.arange(size) if size <= limit else np.sort(rng.choice(size, limit, replace=False))
            truth = self.slopes(name, where)
            mine = ours.reshape(-1)[where].astype(float)
            allowed = EXACT if ours.dtype == np.float64 else budget("d", error(own[name].reshape(-1)[where], truth))
            scale = np.max(np.abs(truth), initial=0)
            index = np.stack(np.unravel_index(where, ours.shape), axis=1)
            for gate, part in blocks(self.cell, name, ours.shape, index):
                if not part.any():
                    continue
                off = np.abs(mine[part] - truth[part])
                off[~np.isfinite(off)] = np.inf
                worst = int(np.argmax(off))
                size_of_error = off[worst] / scale if scale else (0.0 if off[worst] == 0 else np.inf)
                at = tuple(int(i) for i in index[part][worst])
                unit = at[-1] % self.dy.shape[2] if name != "x" else at[-1]
                values = float(mine[part][worst]), float(truth[part][worst])
                yield Entry(name, gate, unit, at, float(size_of_error), allowed, *values)

    def gate_gradients(self) -> tuple[Array, Array]:
        """dxg [B,T,G,H] of the backend and the true one: with Wx the identity, the gradient of x *is* dxg."""
        B, T, _ = self.x.shape
        shape = (B, T, len(self.cell.gates), self.dy.shape[2])
        per_row = self.options.get("x_scale")
        scale = None if per_row is None else np.repeat(per_row, T, axis=-2)
        live = self.tape.live
        rows = np.where(live[:, :, None], self.x, 0) if live is not None else self.x
        xg = product(rows.reshape(B * T, -1), self.params["Wx"], scale).reshape(B, T, -1)
        params = {**self.params, "Wx": np.eye(xg.shape[2], dtype=self.x.dtype)}
        options = {**self.options, "x_scale": None}
        direct = Check(self.cell, params, xg, options, self.dy, self.dstate, self.backend)
        return direct.grads["x"].reshape(shape), direct.slopes("x", np.arange(xg.size)).reshape(shape)

    def birth(self) -> ErrorOrigin | None:
        """The step whose dxg is the first to be off in the backward pass; None if dxg is right everywhere."""
        ours, truth = self.gate_gradients()
        tolerance = (EXACT if ours.dtype == np.float64 else 1e-4) * max(np.max(np.abs(truth)), 1e-300)
        off = ~(np.abs(ours - truth) <= tolerance)
        steps = range(self.x.shape[1])[:: 1 if self.tape.go_backwards else -1]
        for later, t in zip((None, *steps), steps):
            if not off[:, t].any():
                continue
            if later is not None and self.step_is_right(t):
                wrong = [e for e in self.one_step(later).entries(np.random.default_rng(0), 4000) if not e.ok]
                if not wrong:
                    return ErrorOrigin(later, (), (), f"dxg of step {t} is off, yet each step alone is right: the carry is wrong")
                names = dict.fromkeys(e.array + (f" of gate {e.gate}" if e.gate else "") for e in wrong)
                why = f"this step alone gets {', '.join(names)} wrong and hands that back to step {t}"
                wrong_gates = tuple(dict.fromkeys(e.gate for e in wrong if e.gate))
                return ErrorOrigin(later, wrong_gates, tuple(dict.fromkeys(e.array for e in wrong)), why)
            gates = tuple(g for j, g in enumerate(self.cell.gates) if off[:, t, j].any())
            distance = np.nan_to_num(np.abs(ours - truth)[:, t], nan=np.inf)
            row, _, unit = np.unravel_index(np.argmax(distance), distance.shape)
            why = f"dxg of {', '.join(gates)} is off, most in row {row}, unit {unit}; right in the steps that backward ran before"
            return ErrorOrigin(t, gates, tuple(self.params), why)
        return None

    def one_step(self, t: int) -> Check:
        """Step t alone, from the true state before it."""
        before = t + (1 if self.tape.go_backwards else 0)
        options = {k: v for k, v in self.options.items() if k in ("x_scale", "h_scale")}
        options["initial_state"] = tuple(np.ascontiguousarray(s[:, before]) for s in self.tape.states)
        options["mask"] = None if self.tape.live is None else self.tape.live[:, t : t + 1]
        return Check(self.cell, self.params, self.x[:, t : t + 1], options, self.dy[:, :1], self.dstate, self.backend)

    def step_is_right(self, t: int) -> bool:
        ours, truth = self.one_step(t).gate_gradients()
        return error(ours, truth) <= (EXACT if ours.dtype == np.float64 else 1e-4)
