"""The training loop of every task: epochs of batches, a progress bar, checkpoints at any batch, an orderly Ctrl-C."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..data import InputError
from .rundir import EVENTS, Run, fresh, write_text

Row = dict[str, Any]


class Program(NamedTuple):
    """What a task hands to the shared training."""

    data: Row  # source, how many of what, sha256
    title: str
    model: Any
    optimizer: Any
    labels: dict[str, str]  # the two numbers of a step -> axis label with unit; the first is the loss
    examples: int  # of an epoch
    batches: Callable[[int, int], Iterator[tuple[Any, ...]]]  # (epoch, first) -> its batches from number `first`, by these two alone
    step: Callable[..., tuple[Any, Any]]  # (*batch) -> means of loss and metric, from before the weights move
    validate: Callable[[], Row]  # more columns for the epoch's row
    finish: Callable[[], tuple[Row, dict[str, Any]]]  # results and files (a Figure, or what writes to a path), with the best weights
    watched: bool = True  # is the epoch of the lowest validation_loss the best one? Else the last is
    size: Callable[..., int] = lambda x, *_: len(x)  # examples in a batch
    carried: tuple[Any, ...] = ()  # variables that a step moves beside those of model and optimizer
    begin: Callable[[], None] = lambda: None  # called before the first batch of an epoch
    judge: Callable[[Row], list[str]] = lambda results: []  # lines on results that something simpler reaches too
    curves: dict[str, str] = {}  # noqa: RUF012 - what loss.png shows, where that is not all of `labels`
    files: dict[str, Any] = {}  # noqa: RUF012 - name -> value, written as JSON when the run begins

    @property
    def variables(self) -> list[Any]:
        """All that a step reads and moves, dropout's seeds included."""
        return [*self.model.variables, *self.optimizer.variables, *self.carried]


class CtrlC:
    """While it is entered, Ctrl-C only sets `pressed`, so that it cannot strike inside TensorFlow. A second Ctrl-C strikes."""

    def __init__(self) -> None:
        self.pressed = False

    def __enter__(self) -> CtrlC:
        on_main = threading.current_thread() is threading.main_thread()  # only there may Python handle signals
        self.listening = on_main and callable(signal.getsignal(signal.SIGINT))  # a job that was begun to ignore Ctrl-C goes on so
        if self.listening:
            self.previous = signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, *_: Any) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, self.previous)

    def __exit__(self, *_: Any) -> None:
        if self.listening:
            signal.signal(signal.SIGINT, self.previous)


def bar(console: Console, metric: str) -> Progress:
    """Epoch, loss, metric, examples per second, and the time left for the whole run."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        TextColumn(f"loss {{task.fields[loss]:.4f}} {metric} {{task.fields[metric]:.4f}} {{task.fields[speed]:,.0f}}/s left"),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=4,  # drawn by a thread of its own, which takes its time from steps as short as word2vec's
    )


def fit(run: Run, work: Program, publish: Callable[[], None], ctrl_c: CtrlC, console: Console, tell: Callable[[Row, str], None]) -> None:
    """Train from where `run` is to the epochs that its settings ask for, or until `patience` epochs brought nothing better.

    publish() writes the model, called when an epoch was the best so far; tell(row, line) reports an epoch
    Raises KeyboardInterrupt after Ctrl-C, and InputError if the loss is no longer finite; run.json says so too.
    """
    settings, epochs, variables, (_, metric) = run.settings, run.settings["epochs"], work.variables, work.labels
    checkpointed = time.perf_counter()
    with bar(console, metric) as progress:
        fields: Row = {"loss": math.nan, "metric": math.nan, "speed": 0}
        done = len(run.rows) * work.examples + run.progress["seen"]
        shown = progress.add_task("", total=epochs * work.examples, completed=done, **fields)
        while len(run.rows) < epochs and not out_of_patience(run):
            epoch, now, before = len(run.rows) + 1, run.progress, time.perf_counter()
            work.optimizer.learning_rate.assign(settings["learning_rate"] * settings["decay"] ** (epoch - 1))
            if now["batch"] == 0:
                work.begin()
            for batch in work.batches(epoch, now["batch"]):
                loss, second = (float(value) for value in work.step(*batch))
                if not math.isfinite(loss):
                    run.save("diverged")
                    raise InputError(f"loss: became {loss} in epoch {epoch}; begin a new run with a smaller --learning-rate")
                count, clock = work.size(*batch), time.perf_counter()
                now["batch"], now["seen"], now["seconds"] = now["batch"] + 1, now["seen"] + count, now["seconds"] + clock - before
                now["loss_sum"], now["metric_sum"], before = now["loss_sum"] + loss * count, now["metric_sum"] + second * count, clock
                means = {"loss": now["loss_sum"] / now["seen"], "metric": now["metric_sum"] / now["seen"]}
                speed = now["seen"] / now["seconds"]
                progress.update(shown, advance=count, description=f"epoch {epoch}/{epochs}", speed=speed, **means)
                if ctrl_c.pressed or clock - checkpointed >= settings["save_every"]:
                    run.save_checkpoint(variables)
                    checkpointed = time.perf_counter()
                if ctrl_c.pressed:
                    run.save("interrupted")
                    raise KeyboardInterrupt(f"interrupted in epoch {epoch} of {epochs}, batch {now['batch']}; --resume goes on from there")
            row = {"epoch": epoch, "loss": means["loss"], metric: means["metric"], **work.validate()}
            row.update(seconds=round(now["seconds"], 3), examples_per_second=round(speed, 1))
            better = keep_best(run, row, work)
            run.save_checkpoint(variables)
            checkpointed = time.perf_counter()
            write_rows(run)
            if better:
                publish()
            tell(row, line(row, epochs, metric))


def keep_best(run: Run, row: Row, work: Program) -> bool:
    """Add the row of a whole epoch; keep the weights if it is the best. Is it?"""
    best, now = run.progress["best"], row.get("validation_loss")
    better = not work.watched or best is None or now < best
    run.progress.update(fresh() | {"rows": [*run.rows, row], "best": best, "best_epoch": run.progress["best_epoch"]})
    if better:
        run.progress.update(best=now, best_epoch=row["epoch"])
        run.best_weights = [v.numpy() for v in work.model.variables]
    return better


def out_of_patience(run: Run) -> bool:
    patience = run.settings.get("patience", 0)
    return 0 < patience <= len(run.rows) - run.progress["best_epoch"]


def line(row: Row, epochs: int, metric: str) -> str:
    """An epoch in 80 columns: loss and metric of the training, then those of the validation, what else was judged, and the time."""
    judged = [number(row[name]) for name in ("validation_loss", f"validation_{metric}") if name in row]
    named = {"epoch", "loss", metric, "validation_loss", f"validation_{metric}", "seconds", "examples_per_second"}
    others = [f"{name.removeprefix('validation_').replace('_', ' ')} {number(row[name])}" for name in row if name not in named]
    trained = f"loss {number(row['loss'])} {metric} {number(row[metric])}"
    trained = "" if metric.startswith("sampled") else trained  # no number to hold beside the full loss
    parts = [*filter(None, [trained]), *(["validation " + " ".join(judged)] if judged else []), *others, f"{row['seconds']:.1f} s"]
    return f"epoch {row['epoch']}/{epochs}: " + ", ".join(parts)


def number(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def write_rows(run: Run) -> None:
    """metrics.jsonl and TensorBoard's events: always written whole, so that they agree with the checkpoint after a crash."""
    from .events import write_events

    write_text(run.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in run.rows))
    write_events(run.path / EVENTS, run.rows, run.record["begun"])
