"""What model_to_onnx refuses, and that the refusal names the layer and the way out."""

import sys

import keras
import numpy as np
import pytest
from keras import Input, Sequential
from keras.layers import LSTM, Bidirectional, Concatenate, Dense, Embedding, LayerNormalization, Masking

from rnn_from_scratch import layers
from rnn_from_scratch.interop import model_to_onnx


def refused(model, text):
    with pytest.raises(ValueError) as failure:
        model_to_onnx(model)
    assert text in str(failure.value)


def test_models_without_a_graph():
    class Mine(keras.Model):
        def call(self, x):
            return x

    refused(Sequential([Dense(3)], name="new"), 'functional Keras model that is built, got Sequential "new". An Input or a first call')
    refused(Mine(name="mine"), 'got Mine "mine". An Input or a first call builds a Sequential; a model with a call() of its own')
    refused(LSTM(3, name="lonely"), 'got LSTM "lonely"')
    refused(7, "got int")

    class Other(Sequential):
        def call(self, x):
            return 2 * super().call(x)

    refused(Other([Input((3,)), Dense(2)], name="other"), 'got Other "other"')


def test_other_layers_are_named():
    refused(Sequential([Input((4, 3)), keras.layers.Conv1D(2, 2, name="conv")]), 'Conv1D "conv": model_to_onnx has Embedding, Dense,')
    x = Input((3,))
    refused(keras.Model(x, x * 2), "Multiply")

    class Dense2(Dense):
        pass

    Dense2.__name__ = "Dense"  # a class of the user's: what it computes is unknown, whatever its name
    refused(Sequential([Input((3,)), Dense2(2, name="own")]), 'Dense "own": model_to_onnx has')

    @keras.saving.register_keras_serializable("tests")  # Bidirectional makes its layers anew
    class Own(layers.LSTM):
        pass

    refused(Sequential([Input((4, 3)), Own(2, name="own")]), 'Own "own": model_to_onnx has')
    own_cell = type("LSTMCell", (keras.layers.LSTMCell,), {})(2, name="cell")
    text = 'RNN "rnn": expected a cell of Keras or of rnn_from_scratch.layers, got LSTMCell "cell"'
    refused(Sequential([Input((4, 3)), keras.layers.RNN(own_cell, name="rnn")]), text)
    both = Bidirectional(Own(2, name="own"), name="both")
    refused(Sequential([Input((4, 3)), both]), 'Bidirectional "both": expected layers of Keras or of rnn_from_scratch.layers, got Own')


def test_other_functions_and_types():
    text = 'LSTM "lstm": activation: expected one of tanh, relu, sigmoid, linear, hard_sigmoid, got gelu'
    refused(Sequential([Input((4, 3)), LSTM(2, activation="gelu", name="lstm")]), text)
    text = 'Dense "dense": activation: expected linear, relu, tanh, sigmoid, hard_sigmoid, softmax, elu, selu, softplus, softsign, got'
    refused(Sequential([Input((3,)), Dense(2, activation=lambda a: a, name="dense")]), f"{text} a function of your own")
    for module in (keras.layers, layers):
        model = Sequential([Input((4, 3)), module.GRU(2, dtype="float64", name="gru")])
        refused(model, 'GRU "gru": expected float32, which is all that ONNX Runtime\'s recurrent operators compute in, got float64')


def test_options_that_onnx_lacks():
    x, z = Input((4, 3)), Input((4, 3))
    longer = Concatenate(axis=1, name="longer")([Masking()(x), Masking()(z)])
    refused(keras.Model([x, z], longer), 'Concatenate "longer": expected axis=-1 for sequences with a mask, got axis=1')
    first = LayerNormalization(axis=1, name="first")
    refused(Sequential([Input((4, 3)), first]), 'LayerNormalization "first": ONNX normalizes over the last axes; expected axis=-1')
    flat = keras.layers.Flatten(data_format="channels_first", name="flat")
    refused(Sequential([Input((4, 3)), flat]), "Flatten \"flat\": expected data_format='channels_last', got 'channels_first'")


@pytest.mark.check
@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras' quantize() converts arrays as NumPy no longer likes it
def test_quantized_weights():
    model = Sequential([Input((3,)), Dense(2, name="small")])
    model.layers[0].quantize("int8")
    refused(model, 'Dense "small": quantized weights (int8); export the model before quantize()')


def test_calls_that_onnx_lacks():
    twice = layers.LSTM(2, stateful=True, name="twice")
    x, z = Input(batch_shape=(2, 4, 3)), Input(batch_shape=(2, 4, 3))
    refused(keras.Model([x, z], [twice(x), twice(z)]), 'LSTM "twice": stateful and called twice')
    refused(keras.Model(x, LSTM(2, name="fixed")(x, initial_state=[np.zeros((2, 2), "float32")] * 2)), "make it an Input")
    inner = Sequential([Input((None,)), Embedding(5, 3), LSTM(2)], name="inner")
    ids, live = Input((None,)), Input((None,), dtype="bool")
    with pytest.warns(UserWarning, match="does not support masking"):
        model = keras.Model([ids, live], inner(ids, mask=live))
    refused(model, 'Sequential "inner": mask= is for recurrent layers')


def test_without_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match="model_to_onnx needs onnx: pip install onnx"):
        model_to_onnx(Sequential([Input((3,)), Dense(2)]))
