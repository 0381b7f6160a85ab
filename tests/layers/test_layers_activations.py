"""Activations that the kernels do not have: the same layer, in TensorFlow's own operations; beside tf.keras and the NumPy cells."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, cells, interop, layers, params
from rnn_from_scratch.cells.activations import Activation
from rnn_from_scratch.layers import slow_path
from rnn_from_scratch.layers.recurrent import LAYERS
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import MASK, B, H, I, T, fill, initial_states, pair, random, results, some_checked, worst

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*which takes longer:RuntimeWarning"),
]


@keras.saving.register_keras_serializable("tests")
def bent(a):
    return a + 0.3 * tf.sin(a)


FUNCTIONS = ["swish", "gelu", "leaky_relu", "elu", "softsign", "softmax", bent, keras.layers.LeakyReLU(0.2, dtype="float64")]
NAMES = ["swish", "gelu", "leaky_relu", "elu", "softsign", "softmax", "registered", "layer"]
DETAILS = {
    "last": ({}, None),
    "sequences, masked, dropout": (
        {"return_sequences": True, "return_state": True, "dropout": 0.2, "recurrent_dropout": 0.3, "seed": 4},
        MASK,
    ),
    "sequences, zeroed, reversed": ({"return_sequences": True, "zero_output_for_mask": True, "go_backwards": True}, MASK),
}


@pytest.mark.parametrize(("options", "mask"), DETAILS.values(), ids=DETAILS)
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU after", "GRU before"])
def test_every_layer_equals_keras(kind, options, mask):
    gates = {} if kind == "SimpleRNN" else {"recurrent_activation": "softsign"}
    ours, theirs = pair(kind, activation="swish", **gates, **options)
    found = [results(layer, random(B, T, I), training=True, mask=mask) for layer in (ours, theirs)]
    assert worst(*found) <= 1e-12


@pytest.mark.parametrize("function", some_checked(FUNCTIONS, "elu", "leaky_relu"), ids=NAMES)
def test_every_function_equals_keras(function):
    for argument in ("activation", "recurrent_activation"):
        ours, theirs = pair("GRU before", **{argument: function})
        assert worst(results(ours, random(B, T, I)), results(theirs, random(B, T, I))) <= 1e-12


# with derivatives written in the output, as the NumPy cells want them
ELU = Activation(lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))), lambda y: np.where(y > 0, 1, y + 1))
SOFTSIGN = Activation(lambda a: a / (1 + np.abs(a)), lambda y: (1 - np.abs(y)) ** 2)


@pytest.mark.parametrize("kind", list(LAYERS), ids=[cell.__name__ for cell in LAYERS])
def test_every_layer_equals_the_numpy_cell_with_that_activation(kind):
    gated = hasattr(kind(), "recurrent_activation")
    names = {"activation": "elu", **({"recurrent_activation": "softsign"} if gated else {})}
    layer = LAYERS[kind](H, dtype="float64", return_sequences=True, return_state=True, **names)
    layer.build((B, T, I))
    found = results(fill(layer), random(B, T, I), mask=MASK)
    cell = kind(activation=ELU, **({"recurrent_activation": SOFTSIGN} if gated else {}))
    states = tuple(s.numpy() for s in initial_states(layer))
    y, state, tape = backends.forward(cell, layer.cell.params(), random(B, T, I), states, mask=MASK)
    grads = backends.backward(tape, random(*y.shape, seed=7), tuple(random(B, H, seed=8 + n) for n in range(len(state))))
    expected = {"output 0": y, **{f"output {n + 1}": s for n, s in enumerate(state)}, "dx": grads.x}
    expected.update({f"ds{n}": d for n, d in enumerate(grads.initial_state)})
    weights = {f"d{w.path.split('/')[-1]}": w for w in layer.trainable_weights}
    expected.update(zip(weights, grads.params.values() if cell.shared else joined(grads.params)))
    assert worst(found, expected) <= 1e-12


def joined(p):
    """The gradients of GRU reset after, its biases in one array as Keras has them."""
    return [p["Wx"], p["Wh"], np.stack([p["bx"], p["bh"]])]


def test_numpy_cells_take_an_activation_without_a_name():
    cell, x = cells.LSTM(activation=ELU), random(2, 3, I)
    p = params.init_params(cell, I, H, dtype="float64")
    assert backends.choose(cell, p, x).name == "reference"
    assert backends.forward(cell, p, x)[0].shape == (2, 3, H)
    for backend in ("native", "emulated"):
        if backends.available()[backend][0]:
            with pytest.raises(ValueError, match="activation"):
                backends.forward(cell, p, x, backend=backend)
    with pytest.raises(ValueError, match="activation: expected one of tanh, .* for LSTM, got <ufunc"):
        cells.LSTM(activation=np.tanh)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.2, "recurrent_dropout": 0.3, "seed": 8}], ids=["plain", "dropout"])
@pytest.mark.parametrize("function", ["gelu", bent], ids=["gelu", "registered"])
def test_single_step_cells(function, options):
    found = []
    for module in (layers, keras.layers):
        cell = {"activation": function, "dtype": "float64", **options}
        stack = [module.LSTMCell(H, recurrent_activation="elu", **cell), module.GRUCell(4, **cell), module.SimpleRNNCell(3, **cell)]
        layer = keras.layers.RNN(module.StackedRNNCells(stack, dtype="float64"), return_sequences=True, dtype="float64")
        layer.build((B, T, I))
        fill(layer)
        x = tf.constant(random(B, T, I))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, mask=MASK, training=True)
        found.append([y, *tape.gradient(y, [x, *layer.trainable_weights])])
    assert max(error(a, b) for a, b in zip(*found, strict=True)) <= 1e-12


def test_rnn_over_such_a_cell_takes_keras_loop():
    found = []
    for module in (layers, keras.layers):
        layer = module.RNN([module.LSTMCell(H, activation="swish"), module.GRUCell(4)])
        layer.build((B, T, I))
        found.append(fill(layer)(random(B, T, I, dtype="float32")))
    assert error(*found) <= 2e-6


@pytest.mark.check
def test_fit_saving_and_loading(tmp_path):
    keras.utils.set_random_seed(0)
    first, second = layers.LSTM(H, activation=bent, return_sequences=True), layers.GRU(4, activation="swish")
    model = keras.Sequential([keras.Input((None, I)), first, second, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse")
    x = random(20, T, I, dtype="float32")
    history = model.fit(x, x[:, :, 0].sum(1), batch_size=8, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [layer.get_config() for layer in again.layers] == [layer.get_config() for layer in model.layers]
    twin = keras.layers.LSTM(H, activation=bent, return_sequences=True, name=first.name)
    assert first.get_config() == {**twin.get_config(), "backend": "auto"}
    assert error(layers.to_keras(model).predict(x, verbose=0), model.predict(x, verbose=0)) <= 2e-6


def test_second_order_gradients_are_tensorflows():
    found = []
    for layer in pair("LSTM", activation="swish"):
        x = tf.constant(random(B, T, I))
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(layer(x) ** 2)
            g = tf.reduce_sum(inner.gradient(y, x) ** 2)
        found.append(outer.gradient(g, x))
    assert error(*found) <= 1e-12


def test_explain_and_one_warning_say_so():
    slow_path.warn_once.cache_clear()
    layer, x = layers.LSTM(H, activation="swish"), random(B, T, I, dtype="float32")
    known = "tanh, relu, sigmoid, linear, hard_sigmoid"
    told = f"activation: silu is not one of {known}, which the kernels have; TensorFlow's operations run the cell step by step"
    with pytest.warns(RuntimeWarning, match=f"^LSTM: {told}, which takes longer$"):
        layer(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.LSTM(H, activation="swish")(x, training=True)
    assert layer.explain() == ("tensorflow", told, None)


def test_a_backend_asked_for_by_name_refuses():
    message = r"activation: gelu is not one of tanh, .*, which backend 'native' has; without backend= TensorFlow's operations run it"
    with pytest.raises(ValueError, match=message):
        layers.LSTM(H, activation="gelu", backend="native")
    with pytest.raises(ValueError, match="recurrent_activation: tanh is not one of sigmoid, hard_sigmoid, which backend 'reference' has"):
        layers.GRUCell(H, recurrent_activation="tanh", backend="reference")


def test_onnx_refuses_by_name(tmp_path):
    model = keras.Sequential([keras.Input((T, I)), layers.LSTM(H, activation="gelu", name="first")])
    with pytest.raises(ValueError, match="first.*activation: gelu is not one of tanh"):
        interop.model_to_onnx(model, tmp_path / "model.onnx")


HIDDEN = """
import warnings
from pathlib import Path
from rnn_from_scratch.backends.native import loader
loader.path = lambda level: Path("/nowhere") / f"native-{level}.so"
loader.build_log = lambda level: "The compiler said: g++: command not found\\nand much more"
import keras, numpy as np
from rnn_from_scratch import layers
x = np.zeros((4, 3, 2), "float32")

def caught(act):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        act()
    return [str(w.message) for w in said if w.category is RuntimeWarning]

model = keras.Sequential([keras.Input((None, 2)), layers.LSTM(3, return_sequences=True), layers.GRU(2)])
model.compile("sgd", "mse")
print(caught(lambda: model.predict(x, verbose=0)))
print(caught(lambda: layers.LSTM(3, backend="reference")(x, training=True)))
print(caught(lambda: model.fit(x, x[:, 0], verbose=0)))
print(caught(lambda: layers.LSTM(3)(x, training=True)))
"""


@pytest.mark.check
def test_without_the_library_the_first_training_call_warns_once():
    done = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True, timeout=300)
    inference, asked, training, again = map(eval, done.stdout.splitlines()) if done.returncode == 0 else [done.stderr] * 4
    assert (inference, asked, again) == ([], [], [])
    (message,) = training
    assert message == (
        "Layers train on NumPy, which takes longer, since there are no native kernels here: it was not built. "
        "The compiler said: g++: command not found. "
        "Install g++ or clang, then this package again; `rnn-from-scratch doctor` shows all that the compiler said. "
        "backend='reference' asks for NumPy without this warning"
    )
