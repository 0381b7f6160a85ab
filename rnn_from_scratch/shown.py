"""How tapes, gradients and reports look in an interpreter and in a notebook: shapes and verdicts, never the arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from .typing import Array

COLOURS = ((0xF7, 0xF7, 0xF2), (0x8C, 0x1C, 0x13))  # of an error of 1e-16, and of one of 1 and more
CELL, LEFT, TOP = 14, 90, 34  # pixels of a heat map: the side of a square, room for the names of rows and for title and columns
LABELS = 12  # at most so many names of columns, and twice as many of rows


def size(array: Any) -> str:
    """[2,4,5] of an array; - of None."""
    return "-" if array is None else f"[{','.join(map(str, array.shape))}]"


def listed(arrays: Mapping[str, Any]) -> str:
    """Wx [3,20], Wh [5,20]: those that are there."""
    return ", ".join(f"{name} {size(a)}" for name, a in arrays.items() if a is not None)


def dtypes(arrays: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(a.dtype) for a in arrays if a is not None)) or "no arrays"


def tape_arrays(tape: Any) -> dict[str, Any]:
    states = {f"states {name}": a for name, a in zip(tape.cell.states, tape.states)}
    return {"x": tape.x, **states, "saved " + " ".join(tape.cell.saved): tape.saved, "mask": tape.live}


def tape_text(tape: Any) -> str:
    """The repr of a Tape."""
    every = f", keeps every {tape.recompute_every} steps" if tape.recompute_every else ""
    what = f"Tape of {type(tape.cell).__name__} on {tape.backend}, {dtypes([tape.x])}"
    return f"<{what}: {listed(tape_arrays(tape))}; {tape.nbytes:,} bytes{every}>"


def tape_html(tape: Any) -> str:
    rows = [(name, size(a), a.dtype, f"{a.nbytes:,}") for name, a in tape_arrays(tape).items() if a is not None]
    return table(f"Tape of {type(tape.cell).__name__} on {tape.backend}", ("array", "shape", "dtype", "bytes"), rows)


def gradient_arrays(grads: Any) -> dict[str, Any]:
    states = {f"initial_state {k}": a for k, a in enumerate(grads.initial_state or ())}
    return {"x": grads.x, **(grads.params or {}), **states}


def gradients_text(grads: Any) -> str:
    """The repr of Gradients."""
    arrays = gradient_arrays(grads)
    return f"<Gradients, {dtypes(arrays.values())}: {listed(arrays)}>"


def gradients_html(grads: Any) -> str:
    arrays = {name: a for name, a in gradient_arrays(grads).items() if a is not None}
    rows = [(name, size(a), a.dtype, f"{float(abs(a).max()):.3g}" if 0 not in a.shape else "-") for name, a in arrays.items()]
    return table("Gradients", ("of", "shape", "dtype", "largest"), rows)


def fields_text(result: Any) -> str:
    """The repr of Tangents and SecondGradients."""
    arrays: dict[str, Any] = {}
    for name, part in vars(result).items():
        if isinstance(part, tuple):
            arrays.update({f"{name} {k}": a for k, a in enumerate(part)})
        else:
            arrays.update(part if isinstance(part, dict) else {name: part})
    return f"<{type(result).__name__}, {dtypes(arrays.values())}: {listed(arrays)}>"


def report_text(report: Any) -> str:
    """The repr of a report: its verdict and its culprit, the first lines of the whole text."""
    head, *told = told_of(report)
    return f"<{'; '.join([head] if report.ok else [head, *told[:1]])}>"


def report_html(report: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]], pictures: str = "") -> str:
    """A report in a notebook: verdict, a table with the worst first, what is told of the culprit, then pictures."""
    head, *told = told_of(report)
    return table(head, columns, rows) + "".join(f"<div>{escape(line)}</div>" for line in told) + pictures


def told_of(report: Any) -> list[str]:
    """The lines of a report that say something in words: all but its table and what is right."""
    head, *rest = (line.strip() for line in str(report).splitlines())
    return [head, *(line for line in rest if ": " in line and not line.startswith("right: "))]


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An HTML table."""
    head = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in columns)
    body = "".join("<tr>" + "".join(f'<td style="text-align:left">{escape(str(cell))}</td>' for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def heat_map(errors: Array, rows: Sequence[str], columns: Sequence[str], title: str) -> str:
    """An SVG picture of errors [rows, columns] on a log scale from 1e-16 (light) to 1 (dark); NaN is grey."""
    height, width = TOP + CELL * len(rows) + 4, LEFT + CELL * max(len(columns), 20)
    parts = [f'<text x="0" y="12">{escape(title)}</text>']
    few = max(1, -(-len(columns) // LABELS))
    for j in range(0, len(columns), few):
        parts.append(f'<text x="{LEFT + CELL * j}" y="{TOP - 4}">{escape(columns[j])}</text>')
    for i, name in enumerate(rows):
        if i % max(1, -(-len(rows) // (2 * LABELS))) == 0:
            parts.append(f'<text x="{LEFT - 4}" y="{TOP + CELL * i + 11}" text-anchor="end">{escape(name)}</text>')
        for j, column in enumerate(columns):
            value = float(errors[i, j])
            place = f'x="{LEFT + CELL * j}" y="{TOP + CELL * i}" width="{CELL - 1}" height="{CELL - 1}"'
            parts.append(f'<rect {place} fill="{colour(value)}"><title>{escape(f"{name}, {column}: {value:.1e}")}</title></rect>')
    style = 'font-family="sans-serif" font-size="11" fill="currentColor"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {style}>{"".join(parts)}</svg>'


def colour(error: float) -> str:
    if np.isnan(error):
        return "#999999"
    share = np.clip(1 + np.log10(max(error, 1e-16)) / 16, 0, 1)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*COLOURS))
