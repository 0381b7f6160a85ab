"""A run directory: what a training run was told, how far it is, what came out.

    run.json          settings, versions, data, one row per epoch, results; status is running, interrupted, diverged or done
    checkpoint.npz    all that --resume needs, in one file so that no two can disagree: variables of model and optimizer, epochs
    model.keras       the model after the last whole epoch, for keras.saving.load_model and `predict`
    *.png             pictures

Every file is written under a temporary name and then renamed: it is whole or it is the one before.
"""

from __future__ import annotations

import json
import os
import platform
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..data import InputError

FILES = ("run.json", "checkpoint.npz", "model.keras", "loss.png", "misread.png")  # all that --overwrite may delete
ADJUSTABLE = ("epochs", "data")  # settings that --resume may change: more epochs; the same data (by its digest) elsewhere
BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE")  # NumPy's products round by these


def replace(path: Path, save: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all: save(temporary path), then rename it to `path`. Raises InputError if the disk refuses."""
    temporary = path.with_name(f"{path.stem}.tmp{path.suffix}")
    try:
        save(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


class Run:
    """One run directory. Made by begin() or reopen(); nothing is written before start()."""

    def __init__(self, path: Path, record: dict[str, Any]):
        self.path = path
        self.record = record  # what run.json holds

    @property
    def settings(self) -> dict[str, Any]:
        return self.record["settings"]

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """One row per whole epoch."""
        return self.record["epochs"]

    def ground(self, name: str, value: Any) -> None:
        """Note what the bits stand on: the backend, the data. Raises InputError if the run was begun on another."""
        known = self.record.setdefault(name, value)
        if known != value and (name != "data" or known["sha256"] != value["sha256"]):
            raise InputError(f"--resume: {self.path} was begun on another {name}, with other numbers: {known}, now {value}")
        self.record[name] = value

    def drift(self) -> str:
        """How this machine differs from the one that the run was begun on, or "": the last bits of the numbers may differ."""
        now, then = versions(), self.record["versions"]
        return ", ".join(f"{name} {then.get(name)!r} -> {now[name]!r}" for name in now if then.get(name) != now[name])

    def start(self, variables: Sequence[Any]) -> None:
        """Make the directory, or empty it of an earlier run's files; write run.json and a checkpoint. Raises InputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"--out {self.path}: cannot be written: {error.strerror}") from error
        self.save()
        self.save_checkpoint(variables)

    def save(self, status: str = "running", **more: Any) -> None:
        """Write run.json, with `more` added to it."""
        self.record.update(more, status=status)
        write_json(self.path / "run.json", self.record)

    def save_checkpoint(self, variables: Sequence[Any]) -> None:
        """Write the state after a whole epoch: Keras `variables` in order, and the epochs' rows."""
        arrays = {f"variable_{n:04d}": v.numpy() for n, v in enumerate(variables)}
        arrays["epochs"] = np.array(json.dumps(self.epochs))
        replace(self.path / "checkpoint.npz", lambda temporary: np.savez(temporary, **arrays))

    def load_checkpoint(self, variables: Sequence[Any]) -> None:
        """Undoes save_checkpoint. Raises InputError if the file is damaged or of another model."""
        path = self.path / "checkpoint.npz"
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            epochs = json.loads(str(arrays.pop("epochs")))
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path}: missing or damaged ({error}); start anew with --overwrite") from error
        saved = [arrays[name] for name in sorted(arrays)]
        if [a.shape for a in saved] != [tuple(v.shape) for v in variables]:
            raise InputError(f"{path}: holds the variables of another model; start anew with --overwrite")
        for variable, value in zip(variables, saved):
            variable.assign(value)
        if len(epochs) > self.settings["epochs"]:
            raise InputError(f"--epochs: {self.path} has {len(epochs)} epochs already, got {self.settings['epochs']}")
        self.record["epochs"] = epochs


def begin(out: Path, task: str, settings: dict[str, Any], overwrite: bool) -> Run:
    """A new run at `out`. Raises InputError if something is there, unless `overwrite` and it is a run directory, or empty."""
    if out.exists() or out.is_symlink():
        if not overwrite:
            raise InputError(f"--out {out}: exists already; --resume goes on with it, --overwrite replaces it")
        if not out.is_dir() or (any(out.iterdir()) and not is_run(out)):
            raise InputError(f"--out {out}: --overwrite replaces run directories only, and this has no run.json of ours")
    record = {"program": "rnn_from_scratch", "task": task, "status": "running", "settings": settings, "versions": versions()}
    return Run(out, {**record, "epochs": []})


def reopen(out: Path, task: str, given: dict[str, Any]) -> Run:
    """The run at `out`, to go on with; its settings hold, and those `given` may differ in ADJUSTABLE alone. Raises InputError."""
    run = read(out)
    if run.record["task"] != task:
        raise InputError(f"--resume: {out} is a run of {run.record['task']}, not of {task}")
    for name, value in given.items():
        if value != run.settings[name] and name not in ADJUSTABLE:
            option = "--" + name.replace("_", "-")
            raise InputError(f"--resume: {out} was begun with {option} {run.settings[name]}, got {value}; leave it out")
    run.settings.update(given)
    return run


def is_run(path: Path) -> bool:
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("program") == "rnn_from_scratch"


def read(path: Path) -> Run:
    """The run directory at `path`. Raises InputError if it is none."""
    if not path.is_dir():
        raise InputError(f"{path}: no such run directory")
    if not is_run(path):
        raise InputError(f"{path}: not a run directory: it has no readable run.json of ours")
    return Run(path, json.loads((path / "run.json").read_text(encoding="utf-8")))


def versions() -> dict[str, str]:
    """What the last bits of the numbers may depend on: Python, the packages, the machine, its CPUs and NumPy's BLAS threads."""
    import keras
    import tensorflow as tf

    packages = {"rnn_from_scratch": __version__, "numpy": np.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    blas = ", ".join(f"{name}={os.environ[name]}" for name in BLAS if name in os.environ)
    return {"python": platform.python_version(), **packages, "machine": platform.platform(), "cpus": str(cpus), "blas": blas}
