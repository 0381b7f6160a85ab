"""A training run as a document: its layers, its head, and one thing that it reads: a text, a digit, a window of a series, a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data import InputError
from ..data import mnist as digits_data
from ..data import text as text_data
from ..tasks import rundir
from ..tasks.tensorflow_import import load_tensorflow
from ..typing import Array
from .record import document

CHARACTERS = 100  # of a text that nobody named
OPTIONS = {"char": ("text",), "translate": ("text",), "mnist": ("digit",), "series": ("start",), "load": ("start",)}


def document_of(run_dir: str | Path, *, text: str | None = None, digit: int | None = None, start: int | None = None) -> dict[str, Any]:
    """The document of a run directory; None chooses what is read: the end of the text, a test sentence, test digit 0,
    the last window.

    run_dir  of char, translate, an mnist task, a series task or load
    text     char: the text to read; translate: the sentence
    digit    mnist: a number of the test digits
    start    series, load: the row at which the window begins

    Raises InputError.
    """
    layers, x, made = read(run_dir, text=text, digit=digit, start=start)
    return document(layers, x, **made)


def read(
    run_dir: str | Path, *, text: str | None = None, digit: int | None = None, start: int | None = None
) -> tuple[list[Any], Array, dict[str, Any]]:
    """The layers of a run, what they read, and the rest of what record.document takes. The arguments are those of document_of."""
    load_tensorflow()
    from ..tasks import models, training  # noqa: F401 - models tells Keras of the layers of this package, which a saved model names

    task = training.task_of(run_dir, *OPTIONS)
    given = {"text": text, "digit": digit, "start": start}
    for name, value in given.items():
        if value is not None and name not in OPTIONS[task]:
            raise InputError(f"--{name}: a run of {task} has --{' and --'.join(OPTIONS[task])} instead; leave it out")
    run, model = training.load_model(run_dir, task)
    layers = recurrent_layers(model)
    told = {"settings": run.settings, "versions": run.record["versions"], "results": run.record.get("results", {})}
    title = f"{run.record['task']}: {run.settings['layers']} x {run.settings['cell']}({run.settings['units']})"
    reads = {"char": char, "translate": translate, "mnist": mnist, "series": series, "load": load}[task]
    made = reads(run, model, {name: given[name] for name in OPTIONS[task]})
    return made.pop("layers", layers), made.pop("x"), {"title": f"{title}, {made.pop('what')}", "run": told, **made}


def recurrent_layers(model: Any) -> list[tuple[Any, dict[str, Array]]]:
    """(cell, params) of every recurrent layer of ours, from the bottom up."""
    return [(layer.cell.maths, layer.cell.params()) for layer in model.layers if hasattr(getattr(layer, "cell", None), "maths")]


def dense(model: Any, name: str) -> dict[str, Array]:
    W, b = model.get_layer(name).get_weights()
    return {"W": W, "b": b}


def char(run: rundir.Run, model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The characters of a text; the loss is how likely the last one is after the others."""
    from ..tasks.training import read_json

    characters = read_json(run.path / "vocabulary.json")
    if given["text"] is None:
        codes = end_of_training_text(run)
    else:
        codes = text_data.numbers_of(given["text"], characters, "--text")
    if len(codes) < 2:
        raise InputError(f"--text: expected at least 2 characters, got {len(codes)}")
    codes = np.asarray(codes, np.int64)
    return {
        "x": codes,
        "what": f"{len(codes)} characters",
        "kind": "text",
        "before": {"embedding": model.get_layer("embedding").get_weights()[0]},
        "head": {**dense(model, "logits"), "activation": "softmax", "reads": "all"},
        "vocabulary": characters,
        "labels": characters,
        "loss": {"step": len(codes) - 2, "output": int(codes[-1])},
    }


