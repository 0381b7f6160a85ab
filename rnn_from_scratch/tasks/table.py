"""The books' numbers beside ours, from the run directories of finished runs.

python -m rnn_from_scratch.tasks.table RUNS [FILE]    RUNS: a folder of run directories; prints the table, or writes it between the
                                                      markers of FILE, which is README.md in this folder; what RUNS lacks stays
                                                      there as it is. Times a whole training step of every model against the
                                                      same model on tf.keras' layers
"""

from __future__ import annotations

import math
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..data import InputError
from ..layers import to_keras
from ..verify.table import rewrite
from . import PRESETS, char, models, rundir, translate, word2vec
from .settings import as_options, settings_of
from .tensorflow_import import notes_held_back
from .training import load_model

SECONDS, LEAST, MOST = 4.0, 5, 300  # how long the two sides take turns at a step, and how often

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
    "word2vec": ("number_words", "{:.0%} of number words by one", "85 %, on the corpus"),
    "word2vec-book": ("number_words", "{:.0%} of number words by one", "loss from 290 to 25, on the book's corpus"),
    "translate": ("bleu_greedy", "BLEU {:.1f} greedy", "20 in 3 epochs, 29 in 12"),
    "translate-book": ("bleu_greedy", "BLEU {:.1f} greedy", "trains"),
}
# what translate comes to without --data, and without attention
DATES = ("exact_match_greedy", "{:.1%} of dates right", "97 %")
BLIND = (*DATES[:2], "at most 10 %, to see that attention is needed")


def command(run: rundir.Run) -> str:
    """The options that make this run, but for the seed and the folder of the data."""
    preset = run.record["task"]
    default = {**settings_of(preset, run.settings.get("data")), "data": run.settings.get("data"), "seed": run.settings["seed"]}
    changed = {name: value for name, value in run.settings.items() if value != default[name]}
    data = [] if run.settings.get("data") is None else ["--data", Path(run.settings["data"]).name]
    return shlex.join(["train", preset, *data, *as_options(changed)])


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
    dates = "exact_match_greedy" in runs[0].record["results"]
    key, form, book = BOOKS[runs[0].record["task"]] if not dates else DATES if runs[0].settings["attention"] else BLIND
    values = [run.record["results"][key] for run in runs]
    spread = f" ({form.format(min(values))} to {form.format(max(values))})" if len(values) > 1 else ""
    ours, epochs = form.format(statistics.mean(values)) + spread, f"{runs[0].settings['epochs']}"
    return [f"`{name}`", book, ours, str(len(values)), epochs, *paces(runs[0]), more(runs)]


def paces(run: rundir.Run) -> list[str]:
    """Seconds that the steps of an epoch take on our layers and on tf.keras', and how many times as long the latter."""
    if PRESETS[run.record["task"]][0] == "word2vec":
        seconds = [run.settings["batches"] * each for each in shortest(word2vec.both_steps(run.settings))]
        return [f"{each:.3g}" for each in seconds] + [f"{seconds[1] / seconds[0]:.2f}"]
    _, model = load_model(run.path, "mnist", "series", "load", "char", "translate")
    try:
        both = [model, to_keras(model)]
    except ValueError:  # tf.keras has no peephole LSTM
        both = [model]
    translates = PRESETS[run.record["task"]][0] == "translate"
    steps = translate.training_steps(both, run) if translates else [training_step(each, run.settings) for each in both]
    seconds = [steps_of_an_epoch(run) * each for each in shortest(steps)]
    return [f"{each:.3g}" for each in seconds] + (["-", "-"] if len(both) == 1 else [f"{seconds[1] / seconds[0]:.2f}"])


def steps_of_an_epoch(run: rundir.Run) -> int:
    if "steps_an_epoch" in run.record["results"]:
        return run.record["results"]["steps_an_epoch"]
    epoch = rundir.read_rows(run.path)[0]
    size = run.settings["batch_size"] * run.settings.get("bptt", 1)  # text counts its characters
    return math.ceil(round(epoch["seconds"] * epoch["examples_per_second"]) / size)


