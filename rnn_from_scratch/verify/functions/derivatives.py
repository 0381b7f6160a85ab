"""The number side of check_function: slopes of a function along a direction, and how well they are known.

complex_step   f(x + ihv).imag / h = J v exact to rounding, for analytic f: no difference is taken, so h = 1e-200 serves every x
               (Squire & Trapp 1998), and its square is 0
central        (f(x + hv) - f(x - hv)) / 2h for a sweep of steps h, extrapolated to h = 0 (Richardson 1911; the table with its
               error estimate is Ridders' of 1982)
corner         where f is not smooth (relu at 0): the interval between the slopes to either side

A function here is flat: it takes a tuple of arrays and returns all outputs as one vector [N]. `move` says which arrays move in
which direction: index -> array. `weights` [K, N]: the slopes asked for are the K numbers weights @ (J v).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any
Inputs = tuple[Array, ...]
Move = dict[int, Array]
Flat = Callable[[Inputs], Array]
STEP = 1e-200
FIRST, SHRINK, LEVELS = 2.0**-4, 4.0, 10  # the sweep: h |v| from 0.06 down to 2e-7


class Slopes(NamedTuple):
    """Slopes [K] and the error that they may have; at a corner any value from low to high is a slope."""

    low: Array
    high: Array
    noise: Array

    def nearest(self, ours: Array) -> Array:
        """The slope to hold ours against."""
        return np.clip(ours, self.low, self.high)

    def off(self, ours: Array) -> Array:
        """How far ours is from the truth; NaN counts as inf."""
        return np.nan_to_num(np.abs(ours - self.nearest(ours)), nan=np.inf)


def moved(inputs: Inputs, move: Move, step: complex) -> Inputs:
    """inputs + step * move, in the dtype of each array; a complex step makes every floating array complex."""
    if isinstance(step, complex):
        inputs = tuple(a.astype(complex) if a.dtype.kind == "f" else a for a in inputs)
    return tuple((a + step * move[k]).astype(a.dtype) if k in move else a for k, a in enumerate(inputs))


def length(move: Move) -> float:
    return float(np.sqrt(sum(np.sum(v * v) for v in move.values()))) or 1.0


def epsilon(f_here: Array, inputs: Inputs) -> float:
    """The coarsest rounding among outputs and inputs."""
    return float(max(np.finfo(a.dtype).eps for a in (f_here, *inputs) if a.dtype.kind == "f"))


def complex_step(f: Flat, inputs: Inputs, move: Move, weights: Array) -> Slopes:
    slopes = f(moved(inputs, move, STEP * 1j)).imag / STEP
    value = weights @ slopes
    return Slopes(value, value, np.finfo(float).eps * (np.abs(weights) @ np.abs(slopes)))


def central(f: Flat, inputs: Inputs, move: Move, weights: Array, goal: float) -> Slopes:
    """Stops at the first step, after three, at which every slope is known to `goal` of its value."""
    here, size = f(inputs), length(move)
    eps = epsilon(here, inputs)
    rounding = eps * (np.abs(weights) @ np.abs(here))
    reach = eps * max(float(np.nanmax(np.abs(inputs[k]), initial=0)) for k in move)  # x + hv is rounded too
    above: list[Array] = []
    best, noise = np.zeros(len(weights)), np.full(len(weights), np.inf)
    for level in range(LEVELS):
        h = FIRST * SHRINK**-level / size
        up, down = f(moved(inputs, move, h)).astype(float), f(moved(inputs, move, -h)).astype(float)
        row = [weights @ (up - down) / (2 * h)]
        least = (rounding + reach * np.abs(row[0])) / h
        for j, coarser in enumerate(above, start=1):
            row.append(row[-1] + (row[-1] - coarser) / (SHRINK ** (2 * j) - 1))
            unsure = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - coarser)) + least
            best, noise = np.where(unsure < noise, row[-1], best), np.fmin(unsure, noise)
        above = row
        if level > 1 and np.all(noise <= goal * np.abs(best)):
            break
    return Slopes(best, best, noise)


def corner(f: Flat, inputs: Inputs, move: Move, weights: Array) -> Slopes | None:
    """The interval of slopes if f has a corner at this point along this direction, else None.

    The second difference of a smooth f, over h, shrinks with h; at a corner it stays.
    """
    here, size = f(inputs), length(move)
    eps = epsilon(here, inputs)
    steps = [4 * eps ** (1 / 3) / size, 4 * eps ** (1 / 3) / SHRINK / size]
    bends, rights, lefts = [], [], []
    for h in steps:
        up, down = f(moved(inputs, move, h)).astype(float), f(moved(inputs, move, -h)).astype(float)
        bends.append(np.abs(weights) @ np.abs(up - 2 * here + down) / h)
        rights.append((up - here) / h)
        lefts.append((here - down) / h)
    noise = eps * np.abs(weights).sum(1) * np.max(np.abs(here)) / steps[1]
    if not np.any((bends[1] > 0.5 * bends[0]) & (bends[1] > 50 * noise)):
        return None
    right, left = (fine + (fine - coarse) / (SHRINK - 1) for coarse, fine in (rights, lefts))  # Richardson, first order
    low, high = np.minimum(left, right), np.maximum(left, right)
    curved = (steps[0] * size) ** 2 * (np.abs(weights) @ (np.abs(left) + np.abs(right)))
    plus, minus = np.maximum(weights, 0), np.minimum(weights, 0)
    return Slopes(plus @ low + minus @ high, plus @ high + minus @ low, 10 * noise + curved)
