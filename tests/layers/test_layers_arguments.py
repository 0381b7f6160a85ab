"""Every constructor argument of the layers beside tf.keras; dropout bit for bit; the single-step cells."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import MASK, B, H, I, T, fill, pair, random, results, some_checked, worst

TWINS = {"SimpleRNN": keras.layers.SimpleRNN, "LSTM": keras.layers.LSTM, "GRU": keras.layers.GRU}
OTHER_VALUES = {
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": False,
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "glorot_normal",
    "bias_initializer": keras.initializers.RandomNormal(seed=4),
    "unit_forget_bias": False,
    "kernel_regularizer": keras.regularizers.L1(0.1),
    "recurrent_regularizer": keras.regularizers.L2(0.2),
    "bias_regularizer": keras.regularizers.L1L2(0.1, 0.3),
    "activity_regularizer": keras.regularizers.L2(0.4),
    "kernel_constraint": keras.constraints.MaxNorm(0.7),
    "recurrent_constraint": keras.constraints.UnitNorm(),
    "bias_constraint": keras.constraints.NonNeg(),
    "dropout": 0.3,
    "recurrent_dropout": 0.4,
    "seed": 11,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "reset_after": False,
    "use_cudnn": False,
}
CASES = [(name, argument) for name, twin in TWINS.items() for argument in inspect.signature(twin).parameters]


def test_every_argument_of_keras_has_another_value_here():
    assert {argument for _, argument in CASES} == {"units", "kwargs", *OTHER_VALUES}


def is_long(name, argument):
    """What Keras' cell does with its weights is the same code in all three layers: one layer shows it quickly."""
    return name != "LSTM" and argument.startswith(("kernel", "recurrent_", "bias")) and argument != "recurrent_dropout"


@pytest.mark.parametrize(
    ("name", "argument"),
    [pytest.param(*c, marks=[pytest.mark.check] * is_long(*c)) for c in CASES if c[1] not in ("units", "kwargs")],
)
def test_argument(name, argument):
    """Config, initial weights, outputs, gradients, losses of regularizers, constraints: as in tf.keras."""
    made = []
    for cls in (getattr(layers, name), TWINS[name]):
        keras.utils.set_random_seed(5)
        layer = cls(H, **{"dtype": "float64", "name": "layer", argument: OTHER_VALUES[argument]})
        layer.build((B, T, I))
        made.append(layer)
    ours, theirs = made
    assert ours.get_config() == {**theirs.get_config(), "backend": "auto"}
    assert all(np.array_equal(a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True))
    fill(theirs)
    ours.set_weights(theirs.get_weights())
    found = results(ours, random(B, T, I), training=True)
    assert worst(found, results(theirs, random(B, T, I), training=True)) <= 1e-12
    losses = [float(tf.add_n(layer.losses)) if layer.losses else 0.0 for layer in made]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert (losses[1] > 0) == (argument.endswith("_regularizer") and (name, argument) != ("SimpleRNN", "activity_regularizer"))
    constraints = [[w.constraint and w.constraint.get_config() for w in layer.weights] for layer in made]
    assert constraints[0] == constraints[1]


def test_arguments_by_position_as_in_keras():
    layer = layers.LSTM(H, "relu", "hard_sigmoid", False)
    assert (layer.units, layer.cell.maths.activation, layer.cell.maths.recurrent_activation) == (H, "relu", "hard_sigmoid")
    assert not layer.use_bias


def test_unroll_and_use_cudnn_change_nothing():
    ours, _ = pair("LSTM")
    for options in ({"unroll": True}, {"use_cudnn": True}):
        layer = layers.LSTM(H, dtype="float64", **options)
        layer.build((B, T, I))
        layer.set_weights(ours.get_weights())
        assert worst(results(layer, random(B, T, I)), results(ours, random(B, T, I))) == 0
    with pytest.raises(ValueError, match="use_cudnn: expected 'auto', True or False, got 3"):
        layers.GRU(H, use_cudnn=3)


