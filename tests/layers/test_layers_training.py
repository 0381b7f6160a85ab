"""Training beside tf.keras for 200 steps, and over two logical devices."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import cells, layers
from rnn_from_scratch.verify.cases import Problem
from rnn_from_scratch.verify.oracles import legacy_peephole

from ..helpers.layer_pairs import KINDS, MASK, I, T, fill, random

pytestmark = pytest.mark.check
STEPS, BATCH, UNITS = 200, 24, 16
TRAINED = {
    "SimpleRNN": {},
    "LSTM": {"recurrent_dropout": 0.2, "dropout": 0.1, "seed": 4},
    "GRU after": {"dropout": 0.2, "seed": 4},
}


def data(dtype):
    return tf.constant(random(BATCH, T, I), dtype), tf.constant(random(BATCH, UNITS, seed=1), dtype)


def curve(call, weights, dtype):
    """The losses of 200 steps of Adam 1e-3 on a small task; call(x) -> [B,H]."""
    x, target = data(dtype)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(weights)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((call(x) - target) ** 2)
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return np.array([step().numpy() for _ in range(STEPS)])


def losses(module, kind, dtype, ulp=0):
    """Masked, with dropout; ulp moves the largest kernel weight by that many units in the last place."""
    name, options = KINDS[kind]
    layer = getattr(module, name)(UNITS, dtype=dtype, **options, **TRAINED[kind])
    layer.build((BATCH, T, I))
    fill(layer)
    kernel = layer.cell.kernel.numpy()
    kernel[np.unravel_index(np.argmax(np.abs(kernel)), kernel.shape)] *= 1 + ulp * np.finfo(dtype).eps
    layer.cell.kernel.assign(kernel)
    mask = tf.constant(np.tile(MASK, (BATCH // len(MASK), 1)))
    return curve(lambda x: layer(x, mask=mask, training=True), layer.trainable_weights, dtype)


@pytest.mark.parametrize("kind", TRAINED)
def test_the_loss_curve_follows_keras(kind):
    ours, theirs = (losses(module, kind, "float64") for module in (layers, keras.layers))
    assert np.max(np.abs(ours - theirs) / theirs) <= 1e-6
    assert ours[-1] < 0.99 * ours[0]
    ours, theirs = (losses(module, kind, "float32") for module in (layers, keras.layers))
    moved = losses(keras.layers, kind, "float32", ulp=1)
    assert np.max(np.abs(ours - theirs)) <= 10 * np.max(np.abs(moved - theirs))


def test_peephole_lstm_follows_the_legacy_cell():
    layer = layers.PeepholeLSTM(UNITS, dtype="float64")
    layer.build((BATCH, T, I))
    fill(layer)
    start = layer.get_weights()
    ours = curve(lambda x: layer(x, training=True), layer.trainable_weights, "float64")
    layer.set_weights(start)
    zero = tf.zeros((BATCH, UNITS), tf.float64)
    problem = Problem(cells.PeepholeLSTM(), dict(zip(("Wx", "Wh", "b", "p"), start)), data("float64")[0].numpy(), {}, None, ())

    def legacy(x):
        weights = dict(zip(("Wx", "Wh", "b", "p"), (tf.convert_to_tensor(w) for w in layer.trainable_weights)))
        y, _ = legacy_peephole.unroll(tf, problem, legacy_peephole.legacy_cell(tf, problem, weights), x, [zero, zero])
        return y[:, -1]

    theirs = curve(legacy, layer.trainable_weights, "float64")
    assert np.max(np.abs(ours - theirs) / theirs) <= 1e-6
    assert ours[-1] < 0.99 * ours[0]


DEVICES = """
import keras, time, numpy as np, tensorflow as tf
from contextlib import nullcontext
from rnn_from_scratch import backends, layers
from rnn_from_scratch.layers import native_op
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x, y = rng.standard_normal((17, 6, 3)).astype("float32"), rng.standard_normal((17, 2)).astype("float32")
two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope

def trained(module, scope, rows):
    with scope():
        keras.utils.set_random_seed(1)
        first = keras.layers.Bidirectional(module.LSTM(5, return_sequences=True))
        model = keras.Sequential([keras.Input((None, 3)), first, module.GRU(4), keras.layers.Dense(2)])
        model.compile("sgd", "mse")
    model.fit(x[:rows], y[:rows], batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model.get_weights()

def difference(a, b):
    return max(np.abs(np.asarray(p) - np.asarray(q)).max() for p, q in zip(a, b))

one = trained(layers, nullcontext, 16)
assert difference(trained(layers, two, 16), one) < 1e-5
assert difference(one, trained(layers, nullcontext, 8)) > 1e-3
# 17 rows: the last batch has one, and one replica gets none
assert difference(trained(layers, two, 17), trained(keras.layers, two, 17)) < 1e-5

# the two replicas are in the kernels at once: a call from Python drops the interpreter's lock
native_op.usable = lambda *_: False
calls, native = [], backends.load("native")
def timed(function):
    def call(*arguments):
        start = time.perf_counter()
        result = function(*arguments)
        calls.append((start, time.perf_counter()))
        return result
    return call
native.forward, native.backward = timed(native.forward), timed(native.backward)
with two():
    model = keras.Sequential([keras.Input((40, 3)), layers.LSTM(160), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
many = np.zeros((256, 40, 3), "float32"), np.zeros((256, 2), "float32")
model.fit(*many, batch_size=64, epochs=2, verbose=0)
calls.sort()
overlaps = sum(later[0] < earlier[1] for earlier, later in zip(calls, calls[1:]))
assert len(calls) == 32 and overlaps >= 8, (len(calls), overlaps)

# a device for each layer, as the book's DeviceCellWrapper gives them out
first, second = layers.LSTM(5, return_sequences=True), layers.GRU(4)

def placed(*devices):
    with tf.GradientTape() as tape:
        with tf.device(devices[0]):
            h = first(x, training=True)
        with tf.device(devices[1]):
            out = second(h, training=True)
    assert [h.device[-5:], out.device[-5:]] == list(devices)
    return [out, *tape.gradient(out, [*first.trainable_weights, *second.trainable_weights])]

assert difference(placed("CPU:0", "CPU:1"), placed("CPU:1", "CPU:1")) == 0
"""


def test_logical_devices_mirrored_and_one_for_each_layer():
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
