"""Sharpness: the largest eigenvalue of the loss's Hessian, along training. rnn-from-scratch plot sharpness RUN_DIR

No Hessian is made: power iteration needs only products with it, and such a product is the gradient of <gradient, v>, a gradient of a
gradient through the layers (Pearlmutter 1994). Where the largest eigenvalue passes 2 / step size, plain gradient descent bounces between
the walls of its valley (Cohen et al. 2021, "Gradient descent on neural networks typically occurs at the edge of stability").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from . import mnist, plots

ITERATIONS = 12
DIGITS = 100  # the curvature is that of their loss
POINTS = 24  # of a curve, about


def hessian_product(weights: list[Any], loss: Callable[[], Any], v: Sequence[Any]) -> list[Any]:
    """The Hessian of loss() by the weights, times v: one tensor in the shape of each weight."""
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            value = loss()
        slope = tf.add_n([tf.reduce_sum(g * t) for g, t in zip(inner.gradient(value, weights), v)])
    return outer.gradient(slope, weights)


def largest_eigenvalue(weights: list[Any], loss: Callable[[], Any], iterations: int = ITERATIONS, seed: int = 0) -> float:
    """The eigenvalue of largest size of the Hessian of loss() by the weights, by power iteration from a random direction."""
    rng, eigenvalue = np.random.default_rng(seed), 0.0
    v = [tf.constant(rng.standard_normal(w.shape), w.dtype) for w in weights]
    times_hessian = tf.function(lambda *v: hessian_product(weights, loss, v))
    for _ in range(iterations):
        length = tf.linalg.global_norm(v)
        v = [t / length for t in v]
        product = times_hessian(*v)
        eigenvalue = float(tf.add_n([tf.reduce_sum(p * t) for p, t in zip(product, v)]))
        v = product
    return eigenvalue


def along_training(settings: dict[str, Any], every: int | None = None) -> tuple[list[dict[str, Any]], str]:
    """Train a reader of digits with these settings; after every so many batches its step, loss and sharpness. And a title.

    every: None is about POINTS of them in all.
    """
    tf.keras.utils.set_random_seed(settings["seed"])
    program = mnist.prepare(settings)
    every = every or max(1, settings["epochs"] * program.examples // settings["batch_size"] // POINTS)
    weights = [w.value for w in program.model.trainable_weights]
    x, y = next(iter(program.batches(0, 0)))
    x, y = x[:DIGITS], y[:DIGITS]

    def loss() -> Any:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, program.model(x, training=True)))

    rows, n = [], 0
    for epoch in range(settings["epochs"]):
        for batch in program.batches(epoch, 0):
            if n % every == 0:
                rows.append({"step": n, "loss": float(loss()), "sharpness": largest_eigenvalue(weights, loss)})
            program.step(*batch)
            n += 1
    return rows, program.title


def figure(rows: list[dict[str, Any]], title: str) -> Any:
    """Loss and sharpness by training step, one panel each."""
    made, panels = plots.canvas(title, "training step", "cross-entropy (nats per digit)", "sharpness (largest eigenvalue)")
    for axes, key in zip(panels, ("loss", "sharpness")):
        axes.plot([row["step"] for row in rows], [row[key] for row in rows], marker="o", markersize=4, label=key)
        plots.explain(axes)
    return made
