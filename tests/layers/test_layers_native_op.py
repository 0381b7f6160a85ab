"""RnnCall, the native backend as a TensorFlow op: the bits of the call through Python, its errors, its threads."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.layers import native_op

from ..helpers.layer_pairs import MASK, B, H, I, T, fill, random

KINDS = {
    "SimpleRNN": (layers.SimpleRNN, {}),
    "SimpleRNN masked": (layers.SimpleRNN, {"activation": "relu", "use_bias": False}),
    "LSTM": (layers.LSTM, {"return_sequences": True}),
    "LSTM masked, dropout": (layers.LSTM, {"dropout": 0.3, "recurrent_dropout": 0.4, "dtype": "float64"}),
    "GRU after": (layers.GRU, {"go_backwards": True}),
    "GRU after masked, no training": (layers.GRU, {"return_sequences": True, "zero_output_for_mask": True}),
    "GRU before, dropout": (layers.GRU, {"reset_after": False, "recurrent_dropout": 0.4}),
    "PeepholeLSTM masked": (layers.PeepholeLSTM, {"return_sequences": True, "go_backwards": True}),
}


def in_a_graph(layer, x, states, mask, training):
    """Outputs and all gradients of a layer in a tf.function that does not know B and T, and the names of the graph's ops."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, I), x.dtype), *[tf.TensorSpec((None, H), x.dtype)] * len(states)])
    def step(x, *states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs = layer(x, initial_state=list(states), mask=mask, training=training)
            loss = tf.add_n([tf.reduce_sum(tf.sin((i + 1.0) * output)) for i, output in enumerate(outputs)])
        return *outputs, *tape.gradient(loss, [x, *states, *layer.trainable_variables])

    return step(x, *states), {node.op for node in step.get_concrete_function().graph.as_graph_def().node}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [B, 0])
def test_the_same_bits_as_through_python(monkeypatch, kind, rows):
    cls, options = KINDS[kind]
    found = []
    for usable in (native_op.usable, lambda *_: False):
        monkeypatch.setattr(native_op, "usable", usable)
        keras.utils.set_random_seed(0)
        layer = cls(H, return_state=True, seed=3, **options)
        layer.build((B, T, I))
        fill(layer)
        dtype = options.get("dtype", "float32")
        states = [random(rows, H, seed=5 + i, dtype=dtype) for i in range(len(layer.cell.maths.states))]
        mask = tf.constant(MASK[:rows]) if "masked" in kind else None
        found.append(in_a_graph(layer, random(rows, T, I, dtype=dtype), states, mask, "no training" not in kind))
    (ours, ops), (theirs, others) = found
    assert "RnnCall" in ops and "PyFuncStateless" not in ops
    assert "RnnCall" not in others and "PyFuncStateless" in others
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.shape == b.shape and np.array_equal(a, b)
    assert any(np.any(a) for a in ours) or not rows


def test_wrong_shapes_are_named():
    layer = layers.LSTM(H)
    layer.build((B, T, I))
    shapes = tf.TensorSpec((None, None, I)), tf.TensorSpec((None, None)), tf.TensorSpec((None, None))
    run = tf.function(lambda x, h, c: layer(x, initial_state=[h, c]), input_signature=shapes)
    x, h = tf.zeros((B, T, I)), tf.zeros((B, H))
    assert run(x, h, h).shape == (B, H)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"c0: expected \[{B}, {H}\], got \[{B}, {H - 1}\]"):
        run(x, h, h[:, 1:])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"h0: expected"):
        run(x, h[1:], h)
    with pytest.raises(tf.errors.InvalidArgumentError, match="T of at least 1"):
        run(x[:, :0], h, h)


def test_without_the_c_functions_a_warning_says_so(monkeypatch):
    monkeypatch.setattr(native_op, "FUNCTIONS", [*native_op.FUNCTIONS, "NoSuchFunction"])
    with pytest.warns(UserWarning, match="through Python, which takes longer: TensorFlow .*TF_NoSuchFunction"):
        assert not native_op.registered.__wrapped__()


THREADS = """
import os, tensorflow as tf
from rnn_from_scratch import backends, layers
layer = layers.LSTM(64)
run, x = tf.function(layer), tf.ones((64, 20, 32))
def threads(count):
    backends.set_num_threads(count)
    before = len(os.listdir("/proc/self/task"))
    run(x), run(x)
    return len(os.listdir("/proc/self/task")) - before
threads(1)
print(threads(1), threads(4), threads(2))
"""


@pytest.mark.check
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_the_number_of_threads_is_that_of_the_moment():
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["0", "3", "0"], done.stderr
