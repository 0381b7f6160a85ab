"""The sequence that the page of a cell begins with: one pulse, and a smaller one the other way."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..params import init_params
from ..typing import Array, ListedCell


class Example(NamedTuple):
    """A cell with parameters [float64], one sequence x [1,T,1] and the loss: the last state of the last name, of unit 0."""

    cell: ListedCell
    params: dict[str, Array]
    x: Array
    loss: dict[str, Any]


def example(cell: ListedCell, units: int = 4, steps: int = 12, seed: int = 0) -> Example:
    """Keras' initial parameters; x is 1.5 at the second step, -1 at the middle, else 0."""
    x = np.zeros((1, steps, 1))
    x[0, min(1, steps - 1), 0] = 1.5
    if steps > 3:
        x[0, steps // 2 + 1, 0] = -1
    params = init_params(cell, 1, units, rng=seed, dtype="float64")
    return Example(cell, params, x, {"state": cell.states[-1], "unit": 0})
