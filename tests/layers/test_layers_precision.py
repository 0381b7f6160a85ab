"""Mixed precision: float32 inside; under mixed_bfloat16 the products are rounded where the backend can."""

import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, layers
from rnn_from_scratch.backends import native
from rnn_from_scratch.layers import bridge
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import KINDS, B, H, I, T, fill, pair, random


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU after"])
def test_low_precision_is_float32_inside(kind, policy, monkeypatch):
    monkeypatch.setattr(backends, "rounds", lambda *_: False)  # as on a machine that has no bfloat16
    layer, _ = pair(kind, dtype=policy, return_sequences=True)
    x = tf.cast(random(B, T, I), layer.compute_dtype)
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, tf.float32))
    gradients = tape.gradient(loss, layer.trainable_weights)
    exact, _ = pair(kind, dtype="float32", return_sequences=True)
    exact.set_weights([w.astype("float32") for w in layer.get_weights()])
    with tf.GradientTape() as tape:
        y32 = exact(tf.cast(x, tf.float32), training=True)
        loss = tf.reduce_sum(y32)
    assert y.dtype == layer.compute_dtype
    assert error(y, tf.cast(y32, y.dtype)) == 0  # the same numbers, rounded once
    for gradient, g32, w in zip(gradients, tape.gradient(loss, exact.trainable_weights), layer.trainable_weights):
        assert gradient.dtype == w.dtype
        assert error(gradient, tf.cast(g32, gradient.dtype)) == 0


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU after", "GRU before"])
def test_mixed_bfloat16_multiplies_in_bfloat16(kind, backend):
    """Products as forward(precision="bfloat16") has them, eagerly and in a graph; weights and gradients stay float32."""
    if not backends.rounds("bfloat16", backend):
        pytest.skip(f"native: {backends.load('native').lacks('bfloat16')}")
    name, more = KINDS[kind]
    layer = getattr(layers, name)(H, dtype="mixed_bfloat16", return_sequences=True, backend=backend, **more)
    layer.build((B, T, I))
    fill(layer)
    x = tf.cast(random(B, T, I), "bfloat16")
    maths, params, x32 = layer.cell.maths, layer.cell.params(), tf.cast(x, tf.float32).numpy()
    wanted, _, made = backends.forward(maths, params, x32, precision="bfloat16", backend=backend)
    plain = backends.forward(maths, params, x32, backend=backend)[0]
    dx = backends.backward(made, np.ones_like(wanted)).x
    assert "products in bfloat16" in layer.explain().reason
    for run in (layer.__call__, tf.function(layer)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = run(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32))
        found, *gradients = tape.gradient(loss, [x, *layer.trainable_weights])
        assert y.dtype == "bfloat16" and all(g.dtype == w.dtype == "float32" for g, w in zip(gradients, layer.trainable_weights))
        assert error(y, tf.cast(wanted, y.dtype)) == 0 < error(tf.cast(plain, tf.float32), wanted)
        assert error(found, tf.cast(dx, found.dtype)) == 0


def test_a_gpu_and_a_cell_without_a_kernel_are_left_in_float32(monkeypatch):
    """The CUDA kernels have no products in bfloat16, nor has NumPy unasked: the policy must not turn such a call into an error."""
    layer = layers.LSTM(H, dtype="mixed_bfloat16")
    monkeypatch.setattr(native, "available", lambda: (True, ""))
    monkeypatch.setattr(native, "lacks", lambda precision: "")
    monkeypatch.setattr(native, "supports", lambda cell: True)
    assert layer.cell.precision == "bfloat16"
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "wants_gpu", lambda backend: True)
        assert layer.cell.precision is None
    monkeypatch.setattr(native, "supports", lambda cell: False)
    assert layer.cell.precision is None
    assert layers.LSTM(H, dtype="mixed_bfloat16", backend="reference").cell.precision == "bfloat16"
