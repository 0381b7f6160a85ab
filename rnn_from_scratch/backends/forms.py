"""The forms of the cells in C++: the types that kernels/cells has, named as the source names them, such as LSTM<Tanh, Sigmoid>."""

from __future__ import annotations

from typing import Any

from .. import cells


def cxx_name(activation: str) -> str:
    """hard_sigmoid -> HardSigmoid. Raises ValueError for one without a name."""
    if not isinstance(activation, str):
        raise ValueError("activation: the kernels have those of cells/activations.py by name, got another; backend='reference' runs any")
    return "".join(word.title() for word in activation.split("_"))


def cxx_type(cell: Any) -> str:
    """The cell as a C++ type: its activations, then what its variant says. Raises ValueError for a cell that is not of this package."""
    header(cell)
    arguments = [cxx_name(cell.activation)]
    if hasattr(cell, "recurrent_activation"):
        arguments.append(cxx_name(cell.recurrent_activation))
    for options in getattr(cell, "variants", {}).values():
        if all(getattr(cell, option) == value for option, value in options.items()):
            arguments += [str(value).lower() for value in options.values()]
    return f"{type(cell).__name__}<{', '.join(arguments)}>"


def header(cell: Any) -> str:
    """The stem of its file in kernels/cells. Raises ValueError for a cell that is not of this package."""
    for name, known in cells.CELLS.items():
        if type(cell) is known:
            return name
    names = ", ".join(known.__name__ for known in cells.CELLS.values())
    raise ValueError(f"cell: the kernels know {names}, got {type(cell).__name__}; backend='reference' runs any cell")
