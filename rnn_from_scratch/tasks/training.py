"""One run from beginning to end, the same for every task: settings, directory, resume, loop, results, pictures."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from .. import backends, cells
from ..data import InputError
from . import FAST, PRESETS, loop, plots, rundir
from .settings import check, settings_of


def train(
    preset: str,
    out: str | Path,
    *,
    fast: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    allow_drift: bool = False,
    console: Console | None = None,
    tell: Callable[[dict[str, Any], str], None] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """Train, and write all of it to the run directory `out`. Returns what run.json holds, and the epochs' rows.

    preset: a name of PRESETS; given: the settings that shall differ from it. fast: those of FAST, where not given.
    overwrite: replace the run at `out`. resume: go on with it, to the same bits as if it had never been stopped; its settings hold,
    only those of rundir.ADJUSTABLE may be given anew; on another machine only with allow_drift.
    tell(row, line): told of every epoch, in place of printing the line.
    Raises InputError before anything is written, and KeyboardInterrupt after Ctrl-C.
    """
    with loop.CtrlC() as ctrl_c:
        console = console or Console()
        tell = tell or (lambda row, line: console.out(line, highlight=False))
        if resume and overwrite:
            raise InputError("--resume and --overwrite: expected one of them, got both")
        if resume and fast:
            raise InputError("--resume and --fast: a run goes on with its own settings; leave --fast out")
        if allow_drift and not resume:
            raise InputError("--allow-drift: only a run that --resume goes on with can drift; leave it out")
        given = check(preset, {**(FAST[preset] if fast else {}), **given})
        task, settings = PRESETS[preset][0], settings_of(preset, given.get("data"))
        out = Path(out)
        run = rundir.reopen(out, preset, given) if resume else rundir.begin(out, preset, {**settings, **given}, overwrite)
        if set(run.settings) != set(settings):
            raise InputError(f"{out}: begun by another version of this package: its settings are {', '.join(run.settings)}")
        drift = run.check_drift(allow_drift) if resume else ""
        keras.utils.set_random_seed(run.settings["seed"])
        tf.config.experimental.enable_op_determinism()
        work = import_module(f".{task}", __package__).prepare(run.settings)
        if "cell" in run.settings:
            run.ground("backend", backend(run.settings))
        run.ground("data", work.data)
        console.out(work.data["source"], highlight=False)
        console.out(", ".join(f"{n:,} {part}" for part, n in work.data["sizes"].items()), highlight=False)
        for note in work.data.get("notes", ()):
            console.out(note, highlight=False)
        if drift:
            console.out(f"begun elsewhere, so the last bits of the numbers may differ: {drift}", highlight=False)
        publish = saver(out, work.model)
        try:
            if resume:
                run.lock()
                run.load_checkpoint(work.variables)
                if finished := whole(run):
                    console.out(finished, highlight=False)
                    return {**run.record, "epochs": run.rows}
                run.save()
            else:
                run.record["begun"] = round(time.time(), 3)
                run.start(work.variables)
                for name, value in work.files.items():
                    rundir.write_json(out / name, value)
            loop.fit(run, work, publish, ctrl_c, console, tell)
            return conclude(run, work, publish, console)
        finally:
            run.unlock()


def whole(run: rundir.Run) -> str:
    """That a run has nothing left to do, and what would give it more; or ""."""
    if run.record["status"] != "done" or (len(run.rows) < run.settings["epochs"] and not loop.out_of_patience(run)):
        return ""
    ended = f"{run.path}: finished after {len(run.rows)} epochs"
    if loop.out_of_patience(run):
        return f"{ended}: --patience {run.settings['patience']} brought nothing better"
    return f"{ended}; --epochs M goes on to M epochs"


def conclude(run: rundir.Run, work: loop.Program, publish: Callable[[], None], console: Console) -> dict[str, Any]:
    """Put the best weights back; the last numbers, the pictures, the final table."""
    for variable, value in zip(work.model.variables, run.best_weights):
        variable.assign(value)
    publish()  # again: a run killed between a checkpoint and publish() has the model of an epoch before on disk
    loop.write_rows(run)
    results, pictures = work.finish()
    pictures["loss.png"] = plots.learning_curve(run.rows, work.curves or work.labels, work.title)
    for name, made in pictures.items():
        rundir.replace(run.path / name, made if callable(made) else partial(made.savefig, dpi=160))
    run.save("done", results={"best_epoch": run.progress["best_epoch"], **results})
    for name, value in run.record["results"].items():
        console.out(f"{name.replace('_', ' '):36}{loop.number(value)}", highlight=False)
    for words in work.judge(run.record["results"]):
        console.out(words, highlight=False)
    console.out(f"all in {run.path}", highlight=False)
    return {**run.record, "epochs": run.rows}


def saver(out: Path, model: keras.Model) -> Callable[[], None]:
    return lambda: rundir.replace(out / "model.keras", model.save)


def backend(settings: dict[str, Any]) -> str:
    """The backend that the layers will run on."""
    x = np.zeros((1, 1, 1), "float32")
    return backends.usable(settings["backend"], cells.by_name(settings["cell"]), {}, x)


def task_of(run_dir: str | Path, *tasks: str) -> str:
    """The task of a run, one of `tasks`. Raises InputError."""
    run = rundir.read(Path(run_dir))
    task = PRESETS.get(run.record["task"], ("",))[0]
    if task not in tasks:
        raise InputError(f"{run.path}: a run of {run.record['task']}; expected a run of {' or '.join(tasks)}")
    return task


def load_model(run_dir: str | Path, *tasks: str) -> tuple[rundir.Run, keras.Model]:
    """The run and its best model, for one of `tasks`. Raises InputError."""
    task_of(run_dir, *tasks)
    run = rundir.read(Path(run_dir))
    path, preset = run.path / "model.keras", run.record["task"]
    if not path.is_file():
        raise InputError(f"{path}: no such file: the run was stopped in its first epoch; train {preset} --resume goes on with it")
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: damaged: {error}") from error
    if damaged:
        raise InputError(f"{path}: damaged at {damaged}")
    return run, keras.saving.load_model(path)


def read_json(path: Path) -> Any:
    """A small file of a run. Raises InputError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged: {error}") from error
