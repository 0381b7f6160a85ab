"""How the true slopes of a user's function are found: complex step where it can go, else central differences."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from .derivatives import Inputs, Move, Slopes, central, complex_step
from .function import Function

Array = Any
TOLERANCES = {"complex": 1e-12, "central": 1e-7}  # float64 gradients, by method
COARSE = {2: 2e-2, 4: 2e-5}  # shorter gradients, by the bytes of their dtype
ZERO = 8  # a truth of at most so many times its noise is zero, and ours must be as small


class Truth(NamedTuple):
    """The method, whether float32 inputs are widened to float64 for it, and the tolerance asked for."""

    method: str
    wide: bool
    tol: float | None

    def inputs(self, function: Function) -> Inputs:
        return tuple(a.astype(float) if self.wide and a.dtype.kind == "f" else a for a in function.inputs)

    def slopes(self, function: Function, move: Move, weights: Array) -> Slopes:
        if self.method == "complex":
            return complex_step(function.flat, self.inputs(function), move, weights)
        return central(function.flat, self.inputs(function), move, weights, (self.tol or TOLERANCES["central"]) / 100)

    def allowed(self, dtype: np.dtype, floor: float) -> float:
        """A tolerance that was asked for holds; the default one gives way to what the number side cannot know."""
        if self.tol is not None:
            return self.tol
        return max(COARSE.get(dtype.itemsize, TOLERANCES[self.method]), 4 * floor)


def choose(function: Function, method: str, tol: float | None, rng: np.random.Generator) -> tuple[Truth, tuple[str, ...]]:
    """The method to use, and notes on why. Raises ValueError for method="complex" where the function cannot take complex."""
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
        move = {k: random_direction(function.inputs[k].shape, rng) for k in function.floating}
        weights = np.eye(len(here)) if len(here) <= 64 else rng.standard_normal((8, len(here)))
        exact, near = (Truth(name, wide, tol).slopes(function, move, weights) for name in ("complex", "central"))
        if not np.all(exact.off(near.low) <= 1e-5 * np.max(np.abs(near.low), initial=0) + ZERO * near.noise):
            why = "it disagrees with differences: forward_fn is not analytic (abs, max, real, ...) or has a corner here"
    if not why:
        return Truth("complex", wide, tol), tuple(notes)
    if method == "complex":
        raise ValueError(f"method: no complex step here: {why}")
    return Truth("central", wide, tol), (*notes, f"no complex step: {why}")


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