def translate(run: rundir.Run, model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """A sentence and its translation as `translate` writes it; the loss is how likely its end is. The layers are the decoder's."""
    from ..data import tokens
    from ..tasks import translate as task
    from ..tasks import translate_command

    translator, vocabulary, settings = translate_command.restore(run.path)
    text = first_test_source(run.path) if given["text"] is None else translate_command.check_text(given["text"])
    read = task.as_read(vocabulary.encode(text.strip()), settings)
    (made,) = translator.translate([read], 2 * settings["max_length"], translate_command.BEAM)
    names = vocabulary.tokens
    both = [[(layer.cell.maths, layer.cell.params()) for layer in side] for side in (translator.encoder, translator.decoder)]
    head = {**dense(model, "logits"), "activation": "softmax", "reads": "all"}
    if settings["attention"]:
        head["attention"] = dict(zip("WVb", model.get_layer("attention").get_weights()))
    embedding, common = model.get_layer("source_embedding").get_weights()[0], len(tokens.SPECIAL)
    return {
        "layers": both[1],
        "x": np.array([tokens.GO, *made, tokens.EOS], np.int64),
        "what": f"{len(read)} tokens to {len(made)}",
        "kind": "translation",
        "before": {"embedding": model.get_layer("target_embedding").get_weights()[0]},
        "head": head,
        **{"vocabulary": names, "labels": names},
        "loss": {"step": 0, "output": [*made, tokens.EOS][0]},
        "encoder": {
            **{"layers": both[0], "embedding": embedding, "codes": np.array(read, np.int64), "names": names},
            **{"replacements": [common, common + 1], "reversed": settings["reverse"]},  # the commonest tokens
        },
    }


def first_test_source(run_dir: Path) -> str:
    """The source that the run's attention.png shows. Raises InputError if the data has changed or gone."""
    from ..tasks import translate as task

    run = rundir.read(run_dir)
    split = task.read_pairs(run.settings)
    if split.sha256 != run.record["data"]["sha256"]:
        raise InputError(f"{split.source}: not the pairs that {run.path} was trained on; give a sentence with --text")
    return task.shortest_of(split.test)


def end_of_training_text(run: rundir.Run) -> Array:
    """The last characters of the text that the run was trained on, which it held out. Raises InputError if the text has changed or gone."""
    read = text_data.load(run.settings["data"])
    if read.sha256 != run.record["data"]["sha256"]:
        raise InputError(f"{read.source}: not the text that {run.path} was trained on; give a text with --text")
    return read.codes[-CHARACTERS:]


def mnist(run: rundir.Run, model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """A test digit of the run's data, row by row."""
    digits, n = digits_data.load(run.settings["data"]), given["digit"] or 0
    if not 0 <= n < len(digits.x_test):
        raise InputError(f"--digit: expected 0 to {len(digits.x_test) - 1}, the test digits of {digits.source}, got {n}")
    reads = "last of every layer" if run.settings["readout"] == "all" else "last"
    return {
        "x": digits.x_test[n].astype("float32") / 255,
        "what": f"test digit {n}, truly {digits.y_test[n]}",
        "kind": "rows",
        "before": {"dense": dense(model, "projection")} if run.settings["projection"] else None,
        "head": {**dense(model, "logits"), "activation": "softmax", "reads": reads},
        "labels": [str(label) for label in range(10)],
    }


def series(run: rundir.Run, model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """A window of the series; row n is time n * resolution."""
    from ..tasks import series as task

    T, step = run.settings["steps"], run.settings["resolution"]
    last = round(run.settings["span"] / step) - T
    start = last if given["start"] is None else given["start"]
    if not 0 <= start <= last:
        raise InputError(f"--start: expected 0 to {last}, since the span has {last + T} rows and a window {T}, got {start}")
    t = (start + np.arange(T)) * step
    head = {**dense(model, "projection"), "activation": "linear", "reads": "all"}
    what = f"values from time {t[0]:.4g} to {t[-1]:.4g}"
    return {"x": task.series(t).astype("float32")[:, None], "what": what, "kind": "series", "head": head, "inputs": ["value"]}


def load(run: rundir.Run, model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """A window of the load, standardised as the model reads it."""
    from ..data import load as data
    from ..tasks import load as task
    from ..tasks.training import read_json

    scale, T = read_json(run.path / "scale.json"), run.settings["steps"]
    read = data.load(run.settings["data"], **{name: run.settings[name] for name in task.READING if name in run.settings})
    last = len(read.values) - T
    start = last if given["start"] is None else given["start"]
    if not 0 <= start <= last:
        raise InputError(f"--start: expected 0 to {last:,}, since {read.source} has {last + T:,} rows and a window {T}, got {start:,}")
    x = ((read.values[start : start + T] - scale["mean"]) / scale["spread"]).astype("float32")[:, None]
    head = {**dense(model, "regression"), "activation": "linear", "reads": "last"}
    told = {"mean": scale["mean"], "divide": scale["spread"]}
    return {"x": x, "what": f"rows {start:,} to {start + T - 1:,}", "kind": "series", "head": head, "scale": told, "inputs": ["load"]}