@pytest.mark.parametrize("function", [None, "linear", keras.activations.hard_sigmoid, tf.nn.tanh])
def test_activations_by_name_function_or_none(function):
    ours, theirs = pair("GRU after", activation=function)
    assert worst(results(ours, random(B, T, I)), results(theirs, random(B, T, I))) <= 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "gelu", "backend": "native"}, r"activation: gelu is not one of tanh, .*, which backend 'native' has"),
        ({"recurrent_activation": "tanh", "backend": "native"}, r"recurrent_activation: tanh is not one of sigmoid, hard_sigmoid, which"),
        ({"recurrent_activation": None, "backend": "native"}, r"recurrent_activation: linear is not one of sigmoid, hard_sigmoid, which"),
        ({"backend": "gpu"}, r"backend: expected auto or one of .*, got 'gpu'"),
        ({"units": 0}, "`units`, expected a positive integer, got 0"),
        ({"colour": 1}, "Unrecognized keyword arguments .* {'colour': 1}"),
    ],
)
def test_refused_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        layers.LSTM(**{"units": H, **options})


def same_dropout(kind, rates, wrap):
    """The second draw, after an evaluation (where Keras draws as well), is the same too."""
    ours, theirs = pair(kind, dropout=rates[0], recurrent_dropout=rates[1], seed=6, return_sequences=True)
    calls = {ours: wrap(ours), theirs: wrap(theirs)}
    for training, mask in ((True, None), (False, None), (True, MASK)):
        found = [results(layer, random(B, T, I), training=training, call=call, mask=mask) for layer, call in calls.items()]
        assert worst(*found) <= 1e-12
    assert np.array_equal(ours.cell.seed_generator.state, theirs.cell.seed_generator.state)


DROPOUT_KINDS = ["SimpleRNN", "LSTM", "GRU after", "GRU before"]


@pytest.mark.parametrize("rates", [(0.3, 0.0), (0.2, 0.4), (1.0, 0.0)], ids=str)
@pytest.mark.parametrize("kind", DROPOUT_KINDS)
def test_dropout_draws_the_masks_of_keras(kind, rates):
    same_dropout(kind, rates, lambda layer: layer)


@pytest.mark.check
@pytest.mark.parametrize("kind", DROPOUT_KINDS)
def test_dropout_draws_the_masks_of_keras_in_a_graph(kind):
    same_dropout(kind, (0.2, 0.4), tf.function)


def test_peephole_lstm_takes_dropout_too():
    layer = fill_built(layers.PeepholeLSTM(H, dropout=0.3, recurrent_dropout=0.4, seed=6, dtype="float64"))
    _, theirs = pair("LSTM", dropout=0.3, recurrent_dropout=0.4, seed=6)
    layer.set_weights([*theirs.get_weights(), np.zeros((3, H))])
    x = tf.constant(random(B, T, I))
    assert error(layer(x, training=True), theirs(x, training=True)) <= 1e-12


def fill_built(layer):
    layer.build((B, T, I))
    return fill(layer)


def test_peephole_arguments():
    options = {"peephole_regularizer": keras.regularizers.L1(0.5), "peephole_constraint": "non_neg", "dtype": "float64"}
    layer = layers.PeepholeLSTM(H, peephole_initializer="ones", **options)
    layer.build((B, T, I))
    assert np.array_equal(layer.cell.peepholes.numpy(), np.ones((3, H)))
    assert float(layer.losses[0]) == 0.5 * 3 * H
    assert isinstance(layer.cell.peepholes.constraint, keras.constraints.NonNeg)
    again = layers.PeepholeLSTM.from_config(layer.get_config())
    assert isinstance(again.cell.peephole_initializer, keras.initializers.Ones)
    assert again.get_config() == layer.get_config()


