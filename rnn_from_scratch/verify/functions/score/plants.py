"""The errors that are planted into right gradients: four slips inside the backward pass (kinds.py), eight in what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....typing import Array
from .kinds import NAMES, SLIPS, Case, Kind, case

Gradients = list[Any]
PARAMETERS = tuple(NAMES.index(name) for name in ("Wx", "Wh", "bf", "bn"))


def in_one(change: Callable[[Array], Any]) -> Callable[[Gradients, int], Gradients]:
    """The change, in the gradient of one input, as the seed has it."""

    def plant(found: Gradients, seed: int) -> Gradients:
        k = np.random.default_rng([seed, 2]).integers(len(found) - 1)
        return [change(g) if j == k else g for j, g in enumerate(found)]

    return plant


def transpose(found: Gradients, seed: int) -> Gradients:
    """dWh, which is square, the other way round."""
    return [g.T.copy() if name == "Wh" else g for name, g in zip(NAMES, found)]


def swapped(found: Gradients, seed: int) -> Gradients:
    """dbf for dbn: the two have one shape."""
    *first, dbf, dbn, nothing = found
    return [*first, dbn, dbf, nothing]


def one_element(found: Gradients, seed: int) -> Gradients:
    """Half as much again in one element of a gradient of a parameter."""
    rng = np.random.default_rng([seed, 3])
    k = rng.choice(PARAMETERS)
    wrong = found[k].copy()
    wrong[tuple(rng.integers(n) for n in wrong.shape)] *= 1.5
    return [wrong if j == k else g for j, g in enumerate(found)]


PLANTS: dict[str, Callable[[Gradients, int], Gradients] | None] = {
    "sign": in_one(lambda g: -g),
    "factor 2": in_one(lambda g: 2 * g),
    "zero": in_one(np.zeros_like),
    "None": in_one(lambda g: None),
    "0.1 % off": in_one(lambda g: (g * 1.001).astype(g.dtype)),
    "transpose": transpose,
    "swapped inputs": swapped,
    "one element": one_element,
    **dict.fromkeys(SLIPS),
}


def planted(kind: Kind, seed: int, plant: str) -> Case:
    """The case of a kind with one error in its backward pass."""
    change = PLANTS[plant]
    right = case(kind, seed, slip="" if change else plant)
    if change is None:
        return right
    return right._replace(backward=lambda *a: change(right.backward(*a), seed))


def moves(right: Case, wrong: Case, seed: int) -> float:
    """How far the plant moves the gradients, relative to them: the most of any input, over some upstream gradients."""
    rng, most = np.random.default_rng(seed), 0.0
    outputs = right.forward(*right.inputs)
    for _ in range(4):
        dy = [np.asarray(rng.standard_normal(y.shape), y.dtype) for y in (outputs if isinstance(outputs, tuple) else [outputs])]
        for g, w in zip(right.backward(*right.inputs, *dy), wrong.backward(*right.inputs, *dy)):
            if g is not None:
                most = max(most, apart(g, np.zeros_like(g) if w is None else w))
    return most


def apart(right: Array, wrong: Array) -> float:
    scale, off = np.max(np.abs(right)), np.max(np.abs(wrong / 2 - right / 2))  # halves: a difference of the largest numbers is none
    return float(2 * (off / scale)) if scale else float(np.inf if off else 0)
