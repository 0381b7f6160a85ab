"""The command `rnn-from-scratch`. Each command is thin: it turns options into a call and the answer into text.

What the user got wrong ends with one line and exit code 2; a failed check with 1; Ctrl-C with 130; a bug of ours with a traceback.
"""

from __future__ import annotations

import io
import os
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape

from . import __version__, backends, cells
from .data import InputError
from .explain.commands import equations, explain
from .explain.plot import plot
from .lessons.exercises.command import exercise
from .lessons.run import lesson
from .tasks import commands, rundir, translate_command, using
from .tasks.settings import meant
from .tasks.tensorflow_import import load_tensorflow

app = typer.Typer(
    help="RNNs from the inside out: checked cells, Keras layers that run on them, and the tools to verify both.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
UsageError: Any = typer.BadParameter.__base__  # typer has it, without a public name

Cell = Annotated[str | None, typer.Option(help=f"Only this cell: {', '.join(cells.CELLS)}; any case, with or without underscores.")]
Backend = Annotated[str, typer.Option(help=f"Whose results: auto, {', '.join(backends.BACKENDS)}.")]


def main(args: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # what the layers run on
    warnings.formatwarning = lambda message, *place: textwrap.fill(f"warning: {message}", 79, break_on_hyphens=False) + "\n"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal's encoding lacks is written as \\u2019
    try:
        code = app(args, standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except (InputError, UsageError) as error:
        text = str(error) if isinstance(error, InputError) else error.format_message()
    except OSError as error:
        if not output_is_closed():
            raise
        text = f"standard output cannot be written: {error.strerror or error}"
    typer.echo("error: " + " ".join(text.split()), err=True)
    return 2


def output_is_closed() -> bool:
    """Does standard output refuse even a new line? Then the rest goes nowhere, or Python would fail on it again at its end."""
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


@app.callback(invoke_without_command=True)
def start(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        console.print(__version__, highlight=False)
    elif context.invoked_subcommand is None:
        console.print(context.get_help(), markup=False, highlight=False)


@app.command()
def doctor() -> None:
    """What is usable here, and what to install."""
    from . import doctor

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
    if mutants and (cell or strict or json or backend != "reference"):
        raise InputError("--mutants: plants bugs in every cell on the reference; leave --cell, --backend, --strict and --json out")
    if mutants:
        from .verify import mutants as planted

        if not planted.report(console):
            raise typer.Exit(1)
        return
    if json is not None and not json.absolute().parent.is_dir():
        raise InputError(f"--json {json}: no such folder: {json.parent}")
    if json is not None:
        rundir.check_writable(json.parent, f"--json {json}")
    load_tensorflow()
    from .verify import coverage, suite, table

    rows, began = [], time.perf_counter()
    with console.status("begins") as status:
        for row in suite.rows(cell, backend):
            rows.append(row)
            failed = sum(r.status == "fail" for r in rows)
            status.update(escape(f"{len(rows)} rows, {failed} failed; now {row.check}, {row.cell}, {row.situation}"))
    table.report(rows, console)
    coverage.report(console, cell)
    n = table.counts(rows)
    seconds = time.perf_counter() - began
    summary = f"{n['pass']} passed, {n['fail']} failed, {n['skipped']} skipped"
    console.out(f"\n{backend}: {summary} in {seconds:.0f} s", highlight=False)
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


learning = (lesson, exercise, explain, equations, plot)
for command in (commands.train, commands.presets, using.predict, using.generate, translate_command.translate, *learning):
    app.command()(command)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A choice of cases, in under 4 minutes. Else all: an hour.")] = False,
    report: Annotated[Path | None, typer.Option(help="Folder for bench.json, a Markdown table and plots.", file_okay=False)] = None,
    compare: Annotated[
        Path | None,
        typer.Option(help="bench.json of an earlier run, or the folder of an older checkout. Exit code 1 if a row became slower."),
    ] = None,
    cell: Annotated[str | None, typer.Option(help="Only this cell; any case, with or without underscores.")] = None,
    shape: Annotated[str | None, typer.Option(help="Only this shape: a name, as mnist or char, or B,T,I,H.")] = None,
    peer: Annotated[str | None, typer.Option(help="Only beside this peer: torch, keras, onnxruntime, gemm, ...")] = None,
    what: Annotated[str | None, typer.Option(help="Only this pass: inference, forward, forward+backward, step.")] = None,
    threshold: Annotated[float, typer.Option(help="How many times slower --compare lets a row become.")] = 1.3,
    within: Annotated[float | None, typer.Option(help="Seconds; the rows that are left then are skipped.")] = None,
) -> None:
    """Time cells, backends and peers. What fails parity is not timed; what is unsteady is marked with ~."""
    from .bench import run  # mapped into the package from the folder bench/

    asked = {"cell": cell, "shape": shape, "peer": peer, "what": what}
    if code := run.main(quick, report, compare, **asked, threshold=threshold, within=within):
        raise typer.Exit(code)


def check_names(cell: str | None, backend: str) -> None:
    """Raise InputError unless the cell is known and the backend usable here."""
    try:
        found = cells.by_name(cell or "simple_rnn")
        backends.usable(backend, found, {}, np.zeros((1, 1, 1), "float32"))
    except ValueError as error:
        raise InputError(f"--{error}" + meant(cell, cells.CELLS if str(error).startswith("cell: ") else ())) from error
