"""What a softmax classifier of images needs: the train step, log probabilities, the score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Array = Any


def pixels(x: Array) -> Array:
    """uint8 -> float32 in 0..1"""
    return x.astype("float32") / 255


def make_step(model: keras.Model, optimizer: keras.Optimizer) -> Callable[[Array, Array], tuple[Any, Any]]:
    """step(x, y) -> (mean loss, how many are read right), both from before the weights move."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.float32), tf.TensorSpec([None], tf.int32)])
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        right = tf.argmax(logits, axis=1, output_type=tf.int32) == y
        return loss, tf.math.count_nonzero(right)

    return step


def make_infer(model: keras.Model, batch_size: int = 1000) -> Callable[[Array], Array]:
    """infer(x uint8 [N,28,28]) -> log probabilities [N,10], float64."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.float32)])
    def logits(x):
        return model(x, training=False)

    def infer(x: Array) -> Array:
        parts = [logits(pixels(x[start : start + batch_size])).numpy() for start in range(0, len(x), batch_size)]
        z = np.concatenate(parts).astype("float64")
        z -= z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    return infer


def score(log_p: Array, y: Array) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share read right."""
    return float(-log_p[np.arange(len(y)), y].mean()), float((log_p.argmax(axis=1) == y).mean())
