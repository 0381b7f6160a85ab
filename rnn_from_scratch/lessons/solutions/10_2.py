"""Sequences of different lengths, put into one array."""

import numpy as np


def pad(sequences):
    """sequences: a list of arrays [T_b, I], each with at least one step. Returns x [B,T,I], filled up with 0, and the lengths [B]."""
    lengths = np.array([len(values) for values in sequences])
    x = np.zeros((len(sequences), lengths.max(), sequences[0].shape[1]))
    for row, values in zip(x, sequences):
        row[: len(values)] = values
    return x, lengths
