"""The command explain; cli.py adds it to its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .. import cells
from ..data import InputError
from ..tasks.settings import meant, option
from ..typing import ListedCell

UNITS, STEPS = 4, 12


def default(text: str, value: Any, **more: Any) -> Any:
    """An option that is None unless given, so that it can be refused where it would change nothing."""
    return typer.Option(help=rf"{text} \[default: {value}]" if value is not None else text, show_default=False, **more)


def explain(
    what: Annotated[str, typer.Argument(help=f"A cell ({', '.join(cells.CELLS)}) a run directory, or a document (FILE.json).")],
    units: Annotated[int | None, default("Cell: units.", UNITS, min=1, max=64)] = None,
    steps: Annotated[int | None, default("Cell: steps of the sequence.", STEPS, min=1, max=200)] = None,
    activation: Annotated[str | None, default("Cell: tanh, relu, sigmoid, linear, hard_sigmoid.", None)] = None,
    reset_before: Annotated[bool, typer.Option("--reset-before", help="gru: the reset gate acts before the product.")] = False,
    terminal: Annotated[bool, typer.Option("--terminal", help="Cell: no page; print the lines that ran, with numbers.")] = False,
    step: Annotated[int | None, default("With --terminal: which step.", 0, min=0)] = None,
    unit: Annotated[int | None, default("With --terminal: which unit.", 0, min=0)] = None,
    text: Annotated[str | None, default("Run of char: the text to read; of translate: the sentence.", "of its own data")] = None,
    digit: Annotated[int | None, default("Run of mnist: which test digit.", 0, min=0)] = None,
    start: Annotated[int | None, default("Run of series or load: the row where the window begins.", "the last", min=0)] = None,
    out: Annotated[Path | None, default("The page.", "WHAT.html", dir_okay=False)] = None,
) -> None:
    """See inside: one HTML file that shows every number, forward and backward, and checks itself; or the lines in the terminal."""
    given = {"units": units, "steps": steps, "activation": activation, "reset_before": reset_before or None}
    reading = {"text": text, "digit": digit, "start": start}
    from . import pages

    if Path(what).is_dir():
        refuse("a run has its own model", **given, terminal=terminal or None, step=step, unit=unit)
        from .runs import document_of

        target = out or Path(f"{Path(what).resolve().name}.html")
        shown = pages.render(document_of(what, text=text, digit=digit, start=start))
        say(pages.write(target, shown, pages.SMALLER))
        return
    refuse("only a run directory reads such a thing", **reading)
    if what.endswith(".json"):
        refuse("a document has its own numbers", **given, terminal=terminal or None, step=step, unit=unit)
        from . import schema

        say(pages.write(out or Path(what).with_suffix(".html"), pages.render(schema.read(Path(what)))))
        return
    cell = cell_named(what, activation, reset_before)
    if terminal:
        refuse("--terminal prints; it makes no page", out=out)
        print_lines(cell, units or UNITS, steps or STEPS, step or 0, unit or 0)
        return
    refuse("the page shows every step and unit; add --terminal for one", step=step, unit=unit)
    from .example import example
    from .pages import page

    e = example(cell, units or UNITS, steps or STEPS)
    say(page([(e.cell, e.params)], e.x, loss=e.loss, out=out or Path(f"{what}.html")))


def equations(
    cell: Annotated[str, typer.Argument(help=f"A cell: {', '.join(cells.CELLS)}.")],
    latex: Annotated[bool, typer.Option("--latex", help="As LaTeX (the default).")] = False,
    text: Annotated[bool, typer.Option("--text", help="In the code's own words.")] = False,
    activation: Annotated[str | None, default("Whose slope is told.", "the cell's", metavar="NAME")] = None,
    reset_before: Annotated[bool, typer.Option("--reset-before", help="gru: the reset gate acts before the product.")] = False,
) -> None:
    """The equations of a cell, forward and backward, out of the lines of its file that run."""
    if latex and text:
        raise InputError("--latex and --text: expected one of them")
    from . import equations as written

    print((written.as_text if text else written.as_latex)(cell_named(cell, activation, reset_before)))


def say(path: Path) -> None:
    typer.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB; open it in a browser")


def refuse(why: str, **given: Any) -> None:
    """Raise InputError for an option that was given and would change nothing."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{option(name)}: {why}; leave it out")


def print_lines(cell: ListedCell, units: int, steps: int, step: int, unit: int) -> None:
    from . import terminal as lines

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
