"""Our layers beside their tf.keras twins: same weights, same data, and everything that comes out."""

from __future__ import annotations

import keras
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.measure import error

from .layer_shapes import KINDS, MASK, B, H, I, T, fill, random, worst

__all__ = ["KINDS", "MASK", "B", "H", "I", "T", "fill", "random", "worst"]  # to those who import them from here


def some_checked(names, *long):
    """Parameters for pytest, the long ones marked `check`."""
    return [pytest.param(name, marks=[pytest.mark.check] * (name in long)) for name in names]


def pair(kind, input_shape=(B, T, I), **options):
    """Ours and tf.keras' layer of KINDS[kind], built, with the same random weights."""
    name, more = KINDS[kind]
    ours, theirs = (getattr(module, name)(H, **{"dtype": "float64", **more, **options}) for module in (layers, keras.layers))
    for layer in (ours, theirs):
        layer.build(input_shape)
    fill(theirs)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def initial_states(layer, batch=B, seed=2):
    return [tf.constant(random(batch, H, seed=seed + i), layer.compute_dtype) for i in range(len(layer.state_size))]


def results(layer, x, states=None, training=False, call=None, **arguments):
    """Every output and every gradient of a call, by name; random upstream gradients on all outputs."""
    x = tf.constant(x, layer.compute_dtype)
    states = initial_states(layer, len(x)) if states is None else states
    with tf.GradientTape() as tape:
        tape.watch([x, *states])
        outputs = (call or layer)(x, initial_state=states, training=training, **arguments)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        upstream = [tf.constant(random(*o.shape, seed=7 + i), o.dtype) for i, o in enumerate(outputs)]
        loss = tf.add_n([tf.reduce_sum(o * d) for o, d in zip(outputs, upstream)])
    sources = {"dx": x, **{f"ds{i}": s for i, s in enumerate(states)}}
    sources.update({f"d{w.path.split('/')[-1]}": w for w in layer.trainable_weights})
    gradients = tape.gradient(loss, list(sources.values()))
    found = {f"output {i}": o for i, o in enumerate(outputs)}
    found.update({name: tf.convert_to_tensor(g) for name, g in zip(sources, gradients)})
    return {name: value.numpy() for name, value in found.items()}


def float32_budget(theirs, exact):
    """Twice tf.keras' own float32 error (three times for gradients) against its float64 twin, plus 1e-6, by name."""
    return {name: (3 if name.startswith("d") else 2) * error(theirs[name], exact[name]) + 1e-6 for name in exact}
