"""Adam that moves only the rows of a matrix that a batch used. NumPy alone.

Adam keeps a running mean and square of every gradient. In an embedding a batch touches a few hundred rows of 50,000, so all else
stays as it is: its mean and square do not fade, as they would in plain Adam, at a hundred times the cost.
"""

from __future__ import annotations

import numpy as np

from ..typing import Array

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Adam's, as in Keras


class Variable:
    """An array, or a part of one, with the names that training asks of a variable."""

    def __init__(self, array: Array):
        self.array, self.shape = array, array.shape

    def numpy(self) -> Array:
        return np.array(self.array)

    def assign(self, value: Array) -> None:
        self.array[...] = value


class Table:
    """Rows [V,D] that are learned. kept [V,3,D]: a row, its mean and its square lie side by side, for a step reads them together."""

    def __init__(self, rows: Array):
        self.kept = np.zeros((len(rows), 3, rows.shape[1]), rows.dtype)
        self.rows, self.mean, self.square = (self.kept[:, n] for n in range(3))
        self.rows[...] = rows


class LazyAdam:
    """Moves rows of tables; `variables` is all that it must remember to go on with the same bits."""

    def __init__(self, rate: float, tables: list[Table]):
        self.learning_rate, self.steps, self.tables = Variable(np.array(rate)), Variable(np.array(0)), tables
        moments = [Variable(moment) for table in tables for moment in (table.mean, table.square)]
        self.variables = [self.learning_rate, self.steps, *moments]

    def move(self, *gradients: tuple[Array, Array]) -> None:
        """One step. gradients: for each table the ids of rows [N], repeats allowed, and their gradients [N,D]."""
        self.steps.array += 1
        n = int(self.steps.array)
        rate = float(self.learning_rate.array) * np.sqrt(1 - BETA_2**n) / (1 - BETA_1**n)
        for table, (ids, each) in zip(self.tables, gradients):
            ids, g = sum_rows(ids, each)
            kept = table.kept[ids]
            row, mean, square = (kept[:, n] for n in range(3))  # parts of kept: what changes them changes it
            mean += (1 - BETA_1) * (g - mean)
            square += (1 - BETA_2) * (g * g - square)
            row -= float(rate) * mean / (np.sqrt(square) + EPSILON)
            table.kept[ids] = kept


def sum_rows(ids: Array, gradients: Array) -> tuple[Array, Array]:
    """The different ids, sorted, and for each the sum of its gradients [N,D], in the order in which they stand."""
    order = np.argsort(ids, kind="stable")
    ids, gradients = ids[order], gradients[order]
    first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    count, sums = np.diff(first, append=len(ids)), gradients[first]
    for n in range(1, count.max()):  # most ids come once: np.add.reduceat takes five times as long
        more = np.flatnonzero(count > n)
        sums[more] += gradients[first[more] + n]
    return ids[first], sums
