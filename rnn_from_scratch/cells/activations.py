"""Activations, each with its derivative written in the *output*: the tape keeps y = f(a), never a.

Every branch looks at the real part alone, so a complex step through these functions gives exact derivatives,
and is written so that NaN falls through it instead of becoming 0. Nothing overflows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array, ListedCell


class Activation(NamedTuple):
    """f: pre-activation a -> output y.   derivative: output y -> dy/da.

    A cell also takes one of your own in place of a name; the reference backend runs it.
    """

    f: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def tanh(a: Array) -> Array:
    return np.tanh(a)


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), from exp(-|a|) <= 1 so that no a overflows."""
    positive = a.real >= 0
    e = np.exp(np.where(positive, -a, a))
    return np.where(positive, 1, e) / (1 + e)


def relu(a: Array) -> Array:
    return np.where(a.real <= 0, 0, a).astype(a.dtype, copy=False)


def linear(a: Array) -> Array:
    return a


def hard_sigmoid(a: Array) -> Array:
    """Keras 3: relu6(a + 3) / 6. (Keras 2 and ONNX use 0.2 a + 0.5: another cell under the same name.)"""
    s = a + 3
    return (np.where(s.real <= 0, 0, np.where(s.real >= 6, 6, s)) / 6).astype(a.dtype, copy=False)


def one_where(condition: Array, y: Array) -> Array:
    """1 where condition holds, else 0, in the dtype of y."""
    return condition.astype(y.dtype)


class Table(dict[Any, Activation]):
    """Name -> Activation. One without a name here stands for itself: a cell may be given it in place of a name."""

    def __missing__(self, key: Any) -> Activation:
        if isinstance(key, Activation):
            return key
        raise KeyError(key)


ACTIVATIONS = Table(
    {
        "tanh": Activation(tanh, lambda y: 1 - y * y),
        "relu": Activation(relu, lambda y: one_where(y > 0, y)),
        "sigmoid": Activation(sigmoid, lambda y: y * (1 - y)),
        "linear": Activation(linear, lambda y: one_where(y == y, y)),
        "hard_sigmoid": Activation(hard_sigmoid, lambda y: one_where((y > 0) & (y < 1), y) / 6),
    }
)
RECURRENT_ACTIVATIONS = ("sigmoid", "hard_sigmoid")


def check_names(cell: ListedCell) -> None:
    """Raise ValueError unless the cell's activation names are known."""
    name = type(cell).__name__
    if cell.activation not in ACTIVATIONS and not isinstance(cell.activation, Activation):
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)} for {name}, got {cell.activation!r}")
    recurrent = getattr(cell, "recurrent_activation", "sigmoid")
    if recurrent not in RECURRENT_ACTIVATIONS and not isinstance(recurrent, Activation):
        raise ValueError(f"recurrent_activation: expected one of {', '.join(RECURRENT_ACTIVATIONS)} for {name}, got {recurrent!r}")
