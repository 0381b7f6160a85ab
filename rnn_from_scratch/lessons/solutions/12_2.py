"""The words nearest to a word: those whose vectors point the same way."""

import numpy as np


def nearest(table, word, count):
    """table [V,D]: a row for each word. Returns the numbers of the `count` words with the largest cosine to row `word`, the largest
    first; the word itself is left out.
    """
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    order = np.argsort(-unit @ unit[word])
    return [n for n in order.tolist() if n != word][:count]
