"""The command explain; cli.py adds it to its own."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import cells
from ..data import InputError
from ..tasks.settings import meant
from ..typing import ListedCell


def explain(
    what: Annotated[str, typer.Argument(help=f"A cell: {', '.join(cells.CELLS)}.")],
    units: Annotated[int, typer.Option(help="Units of the cell.", min=1, max=64)] = 4,
    steps: Annotated[int, typer.Option(help="Steps of the sequence.", min=1, max=200)] = 12,
    activation: Annotated[str | None, typer.Option(help="Of the cell: tanh, relu, sigmoid, linear, hard_sigmoid.")] = None,
    reset_before: Annotated[bool, typer.Option("--reset-before", help="gru: the reset gate acts before the product.")] = False,
    step: Annotated[int, typer.Option(help="--terminal: which step.", min=0)] = 0,
    unit: Annotated[int, typer.Option(help="--terminal: which unit.", min=0)] = 0,
    terminal: Annotated[bool, typer.Option("--terminal", help="Print the executed lines of the cell with their numbers.")] = False,
) -> None:
    """See inside a cell: its lines, forward and backward, with the numbers of a step."""
    from . import terminal as lines

    cell = cell_named(what, activation, reset_before)
    for name, value, size in (("step", step, steps), ("unit", unit, units)):
        if value >= size:
            raise InputError(f"--{name}: expected 0 to {size - 1}, since there are --{name}s {size}, got {value}")
    for line in lines.describe(cell, units, steps, step, unit):
        print(line)


def cell_named(name: str, activation: str | None, reset_before: bool) -> ListedCell:
    """The cell with these options. Raises InputError."""
    options = {"activation": activation} if activation else {}
    try:
        cell = cells.by_name(name, **options)
        return cells.by_name(name, **options, reset_after=False) if reset_before else cell
    except TypeError as error:
        raise InputError(f"--reset-before: {name} has no reset gate; leave it out") from error
    except ValueError as error:
        names = cells.CELLS if str(error).startswith("cell: ") else ()
        raise InputError(f"{error}" + meant(name, names)) from error
