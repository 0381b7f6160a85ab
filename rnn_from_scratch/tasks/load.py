"""The next value of electricity load from the last `steps`: recurrent layers, then a linear output, beside simple forecasters.

Chronological parts: 70 % training, 15 % validation, 15 % test. A window, its target included, lies in one part alone, and the values
are standardised by mean and spread of the training part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..data import InputError
from ..data import load as data
from ..typing import Array
from . import models, plots
from .loop import Program

LABELS = {"loss": "mean squared error (of standardised load)", "mae": "mean absolute error (of standardised load)"}
PARTS = ("training", "validation", "test")
READING = ("column", "client", "decimal", "fill", "period")  # settings that say how to read a file
STARTS = 200  # forecasts of `horizon` steps are judged from so many places in the test part


def prepare(settings: dict[str, Any]) -> Program:
    values, source, notes, filled = data.load(settings["data"], **{name: settings[name] for name in READING if name in settings})
    parts = divide(values, settings, source)
    mean, spread = standard(parts[0], source)
    standardised = [((part - mean) / spread).astype("float32") for part in parts]
    training, validation, test = (windows(part, settings["steps"]) for part in standardised)
    model = build(settings)
    optimizer = models.optimizer(settings, model)
    infer = models.make_infer(model)

    def validate() -> dict[str, float]:
        difference = infer(validation[0]) - validation[1]
        return {"validation_loss": float(np.mean(difference**2)), "validation_mae": float(np.mean(np.abs(difference)))}

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        guesses = {**rivals(training, test, standardised[2], settings), "model": infer(test[0])[:, 0]}
        kept = slice(max(0, settings["period"] - settings["steps"]), None)  # where a value of yesterday is known
        results = {"test_mse": float(np.mean((guesses["model"] - test[1][:, 0]) ** 2)), "test_targets": len(test[1][kept])}
        results |= {f"rmse_{name}": rmse(guess[kept], test[1][kept, 0]) * spread for name, guess in guesses.items()}
        results["percent_below_persistence"] = 100 * (1 - results["rmse_model"] / results["rmse_persistence"])
        picture, ahead = forecasts(infer, standardised[2] * spread + mean, mean, spread, settings)
        return {**results, **ahead}, {"forecast.png": picture}

    steps = tf.TensorSpec([None, settings["steps"], 1])
    return Program(
        data={
            "source": source,
            "sizes": {f"{name} windows": len(part[0]) for name, part in zip(PARTS, (training, validation, test))},
            "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
            "notes": notes,
            "filled": filled,
        },
        title=f"load, {models.title(settings)}",
        model=model,
        optimizer=optimizer,
        labels=LABELS,
        examples=len(training[0]),
        batches=partial(batches, training, settings),
        step=models.make_step(model, optimizer, models.errors(model), steps, tf.TensorSpec([None, 1])),
        validate=validate,
        finish=finish,
        judge=partial(judge, settings=settings),
        files={"scale.json": {"mean": mean, "spread": spread}},
    )


def judge(results: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Lines for a model that a simple forecaster beats, one step ahead or over the whole horizon."""
    said = []
    if results["rmse_model"] >= results["rmse_persistence"]:
        said.append("One row ahead the model does not beat the last value: train it longer.")
    names = ("persistence", "same_time_yesterday")
    better = [name.replace("_", " ") for name in names if results["horizon_rmse_model"] >= results[f"horizon_rmse_{name}"]]
    if better:
        model = f"--units {settings['units']} that read --steps {settings['steps']}"
        said.append(f"Over {settings['horizon']} rows, each forecast fed back, {model} do not")
        said.append(f"beat {' or '.join(better)}; more of both hold longer.")
    return said


def divide(values: Array, settings: dict[str, Any], source: str) -> list[Array]:
    """The values of the three parts, in order of time. Raises InputError, which names `source`, if one is too short."""
    ends = [0, int(0.7 * len(values)), int(0.85 * len(values)), len(values)]
    parts = [values[a:b] for a, b in pairwise(ends)]
    needed = max(settings["steps"], settings["period"]) + settings["horizon"] + 1
    if len(parts[1]) < needed:
        raise InputError(f"{source}: expected at least {-(-needed * 100 // 15):,} rows for --steps and --horizon, got {len(values):,}")
    return parts


def standard(training: Array, source: str) -> tuple[float, float]:
    """Mean and standard deviation. Raises InputError, which names `source`, if nothing varies."""
    if training.std() == 0:
        raise InputError(f"{source}: the load never changes in the training part; there is nothing to learn")
    return float(training.mean()), float(training.std())


