"""The layers beside tf.keras: outputs, states, gradients, saving, fit, and every way to call them."""

import itertools
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, layers
from rnn_from_scratch.layers.recurrent import LAYERS
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import KINDS, MASK, B, H, I, T, fill, float32_budget, initial_states, pair, random, results, some_checked, worst

# Keras 3.15 saves with np.array(variable), whose __array__ NumPy 2 finds old-fashioned; tf.keras' own layers warn alike
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

NAMES = [layer.__name__ for layer in LAYERS.values()]
OPTIONS = {
    "last": ({}, None),
    "last, masked": ({"return_state": True}, MASK),
    "last, zeroed": ({"zero_output_for_mask": True}, MASK),
    "sequences, reversed": ({"return_sequences": True, "return_state": True, "go_backwards": True}, None),
    "sequences, masked": ({"return_sequences": True, "return_state": True}, MASK),
    "sequences, zeroed, reversed": ({"return_sequences": True, "zero_output_for_mask": True, "go_backwards": True}, MASK),
}
FLAGS = ("return_sequences", "return_state", "zero_output_for_mask", "go_backwards")


@pytest.mark.parametrize(("options", "mask"), OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", some_checked(KINDS, "SimpleRNN relu", "LSTM hard", "GRU after, no bias"))
def test_float64_equals_keras(kind, options, mask):
    ours, theirs = pair(kind, **options)
    assert worst(results(ours, random(B, T, I), mask=mask), results(theirs, random(B, T, I), mask=mask)) <= 1e-12


@pytest.mark.check
@pytest.mark.parametrize("mask", [None, MASK], ids=["live", "masked"])
@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=len(FLAGS))), ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_float64_equals_keras_with_every_flag(kind, flags, mask):
    test_float64_equals_keras(kind, dict(zip(FLAGS, flags)), mask)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU after", "GRU before"])
def test_float32_is_as_good_as_keras(kind):
    x, options = random(B, 30, I), {"return_sequences": True, "return_state": True}
    exact = results(pair(kind, **options)[1], x)
    ours, theirs = (results(layer, x) for layer in pair(kind, dtype="float32", **options))
    for name, budget in float32_budget(theirs, exact).items():
        assert error(ours[name], exact[name]) <= budget, name


def peephole(**options):
    layer = layers.PeepholeLSTM(H, dtype="float64", **options)
    layer.build((B, T, I))
    return fill(layer)


@pytest.mark.parametrize("mask", [None, MASK], ids=["live", "masked"])
def test_peephole_lstm_is_the_cell(mask):
    layer = peephole(return_sequences=True, return_state=True)
    found = results(layer, random(B, T, I), mask=mask)
    Wx, Wh, b, p = layer.get_weights()
    states = tuple(s.numpy() for s in initial_states(layer))
    y, state, tape = backends.forward(layer.cell.maths, {"Wx": Wx, "Wh": Wh, "b": b, "p": p}, random(B, T, I), states, mask=mask)
    grads = backends.backward(tape, random(*y.shape, seed=7), tuple(random(B, H, seed=8 + i) for i in range(2)))
    expected = {"output 0": y, "output 1": state[0], "output 2": state[1], "dx": grads.x}
    expected.update(ds0=grads.initial_state[0], ds1=grads.initial_state[1])
    expected.update(zip(["dkernel", "drecurrent_kernel", "dbias", "dpeepholes"], grads.params.values()))
    assert worst(found, expected) == 0


def test_peephole_lstm_without_peepholes_is_an_lstm():
    layer, (_, theirs) = peephole(), pair("LSTM")
    layer.set_weights([*theirs.get_weights(), np.zeros((3, H))])
    found = results(layer, random(B, T, I))
    assert error(found.pop("dpeepholes"), np.zeros((3, H))) == np.inf  # the gradient is there even where the weight is 0
    assert worst(found, results(theirs, random(B, T, I))) <= 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_in_keras_layout(kind):
    ours, theirs = pair(kind, name="layer")
    assert [(w.path, w.shape, w.dtype) for w in ours.weights] == [(w.path, w.shape, w.dtype) for w in theirs.weights]
    theirs.set_weights(fill(ours, seed=9).get_weights())
    x = tf.constant(random(B, T, I))
    assert error(ours(x), theirs(x)) <= 1e-12


