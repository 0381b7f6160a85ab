"""The next value of t*sin(t)/3 + 2*sin(5t) from `steps` values before it, and new values fed back one at a time.

Every batch is new: windows that begin at random within `span`. Where the window fills the span there is only one, and that
is trained on again and again. An epoch is 100 batches.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..data import InputError
from ..typing import Array
from . import models, plots
from .loop import Program

BATCHES = 100  # in an epoch
LABELS = {"loss": "mean squared error (units of the series squared)", "mae": "mean absolute error (units of the series)"}
TEST = 2**40  # where the seeds of the windows begin that are never trained on


def series(t: Array) -> Array:
    return t * np.sin(t) / 3 + 2 * np.sin(5 * t)


def prepare(settings: dict[str, Any]) -> Program:
    check(settings)
    model = build(settings)
    optimizer = models.optimizer(settings, model)
    infer = models.make_infer(model)

    def mse(count: int) -> float:
        x, y = windows(settings, TEST, count)
        return float(np.mean((infer(x) - y) ** 2))

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        x, y = windows(settings, TEST, 4000)
        results = {"test_mse": mse(4000), "mean_value_mse": float(y.var()), "last_value_mse": float(np.mean((x - y) ** 2))}
        created = plots.creation(creations(infer, settings, 300), settings["resolution"], settings["steps"])
        pictures = {"prediction.png": prediction(infer, settings), "creation.png": created}
        return {**results, **compare_heads(model, settings)}, pictures

    kind = "the same window" if one_window(settings) else "windows at random"
    steps = tf.TensorSpec([None, settings["steps"], 1])
    return Program(
        data={
            "source": f"t*sin(t)/3 + 2*sin(5t) for t in 0..{settings['span']:g}, {kind}",
            "sizes": {"values a window": settings["steps"], "windows an epoch": BATCHES * settings["batch_size"], "test windows": 4000},
            "sha256": hashlib.sha256(series(np.arange(0, 30, 0.1)).round(9).tobytes()).hexdigest(),
        },
        title=f"series, {models.title(settings)}",
        model=model,
        optimizer=optimizer,
        labels=LABELS,
        examples=BATCHES * settings["batch_size"],
        batches=partial(batches, settings),
        step=models.make_step(model, optimizer, models.errors(model), steps, steps),
        validate=lambda: {"validation_loss": mse(400)},
        finish=finish,
        judge=judge,
        watched=False,  # the book's programs keep the last weights
    )


def judge(results: dict[str, Any]) -> list[str]:
    names = ("mean", "last")
    better = [f"the {name} value" for name in names if results["test_mse"] >= results[f"{name}_value_mse"]]
    return [f"Saying {' or '.join(better)} every time does no worse: train it longer."] if better else []


def check(settings: dict[str, Any]) -> None:
    """Raise InputError unless a window fits into the span."""
    needed = settings["steps"] * settings["resolution"]
    if needed > settings["span"] * (1 + 1e-9):
        got = f"{settings['steps']} steps of {settings['resolution']:g} in a span of {settings['span']:g}"
        raise InputError(f"--span: expected at least steps x resolution = {needed:g}, got {got}")


def one_window(settings: dict[str, Any]) -> bool:
    return settings["span"] - settings["steps"] * settings["resolution"] < 1e-9


def build(settings: dict[str, Any]) -> keras.Model:
    """[B,T,1] -> recurrent layers -> [B,T,1]: one dense for all steps at once, or one step after the other."""
    x = keras.Input((settings["steps"], 1), name="values")
    outputs, _ = models.stack(x, settings)
    return keras.Model(x, head(settings["head"], keras.layers.Dense(1, name="projection"), outputs[-1]), name="series")


def head(name: str, dense: Any, h: Any) -> Any:
    """stacked: one product for all outputs [B*T,H]; per_step: a product for every step, as TensorFlow 1's OutputProjectionWrapper."""
    return dense(h) if name == "stacked" else keras.ops.stack([dense(h[:, t]) for t in range(h.shape[1])], axis=1)


