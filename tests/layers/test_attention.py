"""Attention: by hand in NumPy against complex steps, and the Keras layer against that, with masks of any pattern."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.layers import attention_by_hand as by_hand
from rnn_from_scratch.verify import check_function

from ..helpers.digit_runs import KERAS_SAVES

SIZES = {"B": 3, "T": 4, "S": 5, "H": 3, "K": 2, "U": 6}
MASKS = {
    "none": None,
    "right padded": np.arange(5) < np.array([[5], [3], [1]]),
    "gaps": np.array([[1, 0, 1, 0, 1], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1]], bool),
    "a row without keys": np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]], bool),
}


def inputs(seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    shapes = ("B T H", "B S K", "H K", "", "U")
    y, k, W, _, b = (rng.standard_normal([SIZES[letter] for letter in shape.split()]).astype(dtype) for shape in shapes)
    return y, k, W, rng.standard_normal((SIZES["K"] + SIZES["H"], SIZES["U"])).astype(dtype), b


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_by_hand_is_right(mask, seed):
    report = check_function(
        lambda y, k, W, V, b: by_hand.forward(y, k, W, V, b, mask),
        lambda y, k, W, V, b, dout, dp: by_hand.backward(y, k, W, V, b, mask, dout, dp)[:5],
        inputs(seed),
        method="complex",
        directions="full",
        seed=seed,
    )
    assert report.ok, report


@pytest.mark.parametrize("slip", ["the slope of softmax", "no way through the weights"])
def test_slips_are_seen(slip, monkeypatch):
    def wrong(y, k, W, V, b, dout, dp):
        found = list(by_hand.backward(y, k, W, V, b, None, dout, dp)[:5])
        if slip == "the slope of softmax":
            found[2] = found[2] * 1.001
        else:
            found[1] = by_hand.backward(y, k, 0 * W, V, b, None, dout, dp)[1]
        return found

    report = check_function(lambda *arrays: by_hand.forward(*arrays), wrong, inputs(), ("y", "k", "W", "V", "b"))
    assert not report.ok and report.culprit.array == ("W" if slip == "the slope of softmax" else "k")


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_weights_sum_to_1_over_the_keys_that_are_there(mask):
    p = by_hand.forward(*inputs(), mask)[1]
    live = np.ones((3, 5), bool) if mask is None else mask
    np.testing.assert_allclose(p.sum(axis=2), np.repeat(live.any(axis=1)[:, None], 4, axis=1), atol=1e-12)
    assert not p[np.repeat(~live[:, None], 4, axis=1)].any()


@pytest.mark.parametrize("mask", [m for m in MASKS.values() if m is not None], ids=[n for n in MASKS if n != "none"])
def test_what_stands_in_other_keys_is_not_seen(mask):
    y, k, W, V, b = inputs()
    spoiled = np.where(mask[:, :, None], k, np.nan)
    for ours, expected in zip(by_hand.forward(y, spoiled, W, V, b, mask), by_hand.forward(y, k, W, V, b, mask)):
        np.testing.assert_array_equal(ours, expected)
    dout = np.ones((3, 4, 6))
    spoiled_gradients, gradients = (by_hand.backward(y, keys, W, V, b, mask, dout)[:5] for keys in (spoiled, k))
    for ours, expected in zip(spoiled_gradients, gradients):
        np.testing.assert_array_equal(ours, expected)
    assert not gradients[1][~mask].any()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_layer_is_what_is_written_by_hand(mask, dtype):
    arrays = inputs(dtype=dtype)
    layer = layers.Attention(SIZES["U"], dtype=dtype)
    y, k = (tf.Variable(a) for a in arrays[:2])
    layer.build([y.shape, k.shape])
    layer.set_weights(arrays[2:])
    rng = np.random.default_rng(1)
    dout, dp = rng.standard_normal((3, 4, 6)).astype(dtype), rng.standard_normal((3, 4, 5)).astype(dtype)
    with tf.GradientTape() as tape:
        out, p = layer([y, k], mask=None if mask is None else [None, tf.constant(mask)])
        loss = tf.reduce_sum(out * dout) + tf.reduce_sum(p * dp)
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    for ours, expected in zip((out, p), by_hand.forward(*arrays, mask)):
        np.testing.assert_allclose(ours, expected, atol=tolerance)
    found = tape.gradient(loss, [y, k, layer.W, layer.V, layer.b])
    for ours, expected in zip(found, by_hand.backward(*arrays, mask, dout, dp)):
        np.testing.assert_allclose(ours, expected, atol=tolerance)


@pytest.mark.filterwarnings(KERAS_SAVES)
def test_in_a_model_the_encoders_mask_comes_by_itself_and_the_model_is_saved(tmp_path):
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None, 3))
    keys = layers.GRU(4, return_sequences=True)(keras.layers.Embedding(9, 3, mask_zero=True)(source))
    model = keras.Model([source, target], layers.Attention(5)([layers.GRU(4, return_sequences=True)(target), keys]))
    codes, x = np.array([[3, 4, 5, 0, 0], [7, 8, 1, 2, 2]]), np.random.default_rng(0).standard_normal((2, 6, 3)).astype("float32")
    out, p = model([codes, x])
    assert tuple(out.shape) == (2, 6, 5) and tuple(p.shape) == (2, 6, 5)
    assert not p.numpy()[0, :, 3:].any() and (p.numpy()[1] > 0).all()
    alone = model([codes[:1, :3], x[:1]])[0]
    np.testing.assert_allclose(out[:1], alone, atol=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again([codes, x])[1], p)
    assert again.get_layer(index=-1).get_config()["units"] == 5


def test_wrong_units_are_refused():
    for units in (0, -3, 2.5, "many"):
        with pytest.raises(ValueError, match="units: expected a whole number of at least 1, got "):
            layers.Attention(units)
