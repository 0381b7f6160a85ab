"""Every line of layers/TENSORFLOW1.md: the old calls fail with the text that stands there, the new ones run, and mean the same."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.measure import error

from ..helpers.guides import blocks, text

PAGE = "rnn_from_scratch/layers/TENSORFLOW1.md"
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text(PAGE).splitlines() if line.startswith("| `")]


def codes(cell):
    return re.findall("`([^`]+)`", cell)


@pytest.fixture(scope="module")
def names():
    found = {}
    exec(blocks(PAGE)[0], found)
    return found


def test_the_page_has_the_calls_that_books_use():
    assert len(ROWS) >= 30 and all(len(row) == 3 for row in ROWS)
    for call in ("static_rnn", "dynamic_rnn", "BasicRNNCell", "BasicLSTMCell", "use_peepholes=True", "GRUCell", "MultiRNNCell"):
        assert any(call in row[0] for row in ROWS), call
    for call in ("DropoutWrapper", "OutputProjectionWrapper", "sequence_length", "sampled_softmax_loss"):
        assert call in text(PAGE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row(row, names):
    old, today, here = row
    (call,) = codes(old)
    if today == "runs":
        eval(call, names)
    else:
        with pytest.raises((AttributeError, TypeError, ValueError)) as failure:
            eval(call, names)
        assert " ".join(str(failure.value).split()).startswith(today)
    assert codes(here)
    for code in codes(here):
        eval(code, names)


def test_sequence_length_is_a_mask():
    """dynamic_rnn: zeros after the end, the state of the last live step."""
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    layer = layers.LSTM(5, return_sequences=True, return_state=True, zero_output_for_mask=True)
    y, h, _ = layer(x, mask=tf.sequence_mask([4, 2], 4))
    short, last, _ = layer(x[1:, :2])
    assert not y[1, 2:].numpy().any() and error(y[1:, :2].numpy(), short.numpy()) <= 1e-6
    assert error(h[1:].numpy(), last.numpy()) <= 1e-6


def test_keras_hands_no_mask_to_a_layer_beside_an_initial_state():
    x = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    x[1, 2:] = 0
    masked, states = keras.layers.Masking()(x), [tf.zeros([2, 5])] * 2
    layer = keras.layers.LSTM(5)
    told = layer(masked, initial_state=states, mask=tf.sequence_mask([4, 2], 4)).numpy()
    assert error(layer(masked).numpy(), told) <= 1e-6
    assert error(layer(masked, initial_state=states).numpy(), told) > 1e-3


def test_dropout_as_the_page_says():
    """Dropout on the sequence draws anew at every step; the layer's own holds one mask."""
    ones = tf.ones([1, 50, 8])
    per_step = keras.layers.Dropout(0.5, seed=1)(ones, training=True).numpy()[0]
    assert len(np.unique(per_step, axis=0)) > 10
    layer = layers.SimpleRNN(4, dropout=0.5, return_sequences=True, activation="linear", recurrent_initializer="zeros", seed=1)
    y = layer(ones, training=True).numpy()[0]
    assert y.any() and np.array_equal(y, np.broadcast_to(y[:1], y.shape))
