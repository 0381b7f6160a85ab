"""The arrays of a gradient check by name, their gates, and copies of options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..typing import Array, Cell


def gradients(grads: Any, cell: Cell) -> dict[str, Array]:
    """Gradients by name: x, the parameters, 'initial h', 'initial c'."""
    return {"x": grads.x, **grads.params, **{f"initial {s}": g for s, g in zip(cell.states, grads.initial_state)}}


def repeat(name: str, value: Any, copies: int) -> Any:
    """An option of forward for `copies` stacked batches."""
    if value is None or isinstance(value, bool) or name == "initial_state":  # flags; states are stacked by the caller
        return value
    value = np.asarray(value)
    if name.endswith("_scale"):
        return np.concatenate([value.astype(complex)] * copies, axis=-2)
    return np.concatenate([value] * copies, axis=0)


def blocks(cell: Cell, name: str, shape: tuple[int, ...], index: Array) -> Iterator[tuple[str, Array]]:
    """(gate, which of the indices belong to it) for a gradient array."""
    if name in ("Wx", "Wh", "b", "bx", "bh"):
        units = shape[-1] // len(cell.gates)
        for j, gate in enumerate(cell.gates):
            yield gate, index[:, -1] // units == j
    elif name == "p":
        for j, gate in enumerate(cell.extras):
            yield gate, index[:, 0] == j
    else:
        yield "", np.ones(len(index), bool)
