"""The command `rnn-from-scratch`. Each command is thin: it turns options into a call and the answer into text.

What the user got wrong ends with one line and exit code 2; a failed check with 1; Ctrl-C with 130; a bug of ours with a traceback.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import __version__, backends, cells
from .data import InputError
from .tasks import TASKS, rundir
from .tasks.quiet import load_tensorflow

app = typer.Typer(
    help="RNNs from the inside out: checked cells, Keras layers that run on them, and the tools to verify both.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
UsageError: Any = typer.BadParameter.__base__  # typer has it, without a public name

Cell = Annotated[str | None, typer.Option(help=f"Only this cell: {', '.join(cells.CELLS)}; any case, with or without underscores.")]
Backend = Annotated[str, typer.Option(help=f"Whose results: auto, {', '.join(backends.BACKENDS)}.")]


def setting(name: str, text: str) -> Any:
    """An option of train: None unless given, so that a resumed run keeps its own."""
    return typer.Option(help=f"{text} {default(TASKS['mnist'][name])}", show_default=False)


def default(value: Any) -> str:
    return rf"\[default: {value}]"  # rich would read [default: ...] as markup


def main(args: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # what the layers run on
    try:
        return app(args, standalone_mode=False) or 0
    except (InputError, UsageError) as error:
        text = str(error) if isinstance(error, InputError) else error.format_message()
        typer.echo("error: " + " ".join(text.split()), err=True)
        return 2


@app.callback(invoke_without_command=True)
def start(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.print(__version__, highlight=False)
    elif context.invoked_subcommand is None:
        console.print(context.get_help(), markup=False, highlight=False)


@app.command()
def doctor() -> None:
    """What is usable here, and what to install."""
    from .verify import doctor

    doctor.report(console)


@app.command()
def verify(
    cell: Cell = None,
    backend: Backend = "reference",
    strict: Annotated[bool, typer.Option(help="Fail on skipped rows too.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write every row to this file, as JSON.", dir_okay=False)] = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="Instead: plant bugs in a copy; do the checks catch them?")] = False,
) -> None:
    """Check outputs and gradients: the book's numbers, complex-step derivatives, other frameworks. Exit code 1 if a row fails."""
    check_names(cell, backend)
    if mutants:
        from .verify import mutants as planted

        if not planted.report(console):
            raise typer.Exit(1)
        return
    if json is not None and not json.absolute().parent.is_dir():
        raise InputError(f"--json {json}: no such folder: {json.parent}")
    load_tensorflow()
    from .verify import suite, table

    rows, began = [], time.perf_counter()
    with console.status("begins") as status:
        for row in suite.rows(cell, backend):
            rows.append(row)
            failed = sum(r.status == "fail" for r in rows)
            status.update(escape(f"{len(rows)} rows, {failed} failed; now {row.check}, {row.cell}, {row.situation}"))
    table.report(rows, console)
    n = table.counts(rows)
    seconds = time.perf_counter() - began
    summary = f"{n['pass']} passed, {n['fail']} failed, {n['skipped']} skipped"
    console.print(f"\n{backend}: {summary} in {seconds:.0f} s", highlight=False)
    if json is not None:
        record = {"version": __version__, "backend": backend, **n, "seconds": round(seconds, 1), "rows": table.as_json(rows)}
        rundir.write_json(json, record)
    if n["fail"] or (strict and n["skipped"]) or not n["pass"]:
        raise typer.Exit(1)


@app.command()
def books(backend: Backend = "auto") -> None:
    """The book's two-step programs: our arrays beside the printed ones. Exit code 1 if they differ."""
    check_names(None, backend)
    from .verify import books

    if not books.report(console, backend):
        raise typer.Exit(1)


