"""Gradients of gradients through the layers: beside tf.keras, in every way that TensorFlow takes them; third order is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS, problem
from rnn_from_scratch.verify.oracles import autodiff

from ..helpers.layer_pairs import KINDS, MASK, B, H, I, T, fill, initial_states, pair, random, some_checked

OPTIONS = {
    "last": ({}, None),
    "masked": ({"return_sequences": True, "return_state": True}, MASK),
    "reversed, zeroed": ({"return_sequences": True, "go_backwards": True, "zero_output_for_mask": True}, MASK),
    "dropout": ({"dropout": 0.2, "recurrent_dropout": 0.3, "seed": 4, "return_sequences": True}, MASK),
}
DTYPE = "float64"


def penalty(gradients):
    """A number that depends on every gradient, and not only linearly."""
    return tf.add_n([tf.reduce_sum(tf.sin(g) * g) for g in gradients if g is not None])


def second_order(layer, x, mask=None, states=None, persistent=False):
    """The gradients of a penalty on the gradients of a loss, by x, the initial states and the weights."""
    x, states = tf.convert_to_tensor(x), states or []
    with tf.GradientTape(persistent=persistent) as outer:
        outer.watch([x, *states])
        with tf.GradientTape(persistent=persistent) as inner:
            inner.watch([x, *states])
            options = {"initial_state": states} if states else {}
            outputs = layer(x, mask=None if mask is None else tf.convert_to_tensor(mask), training=True, **options)
            loss = tf.add_n([tf.reduce_sum(tf.sin(y) * y) for y in tf.nest.flatten(outputs)])
        sources = [x, *states, *(w.value for w in layer.trainable_weights)]
        gradients = [inner.gradient(loss, s) for s in sources] if persistent else inner.gradient(loss, sources)
        total = penalty(gradients)
    return [outer.gradient(total, s) for s in sources] if persistent else outer.gradient(total, sources)


def assert_same(ours, theirs, budget=1e-11):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert error(a.numpy(), b.numpy()) <= budget


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_beside_tf_keras(kind, option):
    options, mask = OPTIONS[option]
    ours, theirs = pair(kind, **options)
    x, states = random(B, T, I), initial_states(ours)
    assert_same(second_order(ours, x, mask, states), second_order(theirs, x, mask, states))


@pytest.mark.parametrize("kind", some_checked(KINDS, "SimpleRNN relu", "LSTM hard", "GRU after, no bias"))
def test_in_a_graph_and_with_the_tapes_outside_of_it(kind):
    ours, theirs = pair(kind, return_sequences=True)
    x = random(B, T, I)
    truth = second_order(theirs, x, MASK)
    assert_same(tf.function(second_order)(ours, x, MASK), truth)
    assert_same(second_order(Graph(ours), x, MASK), truth)


class Graph:
    """A layer whose call is a graph: tapes stay outside of it."""

    def __init__(self, layer):
        self.trainable_weights, self.call = layer.trainable_weights, tf.function(layer)

    def __call__(self, *args, **options):
        return self.call(*args, **options)


def test_persistent_tapes():
    ours, theirs = pair("LSTM")
    x = random(B, T, I)
    assert_same(second_order(ours, x, persistent=True), second_order(theirs, x))


@pytest.mark.parametrize("name", ["PeepholeLSTM", "CoupledLSTM"])
def test_cells_that_tf_keras_does_not_have(name):
    p = problem(CELLS[name], "any mask", sizes=(B, T, I, H))
    layer = getattr(layers, name)(H, return_sequences=True, return_state=True, dtype=DTYPE)
    layer.build((B, T, I))
    layer.set_weights(list(p.params.values()))
    x, states = np.nan_to_num(p.x), [tf.constant(s) for s in p.options["initial_state"]]

    class Unrolled:
        def __init__(self):
            self.trainable_weights = [keras.Variable(a, dtype=DTYPE) for a in p.params.values()]

        def __call__(self, x, mask, training, initial_state):
            params = {name: tf.convert_to_tensor(w.value) for name, w in zip(p.params, self.trainable_weights)}
            y, state = autodiff.unroll(tf, p, params, x, initial_state)
            return [y, *state]

    mask = p.options["mask"]
    assert_same(second_order(layer, x, mask, states), second_order(Unrolled(), x, mask, states))


def stack(module):
    x = keras.Input((T, I), dtype=DTYPE)
    y = keras.layers.Masking(dtype=DTYPE)(x)
    y = keras.layers.Bidirectional(module.LSTM(4, return_sequences=True, dropout=0.1, seed=3, dtype=DTYPE), dtype=DTYPE)(y)
    cells = [module.GRUCell(3, dtype=DTYPE), module.SimpleRNNCell(4, recurrent_dropout=0.2, seed=5, dtype=DTYPE)]
    return fill(keras.Model(x, module.RNN(module.StackedRNNCells(cells, dtype=DTYPE), dtype=DTYPE)(y)))


class Whole:
    """A model called as second_order calls a layer."""

    def __init__(self, model):
        self.model, self.trainable_weights = model, model.trainable_weights

    def __call__(self, x, mask, training):
        return self.model(x, training=training)


def test_bidirectional_and_stacked_cells_under_masks_and_dropout():
    x = np.where(MASK[:, :, None], random(B, T, I), 0)
    ours, theirs = (second_order(Whole(stack(module)), x) for module in (layers, keras.layers))
    assert_same(ours, theirs)


class Smooth(keras.Model):
    """Trains with a penalty on the gradient of its output by its input."""

    def train_step(self, data):
        x, target = (tf.cast(part, DTYPE) for part in data)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = self(x, training=True)
            slope = inner.gradient(y, x)
            loss = tf.reduce_mean((y - target) ** 2) + 0.1 * tf.reduce_mean(tf.reduce_sum(slope**2, axis=(1, 2)))
        self.optimizer.apply_gradients(zip(outer.gradient(loss, self.trainable_weights), self.trainable_weights))
        return {"loss": loss}


@pytest.mark.check
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_fit_with_a_gradient_penalty(name):
    losses, weights = [], []
    for module in (layers, keras.layers):
        x = keras.Input((T, I), dtype=DTYPE)
        recurrent = getattr(module, name)(H, return_sequences=True, dtype=DTYPE)
        y = keras.layers.Dense(1, dtype=DTYPE)(getattr(module, name)(4, dtype=DTYPE)(recurrent(x)))
        model = fill(Smooth(x, y))
        model.compile(keras.optimizers.Adam(0.01))
        losses.append(model.fit(random(12, T, I), random(12, 1), batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"])
        weights.append(model.get_weights())
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)
    assert max(error(a, b) for a, b in zip(*weights)) <= 1e-9


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_third_order_says_that_there_is_none(graph):
    ours, _ = pair("GRU after")

    def third(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = second_order(ours, x)
            loss = penalty(found)
        return tape.gradient(loss, x)

    with pytest.raises(NotImplementedError, match=r"third-order gradients: these layers have .*to_keras\(model\) returns"):
        (tf.function(third) if graph else third)(tf.constant(random(B, T, I)))


@pytest.mark.parametrize("backend", ["reference", "emulated"])
def test_a_backend_asked_for_by_name_is_taken(backend):
    ours, theirs = pair("LSTM", dtype="float64")
    named = layers.LSTM(H, dtype="float64", backend=backend)
    named.build((B, T, I))
    named.set_weights(ours.get_weights())
    x = random(B, T, I)
    assert_same(second_order(named, x), second_order(theirs, x))
