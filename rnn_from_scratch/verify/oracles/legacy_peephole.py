"""TensorFlow 1's peephole cell, which lives on in tf_keras, unrolled here step by step; gradients by GradientTape."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...cells import form_name
from ...interop.weight_layouts import LAYOUTS
from ...typing import Array
from ..cases import Problem
from . import absent, lacks, named, seen_x, tensorflow

NAME = "tf_keras peephole"
COVERS = {"PeepholeLSTM": LAYOUTS["tf1"].rows["PeepholeLSTM"]}  # the other cells of TensorFlow 1 are those of tf.keras


def missing() -> str:
    tensorflow_missing = absent("tensorflow", "TensorFlow", '"rnn_from_scratch[tensorflow]"')
    return tensorflow_missing or absent("tf_keras", "tf_keras", '"rnn_from_scratch[test]"')


def cannot(p: Problem) -> str:
    if reason := lacks(NAME, COVERS, p.cell):
        return reason
    return "Keras 2's hard_sigmoid is another function" if p.cell.activation == "hard_sigmoid" else ""


def solve(p: Problem) -> dict[str, Array]:
    tf = tensorflow()
    with tf.device("CPU:0"):
        params = {name: tf.constant(value) for name, value in p.params.items()}
        x, s0 = tf.constant(seen_x(p)), [tf.constant(s) for s in p.options["initial_state"]]
        with tf.GradientTape() as tape:
            tape.watch([x, *params.values(), *s0])
            y, state = unroll(tf, p, legacy_cell(tf, p, params), x, s0)
        dx, *rest = tape.gradient([y, *state], [x, *params.values(), *s0], [p.dy, *p.dstate])
    return named(p, y, state, dx, dict(zip(params, rest)), rest[len(params) :])


def legacy_cell(tf: Any, p: Problem, params: dict[str, Any]) -> Any:
    """The cell with our parameters, as tensors on the tape, in the places and the gate order where it looks for them."""
    from tf_keras.src.layers.rnn.legacy_cells import LSTMCell

    H = p.params["Wh"].shape[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LSTMCell` is deprecated", UserWarning)  # that is why it is here
        cell = LSTMCell(H, use_peepholes=True, forget_bias=0.0, activation=p.cell.activation, dtype=str(p.x.dtype))
    rows = tf.concat([wide_weight(tf, params[W], p.options.get(scale)) for W, scale in (("Wx", "x_scale"), ("Wh", "h_scale"))], 0)
    order = [p.cell.gates.index(gate) for gate in COVERS[form_name(p.cell)].gates.split()]
    by_gate = tf.split(rows, 4, axis=1)
    cell._kernel = tf.concat([by_gate[g] for g in order], 1)
    by_gate = tf.split(params["b"], 4) if "b" in params else [tf.zeros(H, p.x.dtype)] * 4
    cell._bias = tf.concat([by_gate[g] for g in order], 0)
    cell._w_i_diag, cell._w_f_diag, cell._w_o_diag = tf.unstack(params["p"])
    return cell


def wide(tf: Any, a: Any, scale: Array | None) -> Any:
    """a [B,K] scaled; a scale per gate [G,B,K] gives one copy of a per gate, side by side: [B,G*K]."""
    if scale is None or scale.ndim == 2:
        return a if scale is None else a * scale
    return tf.concat([a * s for s in scale], 1)


def wide_weight(tf: Any, W: Any, scale: Array | None) -> Any:
    """The weight for wide(a): each copy of a reaches its own gate alone."""
    if scale is None or scale.ndim == 2:
        return W
    G = len(scale)
    own = np.repeat(np.eye(G), W.shape[1] // G, axis=1)  # [G,G*H]
    return tf.concat([W * tf.constant(columns, W.dtype) for columns in own], 0)


def unroll(tf: Any, p: Problem, cell: Any, x: Any, s0: list[Any]) -> tuple[Any, list[Any]]:
    """y [B,T,H] and the final (h, c); a masked step copies the state, y repeats the last live output or is zero."""
    mask, x_scale, h_scale = (p.options.get(name) for name in ("mask", "x_scale", "h_scale"))
    h, c = s0
    out, outputs, T = tf.zeros_like(h), [], p.x.shape[1]
    for t in reversed(range(T)) if p.options.get("go_backwards") else range(T):
        h_new, (c_new, _) = cell.call(wide(tf, x[:, t], x_scale), (c, wide(tf, h, h_scale)))
        live = np.True_ if mask is None else mask[:, t, None]
        h, c = tf.where(live, h_new, h), tf.where(live, c_new, c)
        out = tf.where(live, h_new, tf.zeros_like(out) if p.options.get("zero_masked_outputs") else out)
        outputs.append(out)
    return tf.stack(outputs, 1), [h, c]
