"""MNIST read row by row: 28 steps of 28 pixels through stacked recurrent layers; final outputs -> dense 10 -> softmax.

The loss is the mean cross-entropy. The order of the digits in an epoch depends on the seed and the epoch's number alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ..data import InputError
from ..data import mnist as data
from ..typing import Array
from . import models, plots
from .loop import Program

LABELS = {"loss": "cross-entropy (nats per digit)", "accuracy": "digits read right (share)"}


class Split(NamedTuple):
    """uint8 images [N,28,28] and labels [N] of the training, validation and test digits."""

    x: Array
    y: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array


def prepare(settings: dict[str, Any]) -> Program:
    digits = data.load(settings["data"])
    split = divide(digits)
    sizes = {"training": len(split.x), "validation": len(split.x_validation), "test": len(split.x_test)}
    model = build(settings)
    optimizer = models.optimizer(settings, model)
    infer = make_reader(model)

    def measure(x, y):
        logits = model(x, training=True)
        right = tf.argmax(logits, axis=1, output_type=tf.int32) == y
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        return tf.reduce_mean(loss), tf.reduce_mean(tf.cast(right, tf.float32))

    def validate() -> dict[str, float]:
        loss, accuracy = score(infer(split.x_validation), split.y_validation)
        return {"validation_loss": loss, "validation_accuracy": accuracy}

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        log_p = infer(split.x_test)
        loss, accuracy = score(log_p, split.y_test)
        misread = int((log_p.argmax(axis=1) != split.y_test).sum())
        majority = float(np.bincount(split.y_test).max() / len(split.y_test))
        results = {"test_loss": loss, "test_accuracy": accuracy, "misread": misread, "majority_class_accuracy": majority}
        return results, {"misread.png": plots.misread_sheet(split.x_test, split.y_test, np.exp(log_p))}

    return Program(
        data={"source": digits.source, "sizes": sizes, "sha256": digest(digits)},
        title=f"MNIST, {models.title(settings)}",
        model=model,
        optimizer=optimizer,
        labels=LABELS,
        examples=examples(split, settings),
        batches=partial(batches, split, settings),
        step=models.make_step(model, optimizer, measure, tf.TensorSpec([None, 28, 28]), tf.TensorSpec([None], tf.int32)),
        validate=validate,
        finish=finish,
        judge=judge,
    )


def judge(results: dict[str, Any]) -> list[str]:
    if results["test_accuracy"] > results["majority_class_accuracy"]:
        return []
    return ["The model does not beat the commonest digit, said every time: train it longer."]


def build(settings: dict[str, Any]) -> keras.Model:
    """[B,28,28] pixels in 0..1 -> a dense layer on every row, if any -> recurrent layers -> logits [B,10]."""
    x = rows = keras.Input((28, 28), name="rows")
    if settings["projection"]:
        x = keras.layers.Dense(settings["projection"], name="projection")(x)
    outputs, _ = models.stack(x, settings)
    read = outputs if settings["readout"] == "all" else outputs[-1:]
    last = [y[:, -1] for y in read]
    h = keras.layers.Concatenate()(last) if len(last) > 1 else last[0]
    return keras.Model(rows, keras.layers.Dense(10, name="logits")(h), name="mnist")


def pixels(x: Array) -> Array:
    """uint8 -> float32 in 0..1"""
    return x.astype("float32") / 255


def make_reader(model: keras.Model) -> Any:
    """reader(x uint8 [N,28,28]) -> log probabilities [N,10], float64."""
    infer = models.make_infer(model, pixels)

    def reader(x: Array) -> Array:
        z = infer(x)
        z -= z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    return reader


def score(log_p: Array, y: Array) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share read right."""
    return float(-log_p[np.arange(len(y)), y].mean()), float((log_p.argmax(axis=1) == y).mean())


def divide(digits: data.Digits) -> Split:
    """The first sixth of the training digits, at most 5,000, is for validation, as in the book. Raises InputError."""
    m = min(5000, len(digits.x_train) // 6)
    if m == 0:
        raise InputError(f"{digits.source}: expected at least 6 training digits, got {len(digits.x_train)}")
    return Split(digits.x_train[m:], digits.y_train[m:], digits.x_train[:m], digits.y_train[:m], digits.x_test, digits.y_test)


def digest(digits: data.Digits) -> str:
    """SHA-256 of all images and labels."""
    digest = hashlib.sha256()
    for array in digits[:4]:
        digest.update(array.tobytes())
    return digest.hexdigest()


def examples(split: Split, settings: dict[str, Any]) -> int:
    """Digits in an epoch: all, unless `examples` is less."""
    return min(settings["examples"] or len(split.x), len(split.x))


def batches(split: Split, settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Array, Array]]:
    """The epoch's batches from number `first`: pixels [B,28,28] in 0..1 and labels [B]."""
    B = settings["batch_size"]
    order = np.random.default_rng([settings["seed"], epoch]).permutation(len(split.x))[: examples(split, settings)]
    for start in range(first * B, len(order), B):
        rows = order[start : start + B]
        yield pixels(split.x[rows]), split.y[rows].astype("int32")


def predict(run_dir: str | Path, source: str | Path | None = None, *, invert: bool | None = None) -> tuple[Array, Array | None, str]:
    """Read digits with the model of a run directory.

    source: a PNG of 28 x 28, an IDX file of images, a folder of the four IDX files or "keras" (their test digits); None: the test
    digits of the embedded sample. invert: are the digits dark on bright paper? None: a PNG's border decides, others are as MNIST's.
    Returns probabilities [N,10], the labels [N] where known, and where the digits are from. Raises InputError.
    """
    from .training import load_model

    x, y, where, png = images(source)
    if png and invert is None:
        invert = data.on_bright_paper(x[0])
        where += ", read as dark ink on bright paper; --no-invert if not" if invert else ""
    _, model = load_model(run_dir, "mnist")
    return np.exp(make_reader(model)(255 - x if invert else x)), y, where


def images(source: str | Path | None) -> tuple[Array, Array | None, str, bool]:
    """uint8 [N,28,28], the labels or None, where they are from, and whether that is a PNG, for predict."""
    path = Path(source) if source is not None else None
    if path is None or str(source) == "keras" or path.is_dir():
        digits = data.load(source)
        return digits.x_test, digits.y_test, f"the test digits of {digits.source}", False
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    with open(path, "rb") as file:
        png = file.read(8) == b"\x89PNG\r\n\x1a\n"
    return (data.read_png(path) if png else data.read_images(path)), None, str(path), png