def test_peepholes_come_last_and_start_as_glorot_vectors():
    layer = layers.PeepholeLSTM(50)
    layer.build((None, None, I))
    assert [w.path.split("/")[-1] for w in layer.weights] == ["kernel", "recurrent_kernel", "bias", "peepholes"]
    peepholes = layer.cell.peepholes.numpy()
    assert peepholes.shape == (3, 50)
    limit = np.sqrt(6 / (50 + 50))
    assert 0.9 * limit < np.abs(peepholes).max() <= limit
    assert len({tuple(row) for row in peepholes}) == 3


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU after"])
def test_the_same_global_seed_gives_the_same_initial_weights(kind):
    name, options = KINDS[kind]
    found = []
    for module in (layers, keras.layers):
        keras.utils.set_random_seed(3)
        layer = getattr(module, name)(H, **options)
        layer.build((None, None, I))
        found.append(layer.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_config_round_trip(name):
    flags = {"return_sequences": True, "return_state": True, "go_backwards": True}
    layer = getattr(layers, name)(H, activation="relu", use_bias=False, backend="reference", name="r", **flags)
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert again.backend == "reference"
    assert (again.cell.maths, again.units) == (layer.cell.maths, H)


@pytest.mark.parametrize("kind", KINDS)
def test_config_is_keras_config_and_backend(kind):
    ours, theirs = pair(kind, name="layer")
    assert ours.get_config() == {**theirs.get_config(), "backend": "auto"}


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch(name):
    layer = getattr(layers, name)(H, return_sequences=True, return_state=True)
    found = results(layer, np.zeros((0, T, I)), mask=np.zeros((0, T), bool))
    assert found["output 0"].shape == (0, T, H)
    assert found["output 1"].shape == (0, H)
    assert found["dx"].shape == (0, T, I)
    assert found["dkernel"].shape == layer.cell.kernel.shape
    assert not any(value.any() for value in found.values())


def model_of(module, name, **options):
    return keras.Sequential([keras.Input((None, I)), getattr(module, name)(H, **options), keras.layers.Dense(2)])


def test_tf_function_with_dynamic_shapes_equals_eager():
    layer = fill(pair("LSTM", return_sequences=True)[0])
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, None, I), tf.float64), tf.TensorSpec((None, None), tf.bool)])
    def call(x, mask):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, mask=mask, training=True)
        assert y.shape.as_list() == [None, None, H]
        return y, tape.gradient(y, [x, *layer.trainable_weights])

    for batch, steps in ((B, T), (2, 3), (0, 5)):
        x, mask = tf.constant(random(batch, steps, I)), tf.constant(MASK[:batch, :steps])
        y, gradients = call(x, mask)
        with tf.GradientTape() as tape:
            tape.watch(x)
            expected = layer(x, mask=mask)
        assert error(y, expected) == 0
        assert all(error(a, b) == 0 for a, b in zip(gradients, tape.gradient(expected, [x, *layer.trainable_weights])))
    assert len(traces) == 1


@pytest.mark.parametrize("training", [False, True])
def test_a_tape_outside_of_the_graph_gets_every_gradient(training):
    ours, theirs = pair("LSTM", return_sequences=True, return_state=True)
    x = random(B, T, I)
    assert worst(results(ours, x, training=training, call=tf.function(ours)), results(theirs, x)) <= 1e-12


def test_persistent_tape_can_be_asked_twice():
    layer, _ = pair("GRU after")
    x = tf.constant(random(B, T, I))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, training=True) ** 2)
    first, second = (tape.gradient(loss, [x, *layer.trainable_weights]) for _ in range(2))
    assert all(error(a, b) == 0 for a, b in zip(first, second))


def test_functional_model_with_states_from_an_encoder():
    x, start = keras.Input((None, I)), keras.Input((2,))
    encoder = keras.layers.Dense(H, name="to_state")(start)
    found = {}
    for module in (layers, keras.layers):
        keras.utils.set_random_seed(1)
        y, h, c = module.LSTM(H, return_sequences=True, return_state=True, name="first")(x, initial_state=[encoder, encoder])
        z = module.GRU(H, name="second")(y, initial_state=h + c)
        found[module] = fill(keras.Model([x, start], z))
    ours, theirs = found.values()
    data = [random(B, T, I, dtype="float32"), random(B, 2, dtype="float32")]
    assert error(ours.predict(data, verbose=0), theirs.predict(data, verbose=0)) <= 2e-6


def digits(count=96):
    """A small task: does the sequence have more positive than negative first features?"""
    x = random(count, T, I, dtype="float32")
    return x, (x[:, :, 0].sum(1) > 0).astype("int32")


@pytest.mark.parametrize("name", some_checked(NAMES, "SimpleRNN", "LSTM", "GRU"))
def test_fit_lowers_the_loss(name):
    keras.utils.set_random_seed(0)
    model = model_of(layers, name)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.learning_rate = 0.02
    x, labels = digits()
    before = model.evaluate(x, labels, verbose=0)[0]
    model.fit(x, labels, batch_size=40, epochs=4, verbose=0)  # the last batch of 16 has another shape
    assert model.evaluate(x, labels, verbose=0)[0] < 0.8 * before
    assert model.predict(x[:, :4], verbose=0).shape == (len(x), 2)


LOAD = """
import keras, numpy as np, rnn_from_scratch.layers
io = np.load("io.npz")
assert np.array_equal(keras.models.load_model("model.keras").predict(io["x"], verbose=0), io["y"])
"""


@pytest.mark.check
def test_a_saved_model_gives_the_same_bits_here_and_in_a_new_process(tmp_path):
    every = [getattr(layers, name)(H + i, return_sequences=True) for i, name in enumerate(NAMES)]
    model = keras.Sequential([keras.Input((None, I)), *every])
    x = random(B, T, I, dtype="float32")
    y = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "io.npz", x=x, y=y)
    assert np.array_equal(keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0), y)
    done = subprocess.run([sys.executable, "-c", LOAD], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
