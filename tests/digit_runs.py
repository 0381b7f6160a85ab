"""Small folders of digits and small training runs for the tests."""

import json

from matplotlib.figure import Figure

from rnn_from_scratch.data import mnist as data
from rnn_from_scratch.tasks import mnist, plots

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


def train_whole(folder):
    """A run on the digits of `folder` that was never stopped."""
    out = folder.parent / "whole"
    mnist.train(out, data=str(folder), **SMALL)
    return out


def draw_nothing(monkeypatch):
    """Half of a small run's time goes into drawing."""
    monkeypatch.setattr(plots, "learning_curve", lambda epochs, title: Figure(figsize=(1, 1)))
    monkeypatch.setattr(plots, "misread_sheet", lambda x, y, p: Figure(figsize=(1, 1)))


def record(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))
