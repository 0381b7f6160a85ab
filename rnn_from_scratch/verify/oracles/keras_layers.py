"""tf.keras' own layers, in either dtype and every situation."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ...cells import form_name
from ...interop.weight_layouts import LAYOUTS
from ...typing import Array
from ..cases import Problem
from . import absent, lacks, named, seen_x, tensorflow

NAME, COVERS = "tf.keras", LAYOUTS["keras3"].rows


def missing() -> str:
    if reason := absent("tensorflow", "TensorFlow", '"rnn_from_scratch[tensorflow]"'):
        return reason
    tensorflow()
    import keras

    backend = keras.backend.backend()
    return "" if backend == "tensorflow" else f"needs Keras on TensorFlow: KERAS_BACKEND is {backend}; unset it"


def cannot(p: Problem) -> str:
    return lacks(NAME, COVERS, p.cell)


def solve(p: Problem) -> dict[str, Array]:
    tf = tensorflow()
    with tf.device("CPU:0"):
        layer = keras_layer(p)
        x, s0 = tf.constant(seen_x(p)), [tf.constant(s) for s in p.options["initial_state"]]
        with tf.GradientTape() as tape:
            tape.watch([x, *s0])
            y, *state = layer(x, initial_state=s0, mask=p.options.get("mask"), training=scaled(p))
        weights = [v.value for v in layer.trainable_variables]
        dx, *rest = tape.gradient([y, *state], [x, *weights, *s0], [p.dy, *p.dstate])
    dweights, dstate0 = rest[: len(weights)], rest[len(weights) :]
    dparams = dict(zip(("Wx", "Wh"), dweights))
    if "bx" in p.params:
        dparams["bx"], dparams["bh"] = dweights[2]
    elif "b" in p.params:
        dparams["b"] = dweights[2]
    return named(p, y, state, dx, dparams, dstate0)


def keras_layer(p: Problem) -> Any:
    """The layer that p's cell is called there, with p's weights and, as its dropout masks, p's scales."""
    import keras

    options = {f.name: getattr(p.cell, f.name) for f in fields(p.cell)}  # Keras gives them the same names
    if scaled(p):
        options.update(dropout=0.5, recurrent_dropout=0.5)  # any rate but 0: the masks themselves come from the problem
    layer = getattr(keras.layers, COVERS[form_name(p.cell)].called.split("(")[0])(
        p.params["Wh"].shape[0],
        return_sequences=True,
        return_state=True,
        go_backwards=p.options.get("go_backwards", False),
        zero_output_for_mask=p.options.get("zero_masked_outputs", False),
        dtype=str(p.x.dtype),
        **options,
    )
    layer.build(p.x.shape)
    values = [np.stack([p.params["bx"], p.params["bh"]])] if "bx" in p.params else [p.params[n] for n in ("b",) if n in p.params]
    for variable, value in zip(layer.trainable_variables, [p.params["Wx"], p.params["Wh"], *values]):
        variable.assign(value)
    if scaled(p):
        x_masks, h_masks = masks(p, "x_scale"), masks(p, "h_scale")
        layer.cell.get_dropout_mask = lambda _: x_masks
        layer.cell.get_recurrent_dropout_mask = lambda _: h_masks
    return layer


def scaled(p: Problem) -> bool:
    return "x_scale" in p.options or "h_scale" in p.options


def masks(p: Problem, name: str) -> Any:
    """One scale [B,K] for a cell with one gate, a list of one per gate for the others."""
    scale, G = p.options[name], len(p.cell.gates)
    by_gate = list(scale) if scale.ndim == 3 else [scale] * G
    return by_gate if G > 1 else by_gate[0]
