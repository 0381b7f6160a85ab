"""The encoder of a translation as part of a document: it reads the source, and its last states are those that the decoder begins with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from .arrays import numbers, wide
from .steps import Passed, Steps, run_backward, run_forward


class Encoder(NamedTuple):
    """Layers from the bottom up, float64, after they have read the source."""

    passed: list[Passed]
    states: list[Array]  # the last ones of every layer, flat, [H] each

    @property
    def keys(self) -> Array:
        """What the attention looks at: [S,K]."""
        return self.passed[-1].y[0]


def encode(encoder: dict[str, Any]) -> Encoder:
    """encoder: layers [(cell, params)], embedding [V,E], codes [S] in the order in which they are read."""
    x, passed, states = wide(encoder["embedding"])[np.asarray(encoder["codes"])][None], [], []
    for cell, params in encoder["layers"]:
        passed.append(run_forward(cell, {name: wide(a) for name, a in params.items()}, x))
        x = passed[-1].y
        states += [state[0, -1] for state in passed[-1].tape.states]
    return Encoder(passed, states)


def source_gradient(encoder: Encoder, decoder: list[Steps], dkeys: Array | None) -> Array:
    """The gradient of the loss by the vectors of the source [S,E]: through the decoder's first states, and through the keys."""
    dy = np.zeros_like(encoder.passed[-1].y) if dkeys is None else dkeys[None]
    for passed, above in zip(encoder.passed[::-1], decoder[::-1]):
        dy = run_backward(passed, dy, above.gradients.initial_state).gradients.x
    return dy[0]


def stored(encoder: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """As the document has it: of the embedding, the rows that are read, and two that can stand in for any of them."""
    codes, replacements = list(map(int, encoder["codes"])), list(map(int, encoder["replacements"]))
    used = sorted({*codes, *replacements})
    place = {code: n for n, code in enumerate(used)}
    return {
        "layers": [
            {**row, "params": {name: numbers(a) for name, a in params.items()}} for row, (_, params) in zip(rows, encoder["layers"])
        ],
        "embedding": numbers(np.asarray(encoder["embedding"])[used]),
        "codes": [place[code] for code in codes],
        "replacements": [place[code] for code in replacements],
        "reversed": bool(encoder["reversed"]),
        "names": [encoder["names"][code] for code in used],
    }