def shortest(steps: list[Callable[[], float]]) -> list[float]:
    """Seconds of the shortest of many calls of each, taken in turns, so that a slow moment strikes all."""
    for step in (*steps, *steps):  # the first builds the graph
        step()
    best, begun, turns = [float("inf")] * len(steps), time.perf_counter(), 0
    while turns < LEAST or (turns < MOST and time.perf_counter() - begun < SECONDS):
        for side, step in enumerate(steps):
            started = time.perf_counter()
            step()
            best[side] = min(best[side], time.perf_counter() - started)
        turns += 1
    return best


def training_step(model: keras.Model, settings: dict[str, Any]) -> Callable[[], float]:
    """A function that makes a whole step as loop.py does, of the run's optimizer, on one batch: arrays of NumPy in, the loss out.

    The batch is noise, and the loss the squared error of the first answer: to either side what the task's own would cost.
    """
    rng, batch = np.random.default_rng(0), []
    for x in model.inputs:
        shape = [settings["batch_size"], *(size or settings["bptt"] for size in x.shape[1:])]
        codes = rng.integers(0, model.outputs[0].shape[-1], shape).astype(np.int32)
        batch.append(codes if x.dtype == "int32" else rng.standard_normal(shape).astype(np.float32))

    def measure(*x):
        answer = tf.nest.flatten(model(x if len(x) > 1 else x[0], training=True))[0]
        loss = tf.reduce_mean(tf.square(answer - 1))
        return loss, loss

    step = models.make_step(model, models.optimizer(settings, model), measure, *(tf.TensorSpec(x.shape, x.dtype) for x in batch))
    return lambda: float(step(*batch)[0])


def more(runs: list[rundir.Run]) -> str:
    """What the number should be compared with: means over the seeds."""
    kept = [name for name, value in runs[0].record["results"].items() if isinstance(value, (int, float))]
    results = {name: statistics.mean(run.record["results"][name] for run in runs) for name in kept}
    kinds = {
        "last_value_mse": "last value: MSE {:.3f}",
        "unigram_bits": "letters by frequency: {:.2f}",
        "generated_well_formed": f"new tunes well formed at temperature {char.TEMPERATURE}: {{:.0%}}",
    }
    if "rmse_persistence" in results:
        linear = 100 * (1 - results["rmse_linear_autoregression"] / results["rmse_persistence"])
        return f"linear autoregression: {linear:.1f} %"
    if "bleu_copy" in results:
        plain = f"beam {results['bleu_beam_4']:.1f}; far {results['bleu_far_greedy']:.1f}, beam {results['bleu_far_beam_4']:.1f}"
        return f"{plain}; source copied {results['bleu_copy']:.1f}; nearest training source {results['bleu_nearest']:.1f}"
    if "closed_groups" in results:
        last = statistics.mean(rundir.read_rows(run.path)[-1]["loss"] for run in runs)
        return f"words by one of their group: {results['closed_groups']:.0%}; loss {results['loss_at_start']:.0f} to {last:.1f}"
    return "; ".join(form.format(results[key]) for key, form in kinds.items() if key in results)


def markdown(folder: Path) -> str:
    head = ["program", "to reach", "ours", "seeds", "epochs", "seconds an epoch", "tf.keras", "tf.keras / ours", "beside"]
    lines = [head, ["---", *["--:"] * 7, "---"], *rows(folder)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def merged(new: str, old: str) -> str:
    """The new table, and the rows of an old one whose programs it lacks; in the order of PRESETS."""
    both = [line for line in (*old.splitlines(), *new.splitlines()) if line.startswith("| `train ")]
    head, rows = new.splitlines()[:2], {line.split("|")[1]: line for line in both}
    order = list(PRESETS)
    return "\n".join([*head, *sorted(rows.values(), key=lambda line: order.index(line.split("`")[1].split()[1]))])


def main() -> int:
    if len(sys.argv) < 2:
        print("error: expected RUNS [FILE]", file=sys.stderr)
        return 2
    try:
        with notes_held_back():
            text = markdown(Path(sys.argv[1]))
        if len(sys.argv) > 2:
            file = Path(sys.argv[2])
            rewrite(file, "programs", merged(text, file.read_text(encoding="utf-8")))
        else:
            print(text)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
