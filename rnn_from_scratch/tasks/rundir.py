"""A run directory: what a training run was told, how far it is, what came out.

    run.json          settings, versions, backend, data, results; status is running, interrupted, diverged or done
    metrics.jsonl     one row per whole epoch
    checkpoint.npz    all that --resume needs, in one file so that no two can disagree: weights, optimizer, seeds, carried
                      states, the best weights so far, the place in the epoch, the rows
    model.keras       the best weights so far (by the validation loss, where the task has one), for `predict` and `generate`
    tensorboard/      the rows for TensorBoard
    *.png, and what the task needs or makes beside them: vocabulary.json, scale.json, embeddings.npy, translations.txt

Every file is written under a temporary name and then renamed: it is whole or it is the one before.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data import InputError
from .versions import versions

try:
    import fcntl
except ImportError:  # Windows: two processes there may meet in one folder
    fcntl = None  # type: ignore[assignment]

PICTURES = ("loss.png", "misread.png", "prediction.png", "creation.png", "forecast.png", "tsne.png", "attention.png")
EVENTS = "tensorboard/events.out.tfevents.rows"
MADE = ("vocabulary.json", "scale.json", "embeddings.npy", "embeddings.txt", "translations.txt")
FILES = ("run.json", "metrics.jsonl", "checkpoint.npz", "model.keras", *MADE, *PICTURES, EVENTS)
ADJUSTABLE = ("epochs", "data", "save_every")  # settings that --resume may change; data: the same (by its digest) elsewhere


def replace(path: Path, save: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all: save(temporary path), then rename it to `path`. Raises InputError if the disk refuses."""
    temporary = path.with_name(f"{path.stem}.tmp{path.suffix}")
    try:
        save(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path, what: str) -> None:
    """Raise InputError, which begins with `what`, unless a file can be made in the folder."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"{what}: cannot be written: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make renames last through a power cut, where folders can be opened (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def fresh() -> dict[str, Any]:
    """The progress of a run that has made no step: whole epochs, then the place and the sums of the epoch under way."""
    return {"rows": [], "batch": 0, "seen": 0, "loss_sum": 0.0, "metric_sum": 0.0, "seconds": 0.0, "best_epoch": 0, "best": None}


class Run:
    """One run directory. Made by begin() or reopen(); nothing is written before start()."""

    def __init__(self, path: Path, record: dict[str, Any]):
        self.path = path
        self.record = record  # what run.json holds
        self.progress = fresh()
        self.best_weights: list[Any] = []
        self.handle: int | None = None  # of the locked folder

    @property
    def settings(self) -> dict[str, Any]:
        return self.record["settings"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per whole epoch."""
        return self.progress["rows"]

    def ground(self, name: str, value: Any) -> None:
        """Note what the bits stand on: the backend, the data. Raises InputError if the run was begun on another."""
        known = self.record.setdefault(name, value)
        if known != value and (name != "data" or known["sha256"] != value["sha256"]):
            raise InputError(f"--resume: {self.path} was begun on another {name}, with other numbers: {known}, now {value}")
        self.record[name] = value

    def check_drift(self, allowed: bool) -> str:
        """How this machine differs from the one that the run was begun on, or "". Raises InputError unless that is `allowed`."""
        now, then = versions(), self.record["versions"]
        drift = ", ".join(f"{name} {then.get(name)!r} -> {now[name]!r}" for name in now if then.get(name) != now[name])
        if drift and not allowed:
            what = "begun elsewhere, so the bits may differ from a run that was never stopped"
            raise InputError(f"--resume: {self.path} was {what}: {drift}; --allow-drift goes on all the same")
        if drift:
            self.record.setdefault("drift", []).append({"after_epoch": len(self.rows), "versions": now})
            self.record["versions"] = now
        return drift

    def lock(self) -> None:
        """Keep other processes off the folder, which exists, until unlock() or the end of this one. Raises InputError if one is at it."""
        if fcntl is None:
            return
        self.handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.unlock()
            raise InputError(f"{self.path}: another process is training here; wait for its end, or choose another --out") from error

    def unlock(self) -> None:
        if self.handle is not None:
            os.close(self.handle)
        self.handle = None

    def start(self, variables: Sequence[Any]) -> None:
        """Make the directory, or empty it of an earlier run's files; write run.json and a checkpoint. Raises InputError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock()
            self.save()  # first: with it, a directory is ours whenever this is cut short
            (self.path / "tensorboard").mkdir(exist_ok=True)
            for name in FILES[1:]:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"--out {self.path}: cannot be written: {error.strerror}") from error
        self.save_checkpoint(variables)

    def save(self, status: str = "running", **more: Any) -> None:
        """Write run.json, with `more` added to it."""
        self.record.update(more, status=status)
        write_json(self.path / "run.json", self.record)

    def identity(self) -> str:
        """What a checkpoint must agree with its run.json about."""
        fixed = {name: value for name, value in self.settings.items() if name not in ADJUSTABLE}
        return json.dumps([self.record["task"], fixed, self.record["data"]["sha256"]], sort_keys=True)

    def save_checkpoint(self, variables: Sequence[Any]) -> None:
        """Write the state of now: `variables` in order, the best weights so far, the progress."""
        arrays = {f"variable_{n:04d}": v.numpy() for n, v in enumerate(variables)}
        arrays.update({f"weights_{n:04d}": w for n, w in enumerate(self.best_weights)})
        arrays.update(progress=np.array(json.dumps(self.progress)), identity=np.array(self.identity()))
        replace(self.path / "checkpoint.npz", lambda temporary: np.savez(temporary, **arrays))

    def load_checkpoint(self, variables: Sequence[Any]) -> None:
        """Undoes save_checkpoint. Raises InputError if the file is damaged or of another run."""
        path = self.path / "checkpoint.npz"
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            progress, identity = json.loads(str(arrays.pop("progress"))), str(arrays.pop("identity"))
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{path}: missing or damaged ({error}); start anew with --overwrite") from error
        saved = [arrays[name] for name in sorted(arrays) if name.startswith("variable_")]
        if identity != self.identity() or [a.shape for a in saved] != [tuple(v.shape) for v in variables]:
            raise InputError(f"{path}: holds the state of another run; start anew with --overwrite")
        if len(progress["rows"]) > self.settings["epochs"]:
            raise InputError(f"--epochs: {self.path} has {len(progress['rows'])} epochs already, got {self.settings['epochs']}")
        for variable, value in zip(variables, saved):
            variable.assign(value)
        self.progress, self.best_weights = progress, [arrays[name] for name in sorted(arrays) if name.startswith("weights_")]


def begin(out: Path, task: str, settings: dict[str, Any], overwrite: bool) -> Run:
    """A new run at `out`. Raises InputError if something is there, unless `overwrite` and it is a run directory, or empty."""
    if out.exists() or out.is_symlink():
        if not overwrite:
            raise InputError(f"--out {out}: exists already; --resume goes on with it, --overwrite replaces it")
        if not out.is_dir() or (any(out.iterdir()) and not is_run(out)):
            raise InputError(f"--out {out}: --overwrite replaces run directories only, and this has no run.json of ours")
    record = {"program": "rnn_from_scratch", "task": task, "status": "running", "settings": settings, "versions": versions()}
    return Run(out, record)


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
    return isinstance(record, dict) and record.get("program") == "rnn_from_scratch" and {"task", "settings", "versions"} <= set(record)


def read(path: Path) -> Run:
    """The run directory at `path`. Raises InputError if it is none."""
    if not path.is_dir():
        raise InputError(f"{path}: no such run directory")
    if not is_run(path):
        raise InputError(f"{path}: not a run directory: it has no readable run.json of ours")
    return Run(path, json.loads((path / "run.json").read_text(encoding="utf-8")))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl. Raises InputError."""
    file = path / "metrics.jsonl"
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: missing or damaged: {error}") from error