def windows(settings: dict[str, Any], seed: int, count: int) -> tuple[Array, Array]:
    """`count` windows [count,T,1] that begin at random, and the same one value later; `seed` beside the run's own."""
    T, step = settings["steps"], settings["resolution"]
    start = np.random.default_rng([settings["seed"], seed]).random((count, 1)) * (settings["span"] - T * step)
    values = series(start + np.arange(T + 1) * step).astype("float32")[:, :, None]
    return values[:, :-1], values[:, 1:]


def batches(settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Array, Array]]:
    """The epoch's batches from number `first`: values [B,T,1] and the next values [B,T,1]."""
    for n in range(first, BATCHES):
        yield windows(settings, epoch * BATCHES + n, settings["batch_size"])


def creations(infer: Callable[[Array], Array], settings: dict[str, Any], length: int) -> dict[str, Array]:
    """`length` new values after a window of zeros, and after the real window that ends the span: seed and new values [T+length].

    A relu network fed its own answers can grow without end: every value is held within twice the largest of the series.
    """
    T, step = settings["steps"], settings["resolution"]
    seeds = np.stack([np.zeros(T), series(settings["span"] - (T - np.arange(T)) * step)])
    limit = 2 * np.abs(series(np.linspace(0, settings["span"], 1000))).max()
    values = np.zeros((2, T + length), "float32")
    values[:, :T] = seeds
    for n in range(length):
        values[:, T + n] = infer(values[:, n : n + T, None])[:, -1, 0].clip(-limit, limit)
    return {"zeros": values[0], "a real window": values[1]}


def prediction(infer: Callable[[Array], Array], settings: dict[str, Any]) -> Any:
    """The picture of one window: what the model read, what comes next, what it says."""
    T, step = settings["steps"], settings["resolution"]
    start = min(12.2, settings["span"] - T * step)  # the book's window
    t = start + np.arange(T + 1) * step
    fine = np.linspace(0, settings["span"], 1000)
    answer = infer(series(t[None, :-1, None]).astype("float32"))[0, :, 0]
    return plots.prediction(fine, series(fine), t[1:], series(t[1:]), answer)


def compare_heads(model: keras.Model, settings: dict[str, Any]) -> dict[str, Any]:
    """The two heads on the same outputs of a recurrent layer: how far their answers differ, what each costs, which is faster."""
    h = np.random.default_rng(0).standard_normal((settings["batch_size"], settings["steps"], settings["units"])).astype("float32")
    heads = {name: tf.function(partial(head, name, model.get_layer("projection"))) for name in ("stacked", "per_step")}
    answers = [apply(h).numpy() for apply in heads.values()]
    milliseconds: dict[str, list[float]] = {name: [] for name in heads}
    for _ in range(50):  # in turns, so that a slow moment strikes both
        for name, apply in heads.items():
            begun = time.perf_counter()
            apply(h)
            milliseconds[name].append(1000 * (time.perf_counter() - begun))
    best = {name: min(times) for name, times in milliseconds.items()}
    results: dict[str, Any] = {"heads_differ_by": float(np.abs(answers[0] - answers[1]).max())}
    results |= {f"{name}_head_ms": round(ms, 3) for name, ms in best.items()}
    faster, slower = sorted(best, key=best.__getitem__)
    return {**results, "faster_head": f"{faster}, by {best[slower] / best[faster]:.1f} x"}


def generate(run_dir: str | Path, length: int) -> tuple[dict[str, Array], Any]:
    """creations() of a run's model, and their picture. Raises InputError."""
    from .training import load_model

    run, model = load_model(run_dir, "series")
    created = creations(models.make_infer(model), run.settings, length)
    return created, plots.creation(created, run.settings["resolution"], run.settings["steps"])
