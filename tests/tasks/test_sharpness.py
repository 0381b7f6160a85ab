"""The largest eigenvalue of a Hessian by power iteration, beside all of them; the worked example along training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import layers
from rnn_from_scratch.tasks import FAST, PRESETS, sharpness

from ..helpers.figures import complete, inside
from ..helpers.layer_pairs import fill, random


@pytest.mark.parametrize("seed", range(2))
def test_the_eigenvalue_is_that_of_the_whole_hessian(seed):
    x = keras.Input((3, 2), dtype="float64")
    h = layers.SimpleRNN(2, dtype="float64", backend="reference")(x)
    model = fill(keras.Model(x, keras.layers.Dense(1, dtype="float64")(h)), seed)
    weights, data = [w.value for w in model.trainable_weights], random(5, 3, 2, seed=seed)

    def loss():
        return tf.reduce_mean((model(data, training=True) - 1.0) ** 2)

    sizes = [int(tf.size(w)) for w in weights]
    columns = []
    for k in range(sum(sizes)):
        parts = np.split(np.eye(sum(sizes))[k], np.cumsum(sizes)[:-1])
        v = [tf.constant(part.reshape(w.shape)) for part, w in zip(parts, weights)]
        columns.append(np.concatenate([p.numpy().reshape(-1) for p in sharpness.hessian_product(weights, loss, v)]))
    hessian = np.array(columns)
    assert np.abs(hessian - hessian.T).max() <= 1e-12 * np.abs(hessian).max()
    eigenvalues = np.linalg.eigvalsh(hessian)
    largest = eigenvalues[np.abs(eigenvalues).argmax()]
    assert sharpness.largest_eigenvalue(weights, loss, 100, seed) == pytest.approx(largest, rel=1e-4)


@pytest.mark.check
def test_along_training():
    small = {"epochs": 1, "units": 8, "examples": 750}
    rows, title = sharpness.along_training({**PRESETS["mnist-rnn"][1], **FAST["mnist-rnn"], **small}, every=4)
    assert [row["step"] for row in rows] == [0, 4] and rows[-1]["loss"] < rows[0]["loss"]
    assert all(np.isfinite(row["sharpness"]) and row["sharpness"] > 0 for row in rows)
    drawn = sharpness.figure(rows, title)
    assert drawn.get_suptitle() == title
    complete(drawn)
    inside(drawn)