@app.command()
def train(
    task: Annotated[str, typer.Argument(help=f"What to train: {', '.join(TASKS)}.")],
    cell: Annotated[str | None, setting("cell", f"{', '.join(cells.CELLS)}; any case, with or without underscores.")] = None,
    layers: Annotated[int | None, setting("layers", "Recurrent layers, one upon the other.")] = None,
    units: Annotated[int | None, setting("units", "Units of each layer.")] = None,
    activation: Annotated[str | None, setting("activation", "Of the cell: tanh, relu, sigmoid, linear, hard_sigmoid.")] = None,
    epochs: Annotated[int | None, setting("epochs", "Passes over the training digits, in all.")] = None,
    batch_size: Annotated[int | None, setting("batch_size", "Digits per step.")] = None,
    learning_rate: Annotated[float | None, setting("learning_rate", "Of Adam.")] = None,
    backend: Annotated[str | None, setting("backend", f"What the layers run on: auto, {', '.join(backends.BACKENDS)}.")] = None,
    seed: Annotated[int | None, setting("seed", "Of the initial weights and of the order of the digits.")] = None,
    data: Annotated[
        str | None, typer.Option(help=f"Folder of MNIST's four IDX files, or keras: Keras' download. {default('embedded sample')}")
    ] = None,
    out: Annotated[Path | None, typer.Option(help=f"Run directory to make. {default('runs/TASK')}")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run at --out after its last whole epoch.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run at --out.")] = False,
) -> None:
    """Train a model. The run directory gets run.json (settings, versions, results), the model, a checkpoint and pictures."""
    options = {name: value for name, value in locals().items() if name in TASKS["mnist"] and value is not None}
    if task not in TASKS:
        raise InputError(f"task: expected {', '.join(TASKS)}, got {task!r}")
    load_tensorflow("tensorflow", "keras", "matplotlib")
    from .tasks import mnist

    try:
        mnist.train(out or Path("runs") / task, resume=resume, overwrite=overwrite, console=console, **options)
    except KeyboardInterrupt as stop:
        typer.echo(str(stop) or "interrupted before training; nothing was written", err=True)
        raise typer.Exit(130) from stop


@app.command()
def predict(
    run_dir: Annotated[Path, typer.Argument(help="Run directory of train mnist.")],
    data: Annotated[
        str | None, typer.Option(help=f"PNG of 28 x 28, IDX file of images, folder of IDX files, or keras. {default('embedded')}")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many digits to print.")] = 10,
    invert: Annotated[bool, typer.Option("--invert", help="The digits are dark on bright paper.")] = False,
) -> None:
    """Read digits with a trained model: the label and how sure it is."""
    load_tensorflow("tensorflow", "keras", "matplotlib")
    from .tasks import mnist

    p, labels, where = mnist.predict(run_dir, data, invert=invert)
    read = p.argmax(axis=1)
    console.out(f"{len(p):,} from {where}", highlight=False)
    table = Table("image", "read as", "sure", *([] if labels is None else ["truly"]), box=None, header_style="bold", pad_edge=False)
    for n in range(min(limit, len(p))):
        table.add_row(str(n), str(read[n]), f"{p[n, read[n]]:.1%}", *([] if labels is None else [str(labels[n])]))
    console.print(table)
    if labels is not None:
        console.print(f"accuracy {np.mean(read == labels):.2%} of {len(p):,}", highlight=False)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A choice of cases, in under 4 minutes. Else all: an hour.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for bench.json, a Markdown table and plots.", file_okay=False)] = None,
    compare: Annotated[Path | None, typer.Option(help="bench.json of an earlier run. Exit code 1 if a row became slower.")] = None,
) -> None:
    """Time cells, backends and peers. What fails parity is not timed."""
    from .bench import run  # mapped into the package from the folder bench/

    if code := run.main(quick, report, compare):
        raise typer.Exit(code)


def check_names(cell: str | None, backend: str) -> None:
    """Raise InputError unless the cell is known and the backend usable here."""
    try:
        found = cells.by_name(cell or "simple_rnn")
        backends.usable(backend, found, {}, np.zeros((1, 1, 1), "float32"))
    except ValueError as error:
        raise InputError(f"--{error}") from error
