"""MNIST read row by row: 28 steps of 28 pixels through stacked recurrent layers; the last output -> dense 10 -> softmax.

Adam; the loss is the mean cross-entropy. The order of the digits in an epoch depends on the seed and the epoch's number alone, so
that a resumed run makes the very same steps as one that was never stopped.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from .. import backends, cells, layers
from ..data import InputError
from ..data import mnist as data
from . import TASKS, loop, plots, rundir
from .classifier import make_infer, make_step, pixels, score

Array = Any


class Split(NamedTuple):
    """uint8 images [N,28,28] and labels [N] of the training, validation and test digits."""

    x: Array
    y: Array
    x_validation: Array
    y_validation: Array
    x_test: Array
    y_test: Array


def train(
    out: str | Path, *, resume: bool = False, overwrite: bool = False, console: Console | None = None, **given: Any
) -> dict[str, Any]:
    """Train, and write all of it to the run directory `out`. Returns what run.json holds.

    given: the settings that shall differ from TASKS["mnist"]. overwrite: replace the run at `out`. resume: go on with it, to the
    same bits as if it had never been stopped; its settings hold, only `epochs` and the place of the data may be given anew.
    Raises InputError before anything is written, and KeyboardInterrupt after Ctrl-C.
    """
    out, console, given = Path(out), console or Console(), check(given)
    if resume and overwrite:
        raise InputError("--resume and --overwrite: expected one of them, got both")
    run = rundir.reopen(out, "mnist", given) if resume else rundir.begin(out, "mnist", {**TASKS["mnist"], **given}, overwrite)
    digits = data.load(run.settings["data"])
    split = divide(digits)
    sizes = {"training": len(split.x), "validation": len(split.x_validation), "test": len(split.x_test)}
    run.ground("backend", backend(run.settings))
    run.ground("data", {"source": digits.source, "digits": sizes, "sha256": digest(digits)})
    console.out(f"data: {digits.source}; " + ", ".join(f"{n:,} {part}" for part, n in sizes.items()), highlight=False)

    keras.utils.set_random_seed(run.settings["seed"])
    tf.config.experimental.enable_op_determinism()
    model = build(run.settings)
    optimizer = keras.optimizers.Adam(run.settings["learning_rate"])
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    if resume:
        if run.drift():
            console.out(f"begun elsewhere, so the last bits of the numbers may differ: {run.drift()}", highlight=False)
        run.load_checkpoint(variables)
        run.save()
    else:
        run.start(variables)
    infer = make_infer(model)

    def validate() -> dict[str, float]:
        loss, accuracy = score(infer(split.x_validation), split.y_validation)
        return {"validation_loss": loss, "validation_accuracy": accuracy}

    def publish() -> None:
        curve = plots.learning_curve(run.epochs, f"MNIST, {title(run.settings)}")
        rundir.replace(out / "model.keras", model.save)
        rundir.replace(out / "loss.png", lambda path: curve.savefig(path, dpi=120))

    step = make_step(model, optimizer)
    epoch_batches = partial(batches, split, run.settings)
    with loop.CtrlC() as ctrl_c:
        loop.fit(run, step, epoch_batches, len(split.x), validate, variables, publish, ctrl_c, console)
        publish()  # again: a run killed between a checkpoint and publish() resumes with the model of the epoch before on disk
        log_p = infer(split.x_test)
        loss, accuracy = score(log_p, split.y_test)
        sheet = plots.misread_sheet(split.x_test, split.y_test, np.exp(log_p))
        rundir.replace(out / "misread.png", lambda path: sheet.savefig(path, dpi=120))
        misread = int((log_p.argmax(axis=1) != split.y_test).sum())
        run.save("done", results={"test_loss": loss, "test_accuracy": accuracy, "misread": misread})
    console.out(f"test accuracy {accuracy:.2%}: {misread:,} of {len(log_p):,} digits misread; all in {out}", highlight=False)
    return run.record


def check(given: dict[str, Any]) -> dict[str, Any]:
    """The given settings, the cell under its own name. Raises InputError for what is unknown or out of range."""
    for name, value in given.items():
        option = "--" + name.replace("_", "-")
        if name not in TASKS["mnist"]:
            raise InputError(f"{option}: mnist has no such setting; it has {', '.join(TASKS['mnist'])}")
        if name in ("layers", "units", "epochs", "batch_size") and value < 1:
            raise InputError(f"{option}: expected a whole number of at least 1, got {value}")
        if name == "seed" and value < 0:
            raise InputError(f"--seed: expected a whole number of at least 0, got {value}")
        if name == "learning_rate" and not 0 < value < float("inf"):
            raise InputError(f"--learning-rate: expected a number above 0, got {value}")
    wanted = {**TASKS["mnist"], **given}
    try:
        cell = cells.by_name(wanted["cell"], activation=wanted["activation"])
        backends.usable(wanted["backend"], cell, {}, np.zeros((1, 1, 1), "float32"))
    except ValueError as error:
        raise InputError(f"--{error}") from error
    name = next(name for name, kind in cells.CELLS.items() if kind is type(cell))
    return {**given, "cell": name} if "cell" in given else given


def backend(settings: dict[str, Any]) -> str:
    """The backend that the layers will run on."""
    x = np.zeros((1, 1, 1), "float32")
    return backends.usable(settings["backend"], cells.by_name(settings["cell"]), {}, x)


def divide(digits: data.Digits) -> Split:
    """The first sixth of the training digits, at most 5,000, is for validation, as in the book. Raises InputError."""
    m = min(5000, len(digits.x_train) // 6)
    if m == 0:
        raise InputError(f"--data: expected at least 6 training digits, got {len(digits.x_train)}")
    return Split(digits.x_train[m:], digits.y_train[m:], digits.x_train[:m], digits.y_train[:m], digits.x_test, digits.y_test)


def digest(digits: data.Digits) -> str:
    """SHA-256 of all images and labels."""
    digest = hashlib.sha256()
    for array in digits[:4]:
        digest.update(array.tobytes())
    return digest.hexdigest()


def title(settings: dict[str, Any]) -> str:
    name = type(cells.by_name(settings["cell"])).__name__
    return f"{settings['layers']} x {name}({settings['units']}), Adam {settings['learning_rate']:g}, batch {settings['batch_size']}"


def build(settings: dict[str, Any]) -> keras.Model:
    """[B,28,28] pixels in 0..1 -> stacked recurrent layers -> logits [B,10]."""
    layer = getattr(layers, type(cells.by_name(settings["cell"])).__name__)
    model = keras.Sequential([keras.Input((28, 28), name="rows")], name="mnist")
    for n in range(1, settings["layers"] + 1):
        options = {"activation": settings["activation"], "backend": settings["backend"], "return_sequences": n < settings["layers"]}
        model.add(layer(settings["units"], **options, name=f"{settings['cell']}_{n}"))
    model.add(keras.layers.Dense(10, name="logits"))
    return model


def batches(split: Split, settings: dict[str, Any], epoch: int) -> Iterator[tuple[Array, Array]]:
    """The epoch's batches: pixels [B,28,28] in 0..1 and labels [B]."""
    order = np.random.default_rng([settings["seed"], epoch]).permutation(len(split.x))
    for start in range(0, len(order), settings["batch_size"]):
        rows = order[start : start + settings["batch_size"]]
        yield pixels(split.x[rows]), split.y[rows].astype("int32")


