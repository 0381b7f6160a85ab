"""Equations in TensorFlow ops, unrolled step by step, gradients by GradientTape: for forms that no framework has as a cell.

A step is written from the paper and knows nothing of masks, dropout or time. It gets

    a(gate)      x Wx + h Wh + b of that gate, [B,H]
    p            the per-unit weights by gate, [H]
    phi, sigma   the cell's activations
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...cells import form_name
from ...interop.weight_layouts import Row
from ...typing import Array
from ..cases import Problem
from . import absent, lacks, named, seen_x, tensorflow

NAME = "TF autodiff"


def peephole_lstm(a: Callable[[str], Any], p: dict[str, Any], phi: Any, sigma: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Graves 2013, eq. 7-11; TensorFlow's own cell has it with sigmoid gates alone."""
    kept, let_in = sigma(a("f") + c * p["f"]) * c, sigma(a("i") + c * p["i"]) * phi(a("g"))
    c = kept + let_in
    return sigma(a("o") + c * p["o"]) * phi(c), c


def coupled_lstm(a: Callable[[str], Any], p: dict[str, Any], phi: Any, sigma: Any, h: Any, c: Any) -> tuple[Any, Any]:
    """Greff et al. 2017, CIFG: what the input gate lets in replaces as much of c."""
    let_in = sigma(a("i"))
    c = c - let_in * c + let_in * phi(a("g"))
    return sigma(a("o")) * phi(c), c


# form -> one step: h and the other states
EQUATIONS: dict[str, Any] = {"PeepholeLSTM": peephole_lstm, "CoupledLSTM": coupled_lstm}
COVERS = {form: Row("equations", "", ()) for form in EQUATIONS}


def missing() -> str:
    return absent("tensorflow", "TensorFlow", '"rnn_from_scratch[tensorflow]"')


def cannot(p: Problem) -> str:
    return lacks(NAME, COVERS, p.cell)


def solve(p: Problem) -> dict[str, Array]:
    tf = tensorflow()
    with tf.device("CPU:0"):
        params = {name: tf.constant(value) for name, value in p.params.items()}
        x, s0 = tf.constant(seen_x(p)), [tf.constant(s) for s in p.options["initial_state"]]
        with tf.GradientTape() as tape:
            tape.watch([x, *params.values(), *s0])
            y, state = unroll(tf, p, params, x, s0)
        dx, *rest = tape.gradient([y, *state], [x, *params.values(), *s0], [p.dy, *p.dstate])
    return named(p, y, state, dx, dict(zip(params, rest)), rest[len(params) :])


def unroll(tf: Any, p: Problem, params: dict[str, Any], x: Any, state: list[Any]) -> tuple[Any, list[Any]]:
    """y [B,T,H] and the final states; a masked step copies the states, y repeats the last live output or is zero."""
    functions = {"tanh": tf.tanh, "relu": tf.nn.relu, "sigmoid": tf.sigmoid, "linear": tf.identity}
    functions["hard_sigmoid"] = lambda a: tf.nn.relu6(a + 3) / 6
    phi, sigma = functions[p.cell.activation], functions[p.cell.recurrent_activation]
    mask, T, G = p.options.get("mask"), p.x.shape[1], len(p.cell.gates)
    step, outputs, out = EQUATIONS[form_name(p.cell)], [], tf.zeros_like(state[0])
    blocks = {name: tf.split(value, G, axis=-1) for name, value in params.items() if name != "p"}
    per_unit = dict(zip(p.cell.extras, tf.unstack(params["p"]))) if "p" in params else {}

    def scaled(a: Any, name: str, gate: int) -> Any:
        scale = p.options.get(name)
        return a if scale is None else a * (scale if scale.ndim == 2 else scale[gate])

    for t in reversed(range(T)) if p.options.get("go_backwards") else range(T):

        def a(gate: str, x_t: Any = x[:, t], h: Any = state[0]) -> Any:
            j = p.cell.gates.index(gate)
            total = scaled(x_t, "x_scale", j) @ blocks["Wx"][j] + scaled(h, "h_scale", j) @ blocks["Wh"][j]
            return total + blocks["b"][j] if "b" in blocks else total

        new = step(a, per_unit, phi, sigma, *state)
        live = np.True_ if mask is None else mask[:, t, None]
        out = tf.where(live, new[0], tf.zeros_like(out) if p.options.get("zero_masked_outputs") else out)
        state = [tf.where(live, after, before) for after, before in zip(new, state)]
        outputs.append(out)
    return tf.stack(outputs, 1), state
