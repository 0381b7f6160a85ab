"""What the layers refuse, and that the message says what to do; to_keras, the way out; explain."""

import re
import subprocess
import sys
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, cells, layers
from rnn_from_scratch.data import InputError
from rnn_from_scratch.layers.recurrent import LAYERS, layer_for
from rnn_from_scratch.measure import error
from rnn_from_scratch.tasks import models

from ..helpers.layer_pairs import B, H, I, T, fill, pair, random

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def deep_model():
    x = keras.Input((None, I))
    y = keras.layers.Bidirectional(layers.LSTM(H, return_sequences=True, dropout=0.2))(keras.layers.Masking()(x))
    y = keras.layers.RNN([layers.GRUCell(4), layers.LSTMCell(3), layers.SimpleRNNCell(2)], return_sequences=True)(y)
    return fill(keras.Model(x, layers.SimpleRNN(3)(layers.GRU(4, reset_after=False, return_sequences=True)(y))))


def test_to_keras_has_the_same_weights_and_outputs():
    model = deep_model()
    model.compile("sgd", "mse")
    twin = layers.to_keras(model)
    ours, theirs = (flat_classes(m) for m in (model, twin))
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    assert any(module.startswith("rnn_from_scratch") for _, module in ours)
    assert all(module.startswith("keras.") for _, module in theirs)
    x = random(B, T, I, dtype="float32")
    assert error(twin(x), model(x)) <= 2e-6
    layer = fill(pair("LSTM", dtype="float32")[0])
    assert error(layers.to_keras(layer)(x), layer(x)) <= 2e-6


def test_to_keras_is_the_way_to_a_savedmodel(tmp_path):
    model = keras.Sequential([keras.Input((T, I)), layers.SimpleRNN(H)])
    layers.to_keras(model).export(tmp_path / "exported", verbose=False)
    x = random(B, T, I, dtype="float32")
    assert error(tf.saved_model.load(tmp_path / "exported").serve(x), model(x)) <= 2e-6


def flat_classes(model):
    found = [(type(layer).__name__, type(layer).__module__) for layer in model._flatten_layers(include_self=False)]
    return sorted(found)


def test_to_keras_says_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"to_keras: PeepholeLSTM has no tf.keras twin"):
        layers.to_keras(keras.Sequential([keras.Input((None, I)), layers.PeepholeLSTM(H)]))
    with pytest.raises(ValueError, match="to_keras: expected a built model, got 'early' without weights; call it once on data"):
        layers.to_keras(keras.Sequential([layers.LSTM(H)], name="early"))


def module_around(layer):
    module = tf.Module()
    module.layer, module.call = layer, tf.function(layer, input_signature=[tf.TensorSpec((None, T, I))])
    return module