def predict(run_dir: str | Path, source: str | Path | None = None, *, invert: bool = False) -> tuple[Array, Array | None, str]:
    """Read digits with the model of a run directory.

    source: a PNG of 28 x 28, an IDX file of images, a folder of the four IDX files or "keras" (their test digits); None: the test
    digits of the embedded sample. invert: for dark digits on bright paper.
    Returns probabilities [N,10], the labels [N] where known, and where the digits are from. Raises InputError.
    """
    x, y, where = images(source)
    model = load_model(rundir.read(Path(run_dir)))
    return np.exp(make_infer(model)(255 - x if invert else x)), y, where


def images(source: str | Path | None) -> tuple[Array, Array | None, str]:
    """uint8 [N,28,28], the labels or None, and where they are from, for predict."""
    path = Path(source) if source is not None else None
    if path is None or str(source) == "keras" or path.is_dir():
        digits = data.load(source)
        return digits.x_test, digits.y_test, f"the test digits of {digits.source}"
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    with open(path, "rb") as file:
        png = file.read(8) == b"\x89PNG\r\n\x1a\n"
    return (data.read_png(path) if png else data.read_images(path)), None, str(path)


def load_model(run: rundir.Run) -> keras.Model:
    """The model after the last whole epoch. Raises InputError."""
    path = run.path / "model.keras"
    if run.record["task"] != "mnist":
        raise InputError(f"{run.path}: a run of {run.record['task']}, which reads no digits")
    if not path.is_file():
        raise InputError(f"{path}: no such file: the run was stopped in its first epoch; train mnist --resume goes on with it")
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except zipfile.BadZipFile as error:
        raise InputError(f"{path}: damaged: {error}") from error
    if damaged:
        raise InputError(f"{path}: damaged at {damaged}")
    return keras.saving.load_model(path)
