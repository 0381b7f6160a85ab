"""Adam that moves only the rows of a matrix that a batch used, in TensorFlow; in NumPy it is lazy_adam of nce.py."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .nce import BETA_1, BETA_2, EPSILON


class LazyAdam:
    """Holds, for each matrix, the running mean and square of its gradient. Those of rows that a batch did not use do not fade."""

    def __init__(self, rate: float, matrices: list[tf.Variable]):
        self.learning_rate = tf.Variable(rate, dtype=tf.float32)
        self.steps = tf.Variable(0, dtype=tf.int64)
        self.moments = [tuple(tf.Variable(tf.zeros_like(matrix)) for _ in range(2)) for matrix in matrices]
        self.matrices = matrices

    @property
    def variables(self) -> list[tf.Variable]:
        return [self.learning_rate, self.steps, *(moment for pair in self.moments for moment in pair)]

    def move(self, *gradients: tuple[Any, Any]) -> None:
        """One step. gradients: for each matrix the ids of rows [N], repeats allowed, and their gradients [N,D]."""
        n = tf.cast(self.steps.assign_add(1), tf.float32)
        rate = self.learning_rate * tf.sqrt(1 - BETA_2**n) / (1 - BETA_1**n)
        for matrix, (mean, square), (ids, gradient) in zip(self.matrices, self.moments, gradients):
            rows, place = tf.unique(ids)
            g = tf.math.unsorted_segment_sum(gradient, place, tf.size(rows))
            m = BETA_1 * tf.gather(mean, rows) + (1 - BETA_1) * g
            v = BETA_2 * tf.gather(square, rows) + (1 - BETA_2) * g * g
            mean.scatter_update(tf.IndexedSlices(m, rows))
            square.scatter_update(tf.IndexedSlices(v, rows))
            matrix.scatter_sub(tf.IndexedSlices(rate * m / (tf.sqrt(v) + EPSILON), rows))
