"""Small models of each kind of page, with random weights: what page takes, and nothing that must be trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_from_scratch import cells, init_params
from rnn_from_scratch.explain import record

CHARACTERS = ["\n", " ", "<", "a", "b", "c", "e", "\u202e", "\U0001f600"]


def dense(rng: np.random.Generator, rows: int, columns: int) -> dict[str, Any]:
    return {"W": rng.standard_normal((rows, columns)).astype("float32"), "b": rng.standard_normal(columns).astype("float32")}


def stack(rng: np.random.Generator, inputs: int, units: int, *chosen: Any) -> list[tuple[Any, dict[str, Any]]]:
    return [(cell, init_params(cell, inputs if n == 0 else units, units, rng)) for n, cell in enumerate(chosen)]


def text(units: int = 5, steps: int = 20, chosen: tuple = (cells.LSTM(), cells.GRU()), seed: int = 0) -> tuple[tuple, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    V, D = len(CHARACTERS), 4
    codes = rng.integers(0, V, steps)
    more = {
        "before": {"embedding": rng.standard_normal((V, D)).astype("float32")},
        "head": {**dense(rng, units, V), "activation": "softmax", "reads": "all"},
        **{"vocabulary": CHARACTERS, "labels": CHARACTERS},
        "loss": {"step": steps - 2, "output": int(codes[-1])},
    }
    return (stack(rng, D, units, *chosen), codes), more


def rows(reads: str = "last of every layer", projection: bool = True, seed: int = 0) -> tuple[tuple, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    units, chosen = 4, (cells.SimpleRNN("relu"), cells.PeepholeLSTM())
    more = {
        "before": {"dense": dense(rng, 6, 3)} if projection else None,
        "head": {**dense(rng, units * (2 if reads != "last" else 1), 10), "activation": "softmax", "reads": reads},
        "labels": [str(n) for n in range(10)],
    }
    return (stack(rng, 3 if projection else 6, units, *chosen), rng.random((7, 6)).astype("float32")), more


def series(reads: str = "all", seed: int = 0) -> tuple[tuple, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    more = {"head": {**dense(rng, 4, 1), "activation": "linear", "reads": reads}, "scale": {"mean": 3.5, "divide": 2.0}, "inputs": ["load"]}
    return (stack(rng, 1, 4, cells.CoupledLSTM()), np.sin(np.arange(9))[:, None].astype("float32")), more


def translation(attention: bool = True, reverse: bool = True, seed: int = 0) -> tuple[tuple, dict[str, Any]]:
    rng = np.random.default_rng(seed)
    V, D, units, chosen = len(CHARACTERS), 4, 5, (cells.LSTM(), cells.LSTM())
    codes, embedding = rng.integers(0, V, 8), rng.standard_normal((V, D)).astype("float32")
    encoder = {"layers": stack(rng, D, units, *chosen), "embedding": embedding, "codes": rng.integers(0, V, 6), "names": CHARACTERS}
    head = {**dense(rng, 3 if attention else units, V), "activation": "softmax", "reads": "all"}
    if attention:
        W, V_, b = (rng.standard_normal(shape).astype("float32") for shape in ((units, units), (2 * units, 3), 3))
        head["attention"] = {"W": W, "V": V_, "b": b}
    more = {
        "before": {"embedding": rng.standard_normal((V, D)).astype("float32")},
        **{"head": head, "kind": "translation", "vocabulary": CHARACTERS, "labels": CHARACTERS},
        "loss": {"step": 3, "output": int(codes[4])},
        "encoder": {**encoder, "replacements": [0, 1], "reversed": reverse},
    }
    return (stack(rng, D, units, *chosen), codes), more


TRANSLATIONS = {"attention": translation(), "not reversed": translation(reverse=False, seed=1), "no attention": translation(False)}
MODELS = {
    "text": text(),
    "rows": rows(),
    "rows, last": rows("last", False),
    "series": series(),
    "series, last": series("last"),
}


def model_of(layers: Any, more: dict[str, Any]) -> record.Model:
    """The same in float64, as record.py computes with it."""
    return record.model_of(layers, more.get("before"), more.get("head"))