EXPORTS = {
    "model.export": lambda model, path: model.export(path, verbose=False),
    "saved_model.save": tf.saved_model.save,
    "tf.Module": lambda model, path: tf.saved_model.save(module_around(model.layers[0].forward_layer), path),
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
def test_savedmodel_export_is_stopped_when_it_is_attempted(export, tmp_path):
    model = keras.Sequential([keras.Input((None, I)), keras.layers.Bidirectional(layers.GRU(H))])
    with pytest.raises(ValueError, match=r"SavedModel export: GRU(Cell)? runs Python code.*to_keras\(model\) returns"):
        export(model, str(tmp_path / "model"))
    assert not (tmp_path / "model" / "saved_model.pb").exists()


def test_checkpoints_are_not_refused(tmp_path):
    ours, _ = pair("LSTM")
    path = tf.train.Checkpoint(layer=ours).save(str(tmp_path / "ckpt"))
    before = ours.get_weights()
    fill(ours, seed=8)
    tf.train.Checkpoint(layer=ours).restore(path)
    assert all(np.array_equal(a, b) for a, b in zip(ours.get_weights(), before))


def test_tf_function_with_jit_compile_ends_in_tensorflows_own_error():
    layer, _ = pair("LSTM")
    with pytest.raises(tf.errors.InvalidArgumentError, match="RnnCall"):
        tf.function(lambda x: layer(x), jit_compile=True)(tf.constant(random(B, T, I)))


def test_wrong_shapes_are_keras_errors():
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        layers.LSTM(H)(random(B, I))
    with pytest.raises(ValueError, match="expected axis -1"):
        pair("LSTM")[0](random(B, T, I + 1))


def test_explain():
    layer, _ = pair("LSTM", dtype="float32")
    name, reason, saved_bytes = layer.explain()
    chosen, why = backends.choose(layer.cell.maths, {}, np.zeros((1, 1, 1), "float32"))
    kernels = f"; {backends.load('native').isa()} kernels; 32 rows: " if chosen == "native" else ""
    threads = r"(one thread|\d+ threads(, rows in \d+ parts)?(, units in \d+ parts)?)?"
    assert name == chosen and re.fullmatch(re.escape(why + kernels) + threads, reason)
    assert saved_bytes == (4 + 2) * H * 4
    assert str(layer.explain()).startswith(f"{name}: {reason}; training keeps {saved_bytes} bytes")
    asked = layers.GRU(H, backend="reference", dtype="float64")
    with pytest.raises(ValueError, match=r"explain: .* has no weights yet"):
        asked.explain()
    asked.build((B, T, I))
    assert asked.explain() == ("reference", "asked for by name", (4 + 1) * H * 8)


@pytest.mark.parametrize("missing", ["tensorflow", "keras"])
def test_a_missing_tensorflow_is_one_line(missing):
    code = f"import sys; sys.modules[{missing!r}] = None\ntry:\n import rnn_from_scratch.layers\nexcept ImportError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == 'rnn_from_scratch.layers needs TensorFlow: pip install "rnn_from_scratch[tensorflow]"\n'


@dataclass(frozen=True)
class Newcomer(cells.LSTM):
    """A cell of the table that no layer runs."""


def test_a_cell_without_a_layer_is_named(monkeypatch):
    monkeypatch.setitem(cells.CELLS, "newcomer", Newcomer)
    known = ", ".join(layer.__name__ for layer in LAYERS.values())
    with pytest.raises(ValueError, match=f"^cell: Newcomer has no Keras layer; layers has {known}$"):
        layer_for("newcomer")
    with pytest.raises(InputError, match="^--cell: Newcomer has no Keras layer"):
        models.stack(keras.Input((T, I)), {"cell": "newcomer", "layers": 1, "dropout": 0.0})


def test_every_layer_is_listed_and_exported_with_its_cell():
    exported = set(layers.__all__) - {"to_keras", "RNN", "StackedRNNCells", "Attention"}
    assert exported == {cls.__name__ for layer in LAYERS.values() for cls in (layer, layer.cell_class)}
    for cell, layer in LAYERS.items():
        assert (layer.__name__, layer.cell_class.__name__) == (cell.__name__, f"{cell.__name__}Cell")
        assert (layer.twin is None) == (layer.cell_class.twin is None)


@pytest.mark.parametrize("eagerly", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize("stacked", [False, True], ids=["layer", "stacked cells"])
def test_a_smaller_last_batch_for_a_stateful_layer_is_one_message(stacked, eagerly):
    layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], stateful=True) if stacked else layers.GRU(3, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(4, T, I)), layer])
    model.compile("sgd", "mse", run_eagerly=eagerly)
    x = random(7, T, I, dtype="float32")
    wrong, kind = {"batch_size": 4, "verbose": 0}, ValueError if eagerly else tf.errors.InvalidArgumentError
    for act in (lambda: model.predict(x, **wrong), lambda: model.fit(x, random(7, layer.cell.output_size), shuffle=False, **wrong)):
        with pytest.raises(kind) as raised:
            act()
        told = str(raised.value).replace("[", "").replace("]", "")
        assert "the batch size of the input sequences must be the same as the batch size of the initial state. Choose a batch_size" in told
        assert "Expected batch size: 4, received batch size: 3" in told
    assert model.predict(x[:4], **wrong).shape == (4, layer.cell.output_size)


@pytest.mark.check
@pytest.mark.parametrize("order", ["alone", "tf_keras first", "export first"])
def test_tflite_refuses_with_the_way_out_and_takes_the_twin(order, tmp_path):
    """Each in a process of its own: tf_keras tells TensorFlow of itself when it is imported."""
    code = f"""
import keras, tensorflow as tf
from rnn_from_scratch import layers
order = {order!r}
if order == "tf_keras first":
    import tf_keras

def convert(model):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter._experimental_lower_tensor_list_ops = False
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()

model = keras.Sequential([keras.Input((5, 3)), keras.layers.Bidirectional(layers.LSTM(4)), keras.layers.Dense(1)])
if order == "export first":
    try:
        model.export({str(tmp_path / "model")!r}, verbose=False)
    except ValueError as error:
        print(error)
for _ in range(2):
    try:
        convert(model)
    except ValueError as error:
        print(error)
assert convert(layers.to_keras(model))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    told = [line for line in done.stdout.splitlines() if "to_keras" in line]
    assert len(told) == (3 if order == "export first" else 2)
    for line in told[-2:]:
        assert line.startswith("TFLite: convert rnn_from_scratch.layers.to_keras(model) in place of the model: LSTM")
