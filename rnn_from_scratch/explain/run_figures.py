"""Figures of one kind of run alone: attention of translate, words of word2vec, sharpness of digits; with their numbers as rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import InputError
from ..typing import Array

Rows = list[list[Any]]


def attention(run_dir: Path, text: str | None) -> tuple[Any, Rows]:
    """A row for each token of the translation of `text`, a column for each of the source. None: a test sentence. Raises InputError."""
    from ..tasks.tensorflow_import import load_tensorflow

    load_tensorflow("tensorflow")
    from ..tasks import translate, translate_command, translation_plots
    from .runs import first_test_source

    translator, vocabulary, settings = translate_command.restore(run_dir)
    if not settings["attention"]:
        raise InputError(f"plot attention: {run_dir} was trained with --no-attention: there is nothing to draw")
    source = first_test_source(run_dir) if text is None else translate_command.check_text(text)
    read, written, p = translate.look(source, translator, vocabulary, settings, translate_command.BEAM)
    return translation_plots.attention(p, read, written), [["written", *read], *([name, *row] for name, row in zip(written, p.tolist()))]


def sharpness(run_dir: Path) -> tuple[Any, Rows]:
    """The largest eigenvalue of the loss's Hessian along the training of a run on digits, which is made once more. Raises InputError."""
    from ..tasks import PRESETS, rundir
    from ..tasks.tensorflow_import import load_tensorflow

    record = rundir.read(run_dir).record
    if PRESETS.get(record["task"], ("",))[0] != "mnist":
        raise InputError(f"plot sharpness: {run_dir} is a run of {record['task']}; expected a run on digits, of train mnist or mnist-...")
    load_tensorflow("tensorflow")
    from ..tasks import sharpness as task

    rows, title = task.along_training(record["settings"])
    return task.figure(rows, title), [list(rows[0]), *(list(row.values()) for row in rows)]


def embedding(run_dir: Path, seed: int) -> tuple[Any, Rows]:
    """The commonest words of a run of word2vec by t-SNE. Raises InputError."""
    from ..tasks import nearest, rundir, word_plots

    task = rundir.read(run_dir).record["task"]
    if not task.startswith("word2vec"):
        raise InputError(f"plot embedding: {run_dir} is a run of {task}; expected a run of word2vec")
    vectors: Array
    vectors, words = nearest.load(run_dir)
    names, groups = word_plots.shown(words)
    place = {word: n for n, word in enumerate(words)}
    y = word_plots.plane(vectors[[place[name] for name in names]], seed)
    rows = [[name, groups.get(name, ""), *at] for name, at in zip(names, y.tolist())]
    return word_plots.draw(y, names, groups), [["word", "group", "x", "y"], *rows]
