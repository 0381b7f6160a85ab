"""The training loop of every task: epochs of batches, a progress bar, a checkpoint after each epoch, an orderly Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..data import InputError
from .rundir import Run

Row = dict[str, Any]


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


def bar(console: Console) -> Progress:
    """Epoch, loss, accuracy, examples per second, and the time left for the whole run."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=10),
        TextColumn("loss {task.fields[loss]:.4f} accuracy {task.fields[accuracy]:.2%} {task.fields[speed]:,.0f} examples/s left"),
        TimeRemainingColumn(),
        console=console,
    )


def fit(
    run: Run,
    step: Callable[..., tuple[Any, Any]],
    batches: Callable[[int], Iterator[tuple[Any, ...]]],
    examples: int,
    validate: Callable[[], Row],
    variables: Sequence[Any],
    publish: Callable[[], None],
    ctrl_c: CtrlC,
    console: Console,
) -> None:
    """Train from the epochs that `run` has to those its settings ask for.

    step(*batch) -> (mean loss, how many are right) of the batch, before it moves the variables
    batches(epoch) -> the batches of that epoch, which depend on the epoch number and the settings alone; `examples` in all
    validate() -> more columns for the epoch's row
    variables: all that a step reads and moves, optimizer included; publish() writes what others read after each epoch
    Raises KeyboardInterrupt after Ctrl-C, and InputError if the loss is no longer finite; run.json says so too.
    """
    epochs = run.settings["epochs"]
    with bar(console) as progress:
        fields: Row = {"loss": math.nan, "accuracy": math.nan, "speed": 0}
        shown = progress.add_task("", total=epochs * examples, completed=len(run.epochs) * examples, **fields)
        for epoch in range(len(run.epochs) + 1, epochs + 1):
            start, seen, loss_sum, right_sum = time.perf_counter(), 0, 0.0, 0
            for batch in batches(epoch):
                loss, right = step(*batch)
                loss, right = float(loss), int(right)
                if ctrl_c.pressed:
                    run.save("interrupted")
                    raise KeyboardInterrupt(f"interrupted in epoch {epoch} of {epochs}; --resume goes on after epoch {epoch - 1}")
                if not math.isfinite(loss):
                    run.save("diverged")
                    raise InputError(f"loss: became {loss} in epoch {epoch}; begin a new run with a smaller --learning-rate")
                count = len(batch[0])
                seen, loss_sum, right_sum = seen + count, loss_sum + loss * count, right_sum + right
                speed = seen / (time.perf_counter() - start)
                means: Row = {"loss": loss_sum / seen, "accuracy": right_sum / seen}
                progress.update(shown, advance=count, description=f"epoch {epoch}/{epochs}", speed=speed, **means)
            row = {"epoch": epoch, **means, **validate()}
            row.update(seconds=round(time.perf_counter() - start, 3), examples_per_second=round(speed, 1))
            run.epochs.append(row)
            run.save_checkpoint(variables)
            publish()
            run.save()
            console.print(
                f"epoch {epoch}/{epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.2%}; "
                f"validation {row['validation_loss']:.4f}, {row['validation_accuracy']:.2%}; {row['seconds']:.1f} s",
                highlight=False, soft_wrap=True,
            )
