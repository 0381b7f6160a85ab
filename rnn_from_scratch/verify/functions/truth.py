"""How the true slopes of a user's function are found: complex step where it can go, else central differences."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ...typing import Array
from .derivatives import Inputs, Move, Slopes, central, circle, complex_step
from .function import Function

Moves = Mapping[tuple[int, str, int], Move]  # input, block, number -> a direction
TOLERANCES = {"complex": 1e-12, "central": 1e-7}  # float64 gradients, by method
COARSE = {2: 2e-2, 4: 2e-5}  # shorter gradients, by the bytes of their dtype
ZERO = 8  # a truth of at most so many times its noise is zero, and ours must be as small
VAGUE = {2: 0.1, 4: 2e-2, 8: 1e-4}  # a default tolerance that had to be widened so much decides nothing
WIDE = 2  # so many of the circles are wide
ANALYTIC = 2.5e-8  # complex step and Cauchy's formula agree so well, or forward_fn is not analytic


class Truth(NamedTuple):
    """The method, whether float32 inputs are widened to float64 for it, the tolerance asked for, and the agreement shown.

    agreed: (input, block) -> how well complex step agreed with Cauchy's formula there. No budget is tighter than that.
    """

    method: str
    wide: bool
    tol: float | None
    agreed: Mapping[tuple[int, str], float] = MappingProxyType({})

    def inputs(self, function: Function) -> Inputs:
        return tuple(a.astype(float) if self.wide and a.dtype.kind == "f" else a for a in function.inputs)

    def slopes(self, function: Function, move: Move, weights: Array) -> Slopes:
        if self.method == "complex":
            return complex_step(function.flat, self.inputs(function), move, weights)
        return central(function.flat, self.inputs(function), move, weights, (self.tol or TOLERANCES["central"]) / 100)

    def budget(self, dtype: np.dtype, floor: float) -> tuple[float, str]:
        """The relative error allowed, and why that decides nothing ("" if it does).

        A tolerance that was asked for holds; the default one gives way to what the number side cannot know, up to a limit.
        """
        default = COARSE.get(dtype.itemsize, TOLERANCES[self.method])
        allowed = max(default, 4 * floor) if self.tol is None else self.tol
        vague = self.tol is None and allowed > VAGUE.get(dtype.itemsize, VAGUE[8])
        return allowed, f"the slopes are known to {floor:.0e} only" if vague else ""


def choose(function: Function, method: str, tol: float | None, moves: Moves, rng: np.random.Generator) -> tuple[Truth, tuple[str, ...]]:
    """The method to use, and notes on why; `moves` are directions to compare methods along.

    Raises ValueError for method="complex" where the function cannot take complex.
    """
    if method not in ("auto", "complex", "central"):
        raise ValueError(f"method: expected auto, complex or central, got {method!r}")
    notes, here, wide = [], function.flat(function.inputs), False
    if any(function.inputs[k].dtype.itemsize < 8 for k in function.floating):
        why = why_not(function, Truth("central", True, tol).inputs(function), here, float)
        wide = not why
        notes.append(f"the truth is forward_fn in {'float64' if wide else f'the dtype of its inputs: {why}'}")
    if method == "central":
        return Truth("central", wide, tol), tuple(notes)
    why = why_not(function, tuple(a.astype(complex) if a.dtype.kind == "f" else a for a in function.inputs), here, complex)
    if not why:
        inputs = Truth("complex", wide, tol).inputs(function)
        agreed = agreement(function, inputs, moves, rng)
        if all(value <= ANALYTIC for value in agreed.values()):
            return Truth("complex", wide, tol, agreed), tuple(notes)
        why = "it disagrees with differences: forward_fn is not analytic (abs, max, real, ...) or has a corner here"
    if method == "complex":
        raise ValueError(f"method: no complex step here: {why}")
    return Truth("central", wide, tol), (*notes, f"no complex step: {why}")


def agreement(function: Function, inputs: Inputs, moves: Moves, rng: np.random.Generator) -> dict[tuple[int, str], float]:
    """(input, block) -> how well complex step and Cauchy's formula agree, at the best radius, relative to the slopes.

    0: to rounding, on a wide circle. On a narrow one rounding itself is large, and the agreement is no better than it.
    inf: they differ by more than rounding on every circle.
    """
    outputs = len(function.flat(function.inputs))
    weights = np.eye(outputs) if outputs <= 4 else rng.standard_normal((4, outputs))
    found: dict[tuple[int, str], float] = {}
    for (k, block, _), move in moves.items():
        exact = complex_step(function.flat, inputs, move, weights)
        scale, apart = float(np.max(np.abs(exact.value))), list[float]()
        for there in circle(function.flat, inputs, move, weights):
            off, noise = float(np.max(there.off(exact.value))), float(np.max(there.noise))
            if np.isfinite(noise):
                apart.append(0.0 if off <= noise and len(apart) < WIDE else off + noise if off <= noise else np.inf)
                if not apart[-1]:
                    break
        value = 0.0 if 0.0 in apart else min(apart, default=np.inf) / scale if scale else np.inf
        found[k, block] = max(value, found.get((k, block), 0.0))
    return found


def why_not(function: Function, inputs: Inputs, here: Array, kind: type) -> str:
    """Why forward_fn cannot be evaluated in another dtype; "" if it can, with the same values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            there = function.flat(inputs)
    except Exception as error:  # whatever the user's function or framework raises is the answer
        first_line = (str(error).strip().splitlines() or [""])[0]
        return f"forward_fn refuses {kind.__name__} ({type(error).__name__}: {first_line[:100]})"
    if there.dtype != kind or there.shape != here.shape:
        return f"forward_fn turns {kind.__name__} into {there.dtype}"
    tolerance = 1e4 * np.finfo(here.dtype).eps * np.max(np.abs(here), initial=0)
    return "" if np.all(np.abs(there - here) <= tolerance) else f"forward_fn has other values in {kind.__name__}"


def random_direction(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Of length sqrt(n), so that the rms of g . v over many v is |g|."""
    v = rng.standard_normal(shape)
    return v * np.sqrt(v.size) / (np.sqrt(np.sum(v * v)) or 1.0)
