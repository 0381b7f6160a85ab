"""The executed lines of a cell with their numbers, for the terminal."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path

from .. import cells
from ..typing import ListedCell
from .example import example
from .steps import Told, loss_gradient, steps
from .watch import Line, number, with_numbers

WIDTH = 80


def describe(cell: ListedCell, units: int, length: int, step: int, unit: int) -> Iterator[str]:
    """The lines of step and unit, forward down, then backward up, as lines of text."""
    e = example(cell, units, length)
    e.loss["unit"] = unit
    done = steps(cell, e.params, e.x, *loss_gradient(cell, (length, units), e.loss))
    file = Path(inspect.getfile(type(cell)))
    yield f"{cells.form_name(cell)}, step {step} of 0 to {length - 1}, unit {unit} of 0 to {units - 1}: {file.parent.name}/{file.name}"
    names = ", ".join(f"{name} = {number(a[:, step], unit):.4g}" for name, a in zip(cell.states, done.tape.states))
    yield f"before this step: {names};  x = {done.tape.x[0, step, 0]:.4g}"
    yield from section("forward", done.forward[step], len(cell.phases), unit)
    yield ""
    yield f"The loss is {e.loss['state']} of unit {unit} after the last step. d before a name: gradient by it."
    arriving = zip(cell.states, done.arriving[step])
    yield "arriving from step t + 1: " + ", ".join(f"d{name} = {number(d, unit):.4g}" for name, d in arriving)
    yield from section("backward", done.backward[step], len(cell.phases), unit)


def section(title: str, told: list[Told], phases: int, unit: int) -> Iterator[str]:
    for phase in told:
        yield ""
        yield title if phases == 1 else f"{title}, phase {phase.phase}"
        for line in phase.lines:
            yield from shown(line, unit)


def shown(line: Line, unit: int) -> Iterator[str]:
    """A line as it is written, then every number that it makes, then what it undoes."""
    yield from wrapped(f"{line.number:4}  {line.code}", " " * 8)
    for a in line.assignments:
        right, made = with_numbers(a, unit), f"{number(a.value, unit):.4g}"
        yield from wrapped(f"{'':10}{a.name} = {right}" + (f" = {made}" if right != made else ""), " " * 14)
    if line.comment:
        yield from wrapped(f"{'':10}undoes {line.comment}", " " * 14)


def wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 1, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
