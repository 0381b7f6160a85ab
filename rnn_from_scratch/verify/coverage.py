"""Which forms of the cells the checks and converters have no row for: said by name in `verify` and in `doctor`, so that no one guesses.

Every table that holds facts about cells is keyed by the form's name. A form that is not in it is not covered, which is no error:
tf.keras has no peephole LSTM, and a new cell has no rows yet.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .. import cells
from ..interop.to_onnx import OPERATORS
from ..interop.weight_layouts import LAYOUTS
from . import equations
from .mutants import without_bugs
from .parity import ORACLES


def tables() -> dict[str, Collection[str]]:
    """What covers cells -> the forms that it covers."""
    without = without_bugs()
    return {
        "second writing of the equations": equations.EQUATIONS,
        "planted bugs": [form for form, cell in cells.forms().items() if type(cell).__name__ not in without],
        **{f"oracle {oracle.NAME}": oracle.COVERS for oracle in ORACLES},
        "to_onnx": OPERATORS,
        **{f"weights of {name}": layout.rows for name, layout in LAYOUTS.items()},
    }


def not_covered(cell: str | None = None) -> dict[str, list[str]]:
    """What covers cells -> the forms that it has no row for, where there are any. cell: only this one, as in cells.by_name."""
    wanted = type(cells.by_name(cell)) if cell else None
    forms = [name for name, c in cells.forms().items() if wanted in (None, type(c))]
    missing = {what: [form for form in forms if form not in covered] for what, covered in tables().items()}
    return {what: names for what, names in missing.items() if names}


def report(console: Any, cell: str | None = None) -> None:
    """Print what not_covered finds. console: rich's."""
    from rich.table import Table

    if missing := not_covered(cell):
        table = Table("not covered by", "cells", box=None, header_style="bold", pad_edge=False)
        for what, names in missing.items():
            table.add_row(what, ", ".join(names))
        console.print()
        console.print(table)
