"""One column of a table in a text file: fields between , ; or tabs, quoted or not, below a line of names."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import InputError
from .files import text_lines

SEPARATORS = {",": "','", ";": "';'", "\t": "a tab"}
SAMPLE = 100  # lines by which the separator is found
TOTAL = re.compile(r"(grand )?(total|sum|summe|gesamt|average|mean|mittelwert)\b", re.IGNORECASE)


class Column(NamedTuple):
    """texts: the fields, in order; lines: the line that each stands on; notes: what was left out, for people."""

    name: str
    texts: list[str]
    lines: list[int]
    separator: str
    notes: list[str]


def read_column(path: Path, name: str) -> Column:
    """The column `name`, in any case. Empty lines are no rows, but gaps where a table has one column. Raises InputError."""
    lines = (line + "\n" for line in text_lines(path))
    sample = list(itertools.islice(lines, SAMPLE))
    separator = find_separator(path, sample, name)
    rows = records(path, itertools.chain(sample, lines), separator)
    line, names = next(((line, row) for line, row in rows if row), (1, [""]))
    header = [" ".join(known.split()) for known in names]
    place = find(path, line, header, name)
    texts: list[str] = []
    places: list[int] = []
    labels: list[str] = []
    blank: list[int] = []
    for line, row in rows:
        if not row:
            blank.append(line)
            continue
        if blank and len(header) == 1:  # a gap, then
            texts += [""] * len(blank)
            labels, places, blank = labels + [""] * len(blank), places + blank, []
        if len(row) != len(header):
            raise InputError(f"{path}, line {line}: {counted(header, row)}; quote what holds the separator {SEPARATORS[separator]}")
        texts.append(row[place])
        labels.append("" if place == 0 else row[0])
        places.append(line)
    if not texts:
        raise InputError(f"{path}: holds no row below its header")
    notes = []
    if len(texts) > 1 and TOTAL.match(labels[-1]) and not TOTAL.match(labels[0]):
        notes.append(f"line {places[-1]} left out: its first field is {labels[-1]!r}")
        texts, places = texts[:-1], places[:-1]
    if [line for line in blank if line < places[-1]]:
        notes.append(f"empty lines left out: {len(blank)}, the first is line {blank[0]}")
    return Column(header[place], texts, places, separator, notes)


def counted(header: list[str], row: list[str]) -> str:
    return f"expected {len(header)} fields, as the first line has, got {len(row)}"


def records(path: Path, lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The line that each record begins on, and its fields without spaces around them; [] for an empty line. Raises InputError."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            yield line, [] if len(fields) < 2 and not any(fields) else fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}, line {line}: not a row of a table: {error}") from error


def find_separator(path: Path, sample: list[str], name: str) -> str:
    """The one that cuts the first line, and all others into as many fields. Raises InputError if two do, and both give the column."""
    fits = {}
    for separator in SEPARATORS:
        rows = [row for _, row in whole(records(path, sample, separator)) if row]
        if rows and len(rows[0]) > 1:
            fits[separator] = (all(len(row) == len(rows[0]) for row in rows), matches(rows[0], name) != [])
    best = [separator for separator in fits if fits[separator] == max(fits.values())]
    if len(best) > 1:
        both = " and ".join(SEPARATORS[separator] for separator in best)
        raise InputError(f"{path}, line 1: {both} both separate its fields; quote the fields that hold one of them")
    return best[0] if best else ","


def whole(rows: Iterator[Any]) -> Iterator[Any]:
    """The rows before the first that is damaged, or cut where the sample ends."""
    try:
        yield from rows
    except InputError:
        return


def matches(header: list[str], name: str) -> list[int]:
    """The places of a name: as it is, else in any case."""
    exact = [n for n, known in enumerate(header) if known == name]
    return exact or [n for n, known in enumerate(header) if known.casefold().split() == name.casefold().split()]


def find(path: Path, line: int, header: list[str], name: str) -> int:
    """The place of a column. Raises InputError, which names those that there are."""
    found, known = matches(header, name), [known for known in header if known]  # that of UCI's times has no name
    if len(found) > 1:
        raise InputError(f"{path}, line {line}: {len(found)} columns are named {name!r}; give each a name of its own")
    if not found:
        got = ", ".join(known[:8]) + (f", ... {known[-1]} ({len(known)} in all)" if len(known) > 8 else "")
        raise InputError(f"{path}, line {line}: expected a column {name!r}, got {got or 'none'}; --column NAME reads another")
    return found[0]
