"""Sequences of different lengths, put into one array."""

import numpy as np


def pad(sequences):
    """sequences: a list of arrays [T_b, I], each with at least one step. Returns x [B,T,I], filled up with 0, and the lengths [B]."""
    raise NotImplementedError("fill in pad()")