CELLS = {
    "LSTMCell": lambda m, **kw: m.LSTMCell(H, **kw),
    "GRUCell": lambda m, **kw: m.GRUCell(H, **kw),
    "SimpleRNNCell": lambda m, **kw: m.SimpleRNNCell(H, **kw),
    "stacked": lambda m, **kw: [m.LSTMCell(H, **kw), m.GRUCell(4, reset_after=False, **kw), m.SimpleRNNCell(3, **kw)],
}


@pytest.mark.parametrize("options", [{}, {"dropout": 0.2, "recurrent_dropout": 0.3, "seed": 8}], ids=["plain", "dropout"])
@pytest.mark.parametrize("cells", some_checked(CELLS, "LSTMCell", "GRUCell", "stacked"))
def test_single_step_cells_in_keras_rnn(cells, options):
    found, cells = [], CELLS[cells]
    for module in (layers, keras.layers):
        layer = fill_built(keras.layers.RNN(cells(module, **options), return_sequences=True, return_state=True))
        x = tf.constant(random(B, T, I, dtype="float32"))
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.nest.flatten(tf.function(layer)(x, mask=tf.constant(MASK), training=True))
            loss = tf.add_n([tf.reduce_sum(o**2) for o in outputs])
        found.append([*outputs, *tape.gradient(loss, [x, *layer.trainable_weights])])
    assert max(error(a, b) for a, b in zip(*found, strict=True)) <= 5e-6


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "linear", "hard_sigmoid"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "PeepholeLSTM", "CoupledLSTM"])
def test_a_step_of_an_unknown_batch_has_the_gradients_of_the_layer(name, activation):
    """There the cell's own backward runs on tensors; the layer runs on the kernels."""
    options = {"activation": activation, "recurrent_activation": "hard_sigmoid" if activation == "relu" else "sigmoid", "dtype": "float64"}
    whole = fill_built(getattr(layers, name)(H, return_sequences=True, return_state=True, **options))
    cell = getattr(layers, f"{name}Cell")(H, **options)
    steps = fill_built(keras.layers.RNN(cell, return_sequences=True, return_state=True, dtype="float64"))
    n = len(whole.state_size)
    sizes = [tf.TensorSpec((None, T, I), tf.float64), [tf.TensorSpec((None, H), tf.float64)] * n]
    graph = tf.function(lambda x, states: steps(x, initial_state=states, mask=MASK, training=True), input_signature=sizes)
    found = results(steps, random(B, T, I), call=lambda x, initial_state, training: graph(x, initial_state))
    assert worst(found, results(whole, random(B, T, I), mask=MASK, training=True)) <= 1e-12


def test_a_cell_takes_its_state_bare_or_in_a_list():
    x, h = tf.constant(random(B, I, dtype="float32")), tf.constant(random(B, H, dtype="float32"))
    for name in ("SimpleRNNCell", "GRUCell"):
        ours, theirs = (fill_cell(getattr(module, name)(H)) for module in (layers, keras.layers))
        for states in (h, [h]):
            found, expected = ours(x, states), theirs(x, states)
            assert keras.tree.is_nested(found[1]) == keras.tree.is_nested(expected[1]) == isinstance(states, list)
            assert max(error(a, b) for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True)) <= 2e-6


def fill_cell(cell):
    cell.build((B, I))
    return fill(cell)


def test_cell_config_round_trip_and_peephole_cell_steps():
    cell = layers.PeepholeLSTMCell(H, peephole_initializer="ones", backend="reference", dtype="float64")
    again = layers.PeepholeLSTMCell.from_config(cell.get_config())
    assert (again.get_config(), again.backend) == (cell.get_config(), "reference")
    whole = fill_built(layers.PeepholeLSTM(H, dtype="float64"))
    steps = fill_built(keras.layers.RNN(cell, dtype="float64"))
    steps.set_weights(whole.get_weights())
    assert worst(results(steps, random(B, T, I)), results(whole, random(B, T, I))) <= 1e-12
