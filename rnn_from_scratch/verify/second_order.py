"""gradcheck of second order: is backward_vjp right, and if not, which gate, which unit, which step?

backward_vjp gives the gradients of the number <v, backward(u)>. The truth is a complex step by each element of x, the parameters, the
states and u, through the reference forward and backward (../bptt.py) in complex128: the Hessian from its other side, for
backward_vjp moves along v and never by one element. That backward itself is right is what gradcheck of first order says.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends, bptt
from ..backends.second_order import backward_vjp
from ..bptt import Gradients
from ..measure import EXACT
from ..typing import Array
from .gradcheck import STEP, Check
from .parts import gradients
from .report import ErrorOrigin


class SecondCheck(Check):
    """One problem, with backward_vjp of it along random v, and the complex-step derivatives of the same number."""

    label = ", order 2"

    def __init__(self, cell, params, x, options, dy, dstate, backend):
        self.cell, self.params, self.x, self.options, self.dy, self.dstate = cell, params, x, options, dy, dstate
        rng = np.random.default_rng(1)

        def like(a: Array) -> Array:
            return rng.standard_normal(a.shape).astype(a.dtype)

        self.v = Gradients(like(x), {name: like(a) for name, a in params.items()}, tuple(map(like, options["initial_state"])))
        tape: Any = backends.forward(cell, params, x, **options, backend=backend)[2]
        self.backend, self.tape = tape.backend, tape
        self.grads = self.named(backward_vjp(tape, dy, dstate, self.v))

    def named(self, second: Any) -> dict[str, Array]:
        found = {**gradients(second, self.cell), "dy": second.dy}
        return {**found, **{f"d{s}": g for s, g in zip(self.cell.states, second.dstate)}}

    def on_reference(self) -> dict[str, Array]:
        tape = backends.forward(self.cell, self.params, self.x, **self.options, backend="reference")[2]
        return self.named(backward_vjp(tape, self.dy, self.dstate, self.v))

    def number(self, arrays: dict[str, Array]) -> complex:
        """<v, backward(u)>; arrays by name as in `grads`."""
        params = {name: arrays[name] for name in self.params}
        states = tuple(arrays[f"initial {s}"] for s in self.cell.states)
        tape: Any = self.tape
        flags = (tape.live, tape.go_backwards, tape.zero_masked_outputs, tape.x_scale, tape.h_scale)
        dual = bptt.forward(self.cell, params, arrays["x"], states, *flags, True)[2]
        assert dual is not None
        grads = bptt.backward(dual, arrays["dy"], tuple(arrays[f"d{s}"] for s in self.cell.states), ("x", "params", "initial_state"))
        v, found = gradients(self.v, self.cell), gradients(grads, self.cell)
        return sum(complex((found[name] * v[name]).sum()) for name in found)

    def slopes(self, name: str, where: Array) -> Array:
        """The derivatives of the number by array `name` at the flat indices `where`."""
        arrays: dict[str, Array] = {"x": self.x, **self.params, "dy": self.dy}
        arrays.update({f"initial {s}": a for s, a in zip(self.cell.states, self.options["initial_state"])})
        arrays.update({f"d{s}": a for s, a in zip(self.cell.states, self.dstate)})
        arrays = {key: np.array(a, complex) for key, a in arrays.items()}
        moved, result = arrays[name].reshape(-1), np.empty(len(where))
        for j, index in enumerate(where):
            before = moved[index]
            moved[index] = before + STEP * 1j
            result[j] = self.number(arrays).imag / STEP
            moved[index] = before
        return result

    def birth(self) -> ErrorOrigin | None:
        """The first step whose tangent of y is off (forward mode runs first); else the last one whose gradient by x is."""
        limit = EXACT if self.x.dtype == np.float64 else 1e-4
        order = list(range(self.x.shape[1]))
        for name, steps, mode in (("dy", order, "forward"), ("x", order[:: 1 if self.tape.go_backwards else -1], "backward")):
            ours = self.grads[name]
            truth = self.slopes(name, np.arange(ours.size)).reshape(ours.shape)
            off = ~(np.abs(ours - truth) <= limit * max(np.max(np.abs(truth)), 1e-300))
            for step in steps:
                if off[:, step].any():
                    t = self.x.shape[1] - 1 - step if mode == "forward" and self.tape.go_backwards else step
                    wrong = [e for e in self.one_step(t).entries(np.random.default_rng(0), 4000) if not e.ok]
                    gates = tuple(dict.fromkeys(e.gate for e in wrong if e.gate))
                    names = tuple(dict.fromkeys(e.array for e in wrong))
                    alone = f"this step alone gets {', '.join(names)} wrong" if wrong else "this step alone is right: the carry is wrong"
                    what = "the tangent of y" if mode == "forward" else "the tangent of backward"
                    return ErrorOrigin(t, gates, names, f"{what} is off from here on; {alone}")
        return None

    def one_step(self, t: int) -> SecondCheck:
        one = super().one_step(t)
        return SecondCheck(one.cell, one.params, one.x, one.options, one.dy, one.dstate, one.backend)
