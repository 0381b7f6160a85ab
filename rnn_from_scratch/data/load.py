"""Electricity load as one column of numbers: a table with a column Load, UCI's LD2011_2014.txt, or the embedded household."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from . import InputError
from .numerals import read_numbers
from .table_file import Column, read_column

EMBEDDED = Path(__file__).parent / "embedded/household_15min.csv.xz"
COLUMN = "Load"
FILLS = ("previous-day", "linear")


class Load(NamedTuple):
    """values: float64 [N] in the file's unit, in order of time; source: where they are from; notes: how they were read; filled: share."""

    values: Array
    source: str
    notes: list[str]
    filled: float


def load(
    data: str | Path | None = None, column: str = "", *, client: str = "", decimal: str = "", fill: str = "", period: int = 96
) -> Load:
    """The load from `data`: None, the embedded household; else a table in a file, plain, .gz or .xz.

    column: its name, in any case; client: the same, for UCI's file. decimal: the mark before a fraction, "." or ","; without it the
    column decides. fill: what fills gaps: "previous-day", the value `period` rows before; "linear", a line between the neighbours.
    Raises InputError, which names the file and the line.
    """
    if data is None:
        given = {"client": client, "decimal": decimal, "fill": fill}
        for name in (name for name in given if given[name]):
            why = "has one house alone; give UCI's file with --data" if name == "client" else "is whole, and plain numbers; leave it out"
            raise InputError(f"--{name} {given[name]}: the embedded data {why}")
        return Load(read(EMBEDDED, column or COLUMN).values, "the embedded household load (kW, 15 minutes each)", [], 0.0)
    if column and client:
        raise InputError(f"--column {column} and --client {client}: expected one of them, got both")
    named = column or client
    return read(Path(data), named or COLUMN, decimal, fill, period)._replace(source=str(data) + (f", {named}" if named else ""))


def read(path: Path, name: str, decimal: str = "", fill: str = "", period: int = 96) -> Load:
    """One column, its gaps filled. Raises InputError."""
    column = read_column(path, name)
    place = partial(where, path, column)
    values, notes = read_numbers(column.texts, place, decimal, point=column.separator == ",")
    refuse_total(values, place)
    missing = np.flatnonzero(np.isnan(values))
    notes = [f"{column.name}: {note}" for note in (*column.notes, *notes)]
    if len(missing):
        if not fill:
            got = column.texts[missing[0]] or "nothing"
            raise InputError(f"{place(missing[0])}: expected a number, got {got!r}; --fill {' or --fill '.join(FILLS)} fills gaps")
        values = FILL[fill](values, missing, period, place)
        share = f"{len(missing):,} of {len(values):,} values ({len(missing) / len(values):.2%})"
        notes.append(f"{column.name}: {share} were missing and are filled: {fill}")
    return Load(values, str(path), notes, len(missing) / len(values))


def where(path: Path, column: Column, n: int) -> str:
    return f"{path}, line {column.lines[n]}: {column.name}"


def refuse_total(values: Array, place: Callable[[int], str]) -> None:
    """Raise InputError if the last value is the sum of those before, and so no load."""
    before = values[:-1][~np.isnan(values[:-1])]
    if len(before) >= 10 and values[-1] > before.max() and np.isclose(values[-1], before.sum(), rtol=1e-9, atol=0):
        raise InputError(f"{place(len(values) - 1)}: {values[-1]:.15g} is the sum of all rows before; leave that line out")


def previous_day(values: Array, missing: Array, period: int, place: Callable[[int], str]) -> Array:
    """Every gap gets the value `period` rows before, which may be filled itself."""
    if missing[0] < period:
        raise InputError(f"{place(missing[0])}: --fill previous-day: no value {period} rows before (--period); --fill linear needs none")
    filled = values.copy()
    for n in missing:
        filled[n] = filled[n - period]
    return filled


def linear(values: Array, missing: Array, period: int, place: Callable[[int], str]) -> Array:
    """Every gap lies on the line between the values beside it."""
    known = np.flatnonzero(~np.isnan(values))
    for n in (missing[0], missing[-1]):
        if not len(known) or not known[0] < n < known[-1]:
            raise InputError(f"{place(n)}: --fill linear: no value on both sides of the gap; leave its lines out")
    return np.interp(np.arange(len(values)), known, values[known])


FILL: dict[str, Any] = dict(zip(FILLS, (previous_day, linear)))
