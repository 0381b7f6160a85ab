"""The commands train and presets; cli.py adds them to its own. TensorFlow is loaded only once a model is trained."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import backends, cells
from ..data import InputError
from ..data.tokens import KINDS
from . import EMBEDDED, FAST, PRESETS
from .loop import CtrlC
from .settings import as_options, check, option, settings_of
from .tensorflow_import import load_tensorflow

NEEDED = ("tensorflow", "keras", "matplotlib")


def setting(name: str, text: str) -> Any:
    """An option of train: None unless given, so that a resumed run keeps its own. The help says the default if all presets share it."""
    values = {settings[name] for _, settings in PRESETS.values() if name in settings}
    values |= {settings[name] for settings in EMBEDDED.values() if name in settings}
    shown = "by task, see presets" if len(values) > 1 else "none" if values <= {None, ""} else values.pop()
    if values <= {True, False}:
        return typer.Option(f"{option(name)}/--no-{name}", help=rf"{text} \[default: {shown}]", show_default=False)
    return typer.Option(help=rf"{text} \[default: {shown}]", show_default=False)  # rich would read [default: ...] as markup


def load() -> None:
    """Import TensorFlow; a Ctrl-C while it loads waits for it."""
    with CtrlC() as ctrl_c:
        load_tensorflow(*NEEDED)
        from . import training  # noqa: F401
    if ctrl_c.pressed:
        raise KeyboardInterrupt("interrupted before anything was done")


def train(
    task: Annotated[str, typer.Argument(help=f"What to train: {', '.join(PRESETS)}.")],
    cell: Annotated[str | None, setting("cell", f"{', '.join(cells.CELLS)}; any case, with or without underscores.")] = None,
    layers: Annotated[int | None, setting("layers", "Recurrent layers, one upon the other.")] = None,
    units: Annotated[int | None, setting("units", "Units of each layer.")] = None,
    activation: Annotated[str | None, setting("activation", "Of the cell: tanh, relu, sigmoid, linear, hard_sigmoid.")] = None,
    dropout: Annotated[float | None, setting("dropout", "Share of every layer's inputs dropped while training.")] = None,
    epochs: Annotated[int | None, setting("epochs", "Passes over the training data, in all; series: 100 batches each.")] = None,
    batch_size: Annotated[int | None, setting("batch_size", "Examples per step.")] = None,
    optimizer: Annotated[str | None, setting("optimizer", "adam, adagrad, rmsprop, sgd.")] = None,
    learning_rate: Annotated[float | None, setting("learning_rate", "Of the optimizer.")] = None,
    decay: Annotated[float | None, setting("decay", "Multiplies the learning rate after every epoch.")] = None,
    clip: Annotated[float | None, setting("clip", "Largest norm of all gradients together; 0: no limit.")] = None,
    backend: Annotated[str | None, setting("backend", f"What the layers run on: auto, {', '.join(backends.BACKENDS)}.")] = None,
    seed: Annotated[int | None, setting("seed", "Of the initial weights, the order of the data and dropout.")] = None,
    projection: Annotated[int | None, setting("projection", "mnist: units of a dense layer on every row; 0: none.")] = None,
    readout: Annotated[str | None, setting("readout", "mnist: read the final state of the top layer or of all.")] = None,
    examples: Annotated[int | None, setting("examples", "mnist: digits in an epoch; 0: all.")] = None,
    steps: Annotated[int | None, setting("steps", "series, load: values that the model reads.")] = None,
    resolution: Annotated[float | None, setting("resolution", "series: time between two values.")] = None,
    span: Annotated[float | None, setting("span", "series: the time that windows are taken from.")] = None,
    head: Annotated[str | None, setting("head", "series: stacked, one product for all steps; or per_step.")] = None,
    period: Annotated[int | None, setting("period", "load: rows in a day.")] = None,
    horizon: Annotated[int | None, setting("horizon", "load: rows to forecast at the end.")] = None,
    patience: Annotated[int | None, setting("patience", "load: stop after so many epochs without a better one; 0: never.")] = None,
    column: Annotated[str | None, setting("column", "load: the column to read, in any case; Load unless given.")] = None,
    client: Annotated[str | None, setting("client", "load: the same, for UCI's file: MT_158.")] = None,
    decimal: Annotated[str | None, setting("decimal", "load: the mark before a fraction, . or , if it is not plain.")] = None,
    fill: Annotated[str | None, setting("fill", "load: what fills gaps: previous-day or linear.")] = None,
    embedding: Annotated[int | None, setting("embedding", "Numbers that stand for a character or a word.")] = None,
    bptt: Annotated[int | None, setting("bptt", "char: how many characters gradients go back.")] = None,
    vocabulary: Annotated[int | None, setting("vocabulary", "word2vec, translate: at most so many words or tokens.")] = None,
    window: Annotated[int | None, setting("window", "word2vec: neighbours on each side of a word.")] = None,
    negatives: Annotated[int | None, setting("negatives", "word2vec: words drawn at random for each batch.")] = None,
    init_range: Annotated[float | None, setting("init_range", "word2vec: vectors begin uniform from minus this to this.")] = None,
    batches: Annotated[int | None, setting("batches", "word2vec: batches in an epoch.")] = None,
    tokens: Annotated[str | None, setting("tokens", f"translate: what a sentence is made of: {', '.join(KINDS)}.")] = None,
    attention: Annotated[bool | None, setting("attention", "translate: the decoder looks back at the source.")] = None,
    reverse: Annotated[bool | None, setting("reverse", "translate: the source is read from its end.")] = None,
    sampled: Annotated[int | None, setting("sampled", "translate: tokens drawn for a sampled softmax; 0: all of them.")] = None,
    max_length: Annotated[int | None, setting("max_length", "translate: pairs with more tokens on a side are left out.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help=r"Instead of the embedded data. mnist: folder of four IDX files, or keras; load: CSV; char, word2vec: text; "
            r"char: music21; translate: lines with a tab between the two sides, or SOURCE,TARGET, two files."
        ),
    ] = None,
    save_every: Annotated[float | None, setting("save_every", "Seconds between checkpoints within an epoch.")] = None,
    out: Annotated[Path | None, typer.Option(help=r"Run directory to make. \[default: runs/TASK]", show_default=False)] = None,
    fast: Annotated[bool, typer.Option("--fast", help="A small version that learns within some seconds.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run at --out from its last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run at --out.")] = False,
    allow_drift: Annotated[bool, typer.Option("--allow-drift", help="Resume on another machine or version, to other bits.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for every epoch and for the results.")] = False,
) -> None:
    """Train a model. The run directory gets settings, metrics, checkpoint, model, TensorBoard logs and pictures."""
    if quiet and json:
        raise InputError("--quiet and --json: expected one of them, got both")
    options = {name: value for name, value in locals().items() if value is not None and name in known_settings()}
    check(task, options)
    load()
    from . import training

    def print_row(row: Any, line: str) -> None:
        if json:
            print(json_module.dumps(row), flush=True)

    flags: dict[str, Any] = {"fast": fast, "resume": resume, "overwrite": overwrite, "allow_drift": allow_drift}
    how: dict[str, Any] = {"console": Console(quiet=True), "tell": print_row} if quiet or json else {}
    try:
        record = training.train(task, out or Path("runs") / task, **flags, **how, **options)
    except KeyboardInterrupt as stop:
        typer.echo(str(stop) or "interrupted", err=True)
        raise typer.Exit(130) from stop
    if json:
        print(json_module.dumps({name: record[name] for name in ("task", "status", "results")}))


def known_settings() -> set[str]:
    return {name for _, settings in PRESETS.values() for name in settings}


def presets(fast: Annotated[bool, typer.Option("--fast", help="What --fast sets instead.")] = False) -> None:
    """What every task of `train` sets by default."""
    table = Table("task", "settings", box=None, header_style="bold", pad_edge=False)
    for name in PRESETS:
        for data in (None, "FILE") if name in EMBEDDED else (None,):
            shown = FAST[name] if fast else {key: v for key, v in settings_of(name, data).items() if v is False or v not in (None, "")}
            if not fast or data is None:
                table.add_row(f"{name} --data FILE" if data else name, escape(shlex.join(as_options(shown))))
    Console().print(table)
