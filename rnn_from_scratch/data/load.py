"""Electricity load as one column of numbers: a CSV with a column Load, UCI's LD2011_2014.txt, or the embedded household."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import InputError
from .files import text_lines

Array = Any
EMBEDDED = Path(__file__).parent / "embedded/household_15min.csv.xz"
COLUMN = "Load"


class Load(NamedTuple):
    """values: float64 [N] in the file's unit, in order of time; source: where they are from, for people."""

    values: Array
    source: str


def load(data: str | Path | None = None, client: str = "") -> Load:
    """The load from `data`: None, the embedded household; else a file, plain, .gz or .xz.

    A header line whose separator is ";" is UCI's format, with decimal commas; there, `client` names the column.
    Raises InputError, which names the file and the line.
    """
    if data is None:
        if client:
            raise InputError(f"--client {client}: the embedded data has one house alone; give UCI's file with --data")
        return Load(read(EMBEDDED, ""), "the embedded household load (kW, 15 minutes each)")
    return Load(read(Path(data), client), str(data) + (f", {client}" if client else ""))


def read(path: Path, client: str) -> Array:
    """float64 [N] of one column."""
    lines = text_lines(path)
    header = next(lines, "")
    separator = ";" if ";" in header else ","
    names = [name.strip().strip('"') for name in header.split(separator)]
    column = place(path, names, client, separator == ";")
    values = np.fromiter(numbers(path, lines, separator, column, names), np.float64)
    if len(values) == 0:
        raise InputError(f"{path}: holds no row below its header")
    return values


def place(path: Path, names: list[str], client: str, uci: bool) -> int:
    """Which column. Raises InputError."""
    wanted, known = client or COLUMN, [name for name in names if name]  # that of UCI's times has no name
    if uci and not client:
        columns = f"{known[0]} to {known[-1]} ({len(known)} in all)" if known else "none has a name"
        raise InputError(f"{path}, line 1: --client: expected one of its columns, {columns}; got none")
    if wanted not in names:
        got = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise InputError(f"{path}, line 1: expected a column {wanted!r}, got {got}")
    return names.index(wanted)


def numbers(path: Path, lines: Iterator[str], separator: str, column: int, names: list[str]) -> Iterator[float]:
    """The numbers of a column, line by line; empty lines at the end are none."""
    blank = 0
    for number, line in enumerate(lines, 2):
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise InputError(f"{path}, line {blank}: empty, but rows follow; fill the gap or leave it out")
        fields = line.split(separator, column + 1)
        if len(fields) <= column:
            raise InputError(f"{path}, line {number}: expected {len(names)} columns, got {len(fields)}")
        text = fields[column].strip().strip('"')
        try:
            value = float(text.replace(",", ".") if separator == ";" else text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{path}, line {number}: {names[column]}: expected a number, got {text or 'nothing'!r}; fill the gap first")
        yield value
