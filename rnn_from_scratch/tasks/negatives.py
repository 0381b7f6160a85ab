"""Words drawn for comparison, the common ones more often: log-uniform by rank, without replacement, as TensorFlow draws them.

A word of rank k has the probability q = log((k + 2) / (k + 1)) / log(V + 1). Words are drawn until `count` different ones are
there. After so many tries a word is among them with the probability 1 - (1 - q)^tries: its expected count.
"""

from __future__ import annotations

import numpy as np

from ..data import InputError
from ..typing import Array


class Negatives:
    """Draws `count` different words of a vocabulary of V, which is sorted by how common the words are. Raises InputError."""

    def __init__(self, vocabulary: int, count: int, option: str):
        if count >= vocabulary:
            raise InputError(f"{option}: expected less than the {vocabulary:,} words of the vocabulary, got {count:,}")
        self.count, self.log_range = count, np.log(vocabulary + 1)
        k = np.arange(vocabulary)
        self.log_missed = np.log1p(-np.log((k + 2) / (k + 1)) / self.log_range)  # log(1 - q)

    def draw(self, rng: np.random.Generator) -> tuple[Array, int]:
        """Different words [count], int32, in the order drawn; and how many tries they took."""
        tried = np.zeros(0, np.int32)
        while True:
            more = np.exp(rng.random(2 * self.count) * self.log_range).astype(np.int32) - 1
            tried = np.concatenate([tried, np.minimum(more, len(self.log_missed) - 1)])
            first = np.sort(np.unique(tried, return_index=True)[1])  # where each word came for the first time
            if len(first) >= self.count:
                return tried[first[: self.count]], int(first[self.count - 1]) + 1

    def log_expected(self, words: Array, tries: int) -> Array:
        """log(expected count) of each word, float32."""
        return np.log(-np.expm1(tries * self.log_missed[words])).astype(np.float32)