def windows(part: Array, steps: int) -> tuple[Array, Array]:
    """Every window of a part, [N,T,1], and the value after it, [N,1]."""
    view = np.lib.stride_tricks.sliding_window_view(part, steps + 1)
    return view[:, :-1, None], view[:, -1:]


def build(settings: dict[str, Any]) -> keras.Model:
    """[B,T,1] -> recurrent layers -> the next value [B,1]."""
    x = keras.Input((settings["steps"], 1), name="load")
    outputs, _ = models.stack(x, settings)
    return keras.Model(x, keras.layers.Dense(1, name="regression")(outputs[-1][:, -1]), name="load")


def batches(training: tuple[Array, Array], settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Array, Array]]:
    """The epoch's batches from number `first`: values [B,T,1] and next values [B,1], in random order."""
    B, (x, y) = settings["batch_size"], training
    order = np.random.default_rng([settings["seed"], epoch]).permutation(len(x))
    for start in range(first * B, len(order), B):
        rows = order[start : start + B]
        yield x[rows], y[rows]


def rivals(training: tuple[Array, Array], test: tuple[Array, Array], part: Array, settings: dict[str, Any]) -> dict[str, Array]:
    """Forecasters to beat, for every window of the test part: the last value, the one a period before, a linear fit of the window."""
    T, period = settings["steps"], settings["period"]
    place = np.arange(len(test[1])) + T - period
    yesterday = np.where(place >= 0, part[np.maximum(place, 0)], np.nan)
    ones = [np.column_stack([x[:, :, 0].astype(float), np.ones(len(x))]) for x in (training[0], test[0])]
    weights = np.linalg.lstsq(ones[0].T @ ones[0], ones[0].T @ training[1].astype(float), rcond=None)[0]
    return {"persistence": part[T - 1 : -1], "same_time_yesterday": yesterday, "linear_autoregression": (ones[1] @ weights)[:, 0]}


def rmse(guess: Array, truth: Array, axis: int | None = None) -> Any:
    error = np.sqrt(np.mean((guess.astype(float) - truth) ** 2, axis=axis))
    return float(error) if axis is None else error


def extend(infer: Callable[[Array], Array], known: Array, mean: float, spread: float, horizon: int) -> Array:
    """Feed every forecast back: known [N,T] in the data's unit -> the next `horizon` values [N,horizon]."""
    values, T = (known - mean) / spread, known.shape[1]
    for _ in range(horizon):
        values = np.concatenate([values, infer(values[:, -T:, None].astype("float32"))], axis=1)
    return values[:, T:] * spread + mean


def forecasts(infer: Callable[[Array], Array], part: Array, mean: float, spread: float, settings: dict[str, Any]) -> tuple[Any, Any]:
    """Forecasts of `horizon` steps from STARTS places of the test part: a picture, and the error over all steps."""
    T, period, horizon = settings["steps"], settings["period"], settings["horizon"]
    first = max(T, period)
    starts = np.unique(np.linspace(first, len(part) - horizon, STARTS).astype(int))
    truth = part[starts[:, None] + np.arange(horizon)]
    guesses = {
        "model": extend(infer, part[starts[:, None] + np.arange(-T, 0)], mean, spread, horizon),
        "persistence": np.repeat(part[starts - 1][:, None], horizon, axis=1),
        "same time yesterday": part[starts[:, None] - period + np.arange(horizon) % period],
    }
    errors = {name: rmse(guess, truth, axis=0) for name, guess in guesses.items()}
    middle = len(starts) // 2
    past = part[starts[middle] - min(first, max(T, horizon)) : starts[middle]]
    picture = plots.forecast(past, truth[middle], {name: guess[middle] for name, guess in guesses.items()}, errors)
    overall = {f"horizon_rmse_{name.replace(' ', '_')}": rmse(guess, truth) for name, guess in guesses.items()}
    return picture, overall


def predict(run_dir: str | Path, source: str | Path | None, horizon: int, **given: str) -> tuple[Array, data.Load]:
    """The `horizon` values after the end of a CSV (None: of the embedded data), and what was read; it is read as the run's own was.

    given: the settings of READING that shall differ from the run's. Raises InputError.
    """
    from .training import load_model, read_json

    run, model = load_model(run_dir, "load")
    scale, T = read_json(run.path / "scale.json"), run.settings["steps"]
    if "column" in given:
        given = {"client": "", **given}
    read = data.load(source, **({name: run.settings[name] for name in READING} if source else {}) | given)
    if len(read.values) < T:
        raise InputError(f"{read.source}: expected at least {T} rows, got {len(read.values)}")
    return extend(models.make_infer(model), read.values[None, -T:], scale["mean"], scale["spread"], horizon)[0], read
