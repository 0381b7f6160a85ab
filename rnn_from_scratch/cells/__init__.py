"""The cells: equations first, then forward and backward side by side. Start reading at simple_rnn.py.

A cell knows one time step and no matrix product. What it has and what its forward and backward take and return is
written at Cell in ../typing.py; an object of that shape which you wrote runs as the cells here do.
"""

from __future__ import annotations

from typing import Any

from ..typing import Cell, ListedCell
from .coupled_lstm import CoupledLSTM
from .gru import GRU
from .lstm import LSTM
from .peephole_lstm import PeepholeLSTM
from .simple_rnn import SimpleRNN

# The one table of cells: name, which is also that of the file here and of the header in kernels/cells -> class
CELLS: dict[str, type[ListedCell]] = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "peephole_lstm": PeepholeLSTM,
    "gru": GRU,
    "coupled_lstm": CoupledLSTM,
}


def by_name(name: str, **options: Any) -> ListedCell:
    """The cell called `name`, in any case, with or without underscores or dashes; options go to its constructor.

    Raises ValueError for an unknown name.

    >>> from rnn_from_scratch import cells
    >>> cells.by_name("peephole-lstm", activation="relu")
    PeepholeLSTM(activation='relu', recurrent_activation='sigmoid', use_bias=True)
    """
    plain = name.lower().replace("_", "").replace("-", "")
    for key, cell in CELLS.items():
        if key.replace("_", "") == plain:
            return cell(**options)
    raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")


def forms() -> dict[str, ListedCell]:
    """Name -> cell with default options, one for each variant: SimpleRNN, LSTM, ..., GRU reset after, GRU reset before."""
    found = [cell(**options) for cell in CELLS.values() for options in getattr(cell, "variants", {"": {}}).values()]
    return {form_name(cell): cell for cell in found}


def form_name(cell: Cell) -> str:
    """The name of a cell's class, and its variant if it has several: LSTM, GRU reset before."""
    chosen = [
        label
        for label, options in getattr(cell, "variants", {}).items()
        if all(getattr(cell, option) == value for option, value in options.items())
    ]
    return " ".join([type(cell).__name__, *chosen])


def listing(last: str = "and") -> str:
    """The names of the classes, as a sentence has them: SimpleRNN, LSTM, PeepholeLSTM and GRU; `last` is its "and"."""
    *names, final = [cell.__name__ for cell in CELLS.values()]
    return f"{', '.join(names)} {last} {final}"


def is_listed(cell: Cell) -> bool:
    """Whether this is a cell of the table: the very class, not one derived from it, nor another of the same name."""
    return type(cell) in CELLS.values()


__all__ = ["CELLS", "by_name", "form_name", "forms", "is_listed", "listing", *(cell.__name__ for cell in CELLS.values())]
