"""The books' numbers beside ours, from the run directories of finished runs.

python -m rnn_from_scratch.tasks.table RUNS [README.md]    RUNS: a folder of run directories; prints the table, or writes it between
                                                           README's markers. Times a training step of every model against
                                                           the same model on tf.keras' layers
"""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..data import InputError
from ..layers import to_keras
from ..verify.table import rewrite
from . import PRESETS, rundir
from .quiet import notes_held_back
from .settings import option
from .training import load_model

# preset -> result, how it is written, the book's number or the one to reach
BOOKS = {
    "mnist": ("test_accuracy", "{:.2%} right", "-"),
    "mnist-rnn": ("test_accuracy", "{:.2%} right", "98.1 %"),
    "mnist-deep-rnn": ("test_accuracy", "{:.2%} right", "98.0 %"),
    "mnist-lstm": ("test_accuracy", "{:.2%} right", "98.8 %"),
    "mnist-lstm-proj": ("test_accuracy", "{:.2%} right", "97 %"),
    "series": ("test_mse", "MSE {:.4f}", "0.043"),
    "series-one": ("test_mse", "MSE {:.4f}", "a plot"),
    "deep-series": ("test_mse", "MSE {:.4f}", "a plot"),
    "series-dropout": ("test_mse", "MSE {:.4f}", "3 to 5 with dropout on"),
    "load": ("percent_below_persistence", "RMSE {:.1f} % below persistence", "5 %, with --steps 96 7 %"),
    "char": ("bits_per_character", "{:.2f} bits per character", "2.1, on Shakespeare"),
}


def command(run: rundir.Run) -> str:
    """The options that make this run, but for the seed and the folder of the data."""
    preset = run.record["task"]
    default = {**PRESETS[preset][1], "data": run.settings.get("data"), "seed": run.settings["seed"]}
    changed = {name: value for name, value in run.settings.items() if value != default[name]}
    data = [] if run.settings.get("data") is None else ["--data", Path(run.settings["data"]).name]
    return shlex.join(["train", preset, *data, *(part for name, value in changed.items() for part in (option(name), str(value)))])


def rows(folder: Path) -> list[list[str]]:
    """A row for each configuration, its seeds together. Raises InputError."""
    groups: dict[str, list[rundir.Run]] = {}
    for path in sorted(folder.iterdir()):
        if rundir.is_run(path) and (run := rundir.read(path)).record["status"] == "done":
            groups.setdefault(command(run), []).append(run)
    if not groups:
        raise InputError(f"{folder}: holds no finished run")
    order = list(PRESETS)
    return [row(name, runs) for name, runs in sorted(groups.items(), key=lambda item: order.index(item[1][0].record["task"]))]


def row(name: str, runs: list[rundir.Run]) -> list[str]:
    key, form, book = BOOKS[runs[0].record["task"]]
    values = [run.record["results"][key] for run in runs]
    seconds = [line["seconds"] for run in runs for line in rundir.read_rows(run.path)]
    spread = f" ({form.format(min(values))} to {form.format(max(values))})" if len(values) > 1 else ""
    ours, epochs = form.format(statistics.mean(values)) + spread, f"{runs[0].settings['epochs']}"
    pace = f"{statistics.median(seconds):.1f}"
    return [f"`{name}`", book, ours, str(len(values)), epochs, pace, ratio(runs[0]), more(runs[0])]


def ratio(run: rundir.Run) -> str:
    """How many times as long a training step takes on tf.keras' layers."""
    _, model = load_model(run.path, "mnist", "series", "load", "char")
    try:
        twin = to_keras(model)
    except ValueError:  # tf.keras has no peephole LSTM
        return "-"
    steps = [gradient_step(each, run.settings) for each in (model, twin)]
    times: list[list[float]] = [[], []]
    for _ in range(7):  # in turns, so that a slow moment strikes both
        for step, seconds in zip(steps, times):
            begun = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begun)
    ours, theirs = (statistics.median(seconds[1:]) for seconds in times)  # the first one builds the graph
    return f"{theirs / ours:.1f} x"


def gradient_step(model: keras.Model, settings: dict[str, Any]) -> Any:
    """A function that takes the gradients of some loss on one batch of zeros."""
    shapes = [[settings["batch_size"], *(size or settings.get("bptt") for size in x.shape[1:])] for x in model.inputs]
    x = [tf.zeros(shape, tensor.dtype) for shape, tensor in zip(shapes, model.inputs)]

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            answer = tf.nest.flatten(model(x if len(x) > 1 else x[0], training=True))[0]
            loss = tf.reduce_mean(tf.square(answer - 1))
        return tape.gradient(loss, model.trainable_variables)

    return step


def more(run: rundir.Run) -> str:
    """What the number should be compared with."""
    results: dict[str, Any] = run.record["results"]
    kinds = {
        "last_value_mse": "last value: MSE {:.3f}",
        "unigram_bits": "letters by frequency: {:.2f}",
        "generated_well_formed": "new tunes well formed: {:.0%}",
    }
    if "rmse_persistence" in results:
        linear = 100 * (1 - results["rmse_linear_autoregression"] / results["rmse_persistence"])
        return f"linear autoregression: {linear:.1f} %"
    return "; ".join(form.format(results[key]) for key, form in kinds.items() if key in results)


def markdown(folder: Path) -> str:
    head = ["program", "to reach", "ours", "seeds", "epochs", "seconds an epoch", "tf.keras' step takes", "beside"]
    lines = [head, ["---", "--:", "--:", "--:", "--:", "--:", "--:", "---"], *rows(folder)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    try:
        with notes_held_back():
            text = markdown(Path(sys.argv[1]))
        if len(sys.argv) > 2:
            rewrite(Path(sys.argv[2]), "programs", text)
        else:
            print(text)
    except (InputError, IndexError) as error:
        print(f"error: {error}" if isinstance(error, InputError) else "error: expected RUNS [README.md]", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
