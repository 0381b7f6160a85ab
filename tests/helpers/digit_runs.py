"""Small folders of digits and small training runs for the tests."""

import json
import zipfile
from functools import partial

import h5py
import numpy as np
import pytest

from rnn_from_scratch.data import mnist as data
from rnn_from_scratch.tasks import training

train = partial(training.train, "mnist")

# 250 training digits: four steps an epoch
SMALL = {"cell": "gru", "layers": 2, "units": 6, "epochs": 2, "batch_size": 70, "learning_rate": 0.01, "seed": 3}
# Keras 3.15 saves with np.array(variable), whose __array__ NumPy 2 finds old-fashioned
KERAS_SAVES = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"


def write_digits(folder, train=300, test=50):
    """The first digits of the embedded sample as the four IDX files; of 300, 50 are for validation."""
    folder.mkdir()
    d = data.load()
    for name, array in zip(data.FILES, (d.x_train[:train], d.y_train[:train], d.x_test[:test], d.y_test[:test])):
        data.write_idx(folder / name, array)
    return folder


def record(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def rows(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def timeless(value):
    """A row, results or progress without what the clock says."""
    if isinstance(value, list):
        return [timeless(part) for part in value]
    if not isinstance(value, dict):
        return value
    clock = ("seconds", "examples_per_second", "faster_head")
    return {name: timeless(part) for name, part in value.items() if name not in clock and not name.endswith("_ms")}


def bits(out):
    """All that must not depend on interruptions: every variable, the progress, the rows, the results, the saved weights."""
    with np.load(out / "checkpoint.npz") as file:
        arrays = {name: file[name].tobytes() for name in file.files if name != "progress"}
        progress = timeless(json.loads(str(file["progress"])))
    weights = {}
    with zipfile.ZipFile(out / "model.keras") as archive, archive.open("model.weights.h5") as opened, h5py.File(opened) as file:
        file.visititems(lambda name, item: weights.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None)
    return arrays, progress, timeless(rows(out)), timeless(record(out)["results"]), weights


class KilledError(BaseException):
    """Passes through everything, as kill -9 does."""


def killed_at(monkeypatch, task, epoch, n, run):
    """run(), in which batch number `n` of `epoch` never comes."""
    batches = task.batches

    def killed(*args):
        *_, now, first = args
        for place, batch in enumerate(batches(*args), first):
            if (now, place) == (epoch, n):
                raise KilledError
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(task, "batches", killed)
        with pytest.raises(KilledError):
            run()
