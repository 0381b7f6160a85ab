"""The programs that train. All here is plain data, so that the command line can show it without loading TensorFlow.

training.py   one run from beginning to end, shared by all; loop.py trains, rundir.py keeps it on disk, models.py has the common layers
mnist.py, series.py, load.py, char.py, word2vec.py, translate.py   the tasks; each has prepare(settings) -> loop.Program
"""

from __future__ import annotations

from typing import Any

COMMON: dict[str, Any] = {
    "cell": "simple_rnn",
    "layers": 1,
    "units": 100,
    "activation": "tanh",
    "dropout": 0.0,
    "epochs": 10,
    "batch_size": 50,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "decay": 1.0,
    "clip": 0.0,
    "backend": "auto",
    "seed": 0,
    "save_every": 60.0,
}
MNIST = {**COMMON, "units": 150, "batch_size": 150, "projection": 0, "readout": "top", "examples": 0, "data": None}
SERIES = {**COMMON, "activation": "relu", "epochs": 15, "steps": 20, "resolution": 0.1, "span": 30.0, "head": "stacked"}
ONE_WINDOW = {"steps": 100, "resolution": 0.15, "span": 15.0, "batch_size": 1, "epochs": 100}
LOAD = {
    **COMMON,
    **{"cell": "lstm", "units": 5, "batch_size": 100, "optimizer": "adagrad", "learning_rate": 0.03, "epochs": 11},
    **{"steps": 5, "period": 96, "horizon": 96, "patience": 3, "data": None},
    **{"column": "", "client": "", "decimal": "", "fill": ""},
}
CHAR = {
    **COMMON,
    **{"cell": "lstm", "units": 64, "learning_rate": 0.002, "decay": 0.97, "clip": 5.0, "epochs": 5},
    **{"embedding": 64, "bptt": 50, "data": None},
}
WORD2VEC = {
    **{"vocabulary": 50_000, "embedding": 150, "window": 1, "negatives": 64, "init_range": 0.1},
    **{"epochs": 4, "batches": 10_000, "batch_size": 128, "learning_rate": 0.01, "decay": 1.0},
    **{"data": None, "seed": 0, "save_every": 60.0},
}
TRANSLATE = {
    **COMMON,
    **{"cell": "lstm", "units": 256, "embedding": 150, "dropout": 0.2, "clip": 1.0},
    **{"epochs": 3, "batch_size": 32, "learning_rate": 4e-3, "decay": 0.5},
    **{"tokens": "bpe", "vocabulary": 4000, "attention": True, "reverse": True, "sampled": 0, "max_length": 50, "data": None},
}

# preset -> the task whose module trains it, and all of its settings: the books' configurations
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "mnist": ("mnist", MNIST),
    "mnist-rnn": ("mnist", {**MNIST, "epochs": 30}),
    "mnist-deep-rnn": ("mnist", {**MNIST, "layers": 3, "units": 100, "activation": "relu", "readout": "all"}),
    "mnist-lstm": ("mnist", {**MNIST, "cell": "lstm", "layers": 3}),
    "mnist-lstm-proj": (
        "mnist",
        {**MNIST, "cell": "lstm", "units": 128, "projection": 128, "batch_size": 128, "examples": 50_000, "epochs": 2},
    ),
    "series": ("series", SERIES),
    "series-one": ("series", {**SERIES, **ONE_WINDOW}),
    "deep-series": ("series", {**SERIES, **ONE_WINDOW, "layers": 3, "learning_rate": 1e-5}),
    "series-dropout": ("series", {**SERIES, "layers": 3, "dropout": 0.5, "learning_rate": 0.01}),
    "load": ("load", LOAD),
    "char": ("char", CHAR),
    "word2vec": ("word2vec", WORD2VEC),
    "word2vec-book": ("word2vec", {**WORD2VEC, "init_range": 1.0, "batches": 2000, "epochs": 5}),
    "translate": ("translate", TRANSLATE),
    "translate-book": (
        "translate",
        {**TRANSLATE, "layers": 3, "units": 200, "vocabulary": 20_000, "tokens": "words", "sampled": 512},
    ),
}

# what a preset sets where no --data is given, for the data of the package: translate reads dates then
EMBEDDED: dict[str, dict[str, Any]] = {
    "translate": {
        **{"cell": "gru", "units": 64, "embedding": 32, "dropout": 0.0, "clip": 0.0, "epochs": 2, "learning_rate": 0.01, "decay": 0.7},
        "tokens": "characters",
    },
    "translate-book": {"units": 64, "learning_rate": 0.01, "decay": 0.7, "tokens": "characters", "vocabulary": 60, "sampled": 20},
}

# what --fast sets, to learn something on the embedded data within some seconds
FAST: dict[str, dict[str, Any]] = {
    "mnist": {"epochs": 2},
    "mnist-rnn": {"epochs": 2},
    "mnist-deep-rnn": {"epochs": 2},
    "mnist-lstm": {"layers": 2, "units": 64, "epochs": 2, "learning_rate": 4e-3},
    "mnist-lstm-proj": {"units": 64, "projection": 64, "epochs": 2, "learning_rate": 4e-3},
    "series": {"epochs": 3, "learning_rate": 3e-3},
    "series-one": {"epochs": 3},
    "deep-series": {"units": 10, "epochs": 3, "learning_rate": 5e-3},
    "series-dropout": {"units": 10, "epochs": 4, "dropout": 0.02},
    "load": {"cell": "simple_rnn", "units": 1, "epochs": 1, "optimizer": "adam", "learning_rate": 0.01, "horizon": 8},
    "char": {"epochs": 1, "units": 64, "batch_size": 100, "learning_rate": 0.02},
    "word2vec": {"vocabulary": 3000, "embedding": 50, "epochs": 2, "batches": 3000},
    "word2vec-book": {"vocabulary": 3000, "embedding": 50, "epochs": 2},
    "translate": {"epochs": 1},
    "translate-book": {"layers": 1, "epochs": 2, "batch_size": 64},
}
