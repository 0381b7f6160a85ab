"""The number side of check_function: slopes of a function along a direction, and how well they are known.

complex_step   f(x + ihv).imag / h = J v exact to rounding, for analytic f: no difference is taken, so h = 1e-200 serves every x
               (Squire & Trapp 1998), and its square is 0
central        (f(x + hv) - f(x - hv)) / 2h for a sweep of steps h, extrapolated to h = 0 (Richardson 1911; the table with its
               error estimate is Ridders' of 1982)
circle         Cauchy's formula for the same slope: it tells whether f is analytic (Lyness & Moler 1967)
at_corner      where f is not smooth (relu at 0): no number is the slope there

A function here is flat: it takes a tuple of arrays and returns all outputs as one vector [N]. `move` says which arrays move in
which direction: index -> array. `weights` [K, N]: the slopes asked for are the K numbers weights @ (J v).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ...typing import Array

Inputs = tuple[Array, ...]
Move = dict[int, Array]
Flat = Callable[[Inputs], Array]
STEP = 1e-200
FIRST, LAST, SHRINK = 2.0**-4, 2.0**-22, 4.0  # the sweep: h |v| from 0.06 down to 2e-7
LARGE = 1e3  # values from here on are moved in proportion
RADII = 2.0**-5, 2.0**-7, 2.0**-10, 2.0**-14, 2.0**-18, 2.0**-21, 2.0**-24


class Slopes(NamedTuple):
    """Slopes [K], the error that they may have, and how large the outputs are that they were taken from."""

    value: Array
    noise: Array
    outputs: Array

    def off(self, ours: Array) -> Array:
        """How far ours is from the truth; NaN counts as inf."""
        return np.nan_to_num(np.abs(ours - self.value), nan=np.inf)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.value).all() and np.isfinite(self.noise).all())


def moved(inputs: Inputs, move: Move, step: complex) -> Inputs:
    """inputs + step * move, in the dtype of each array; a complex step makes every floating array complex."""
    if isinstance(step, complex):
        inputs = tuple(a.astype(complex) if a.dtype.kind == "f" else a for a in inputs)
    return tuple((a + step * move[k]).astype(a.dtype) if k in move else a for k, a in enumerate(inputs))


def length(move: Move) -> float:
    """The root of the sum of squares, without squares that overflow; 1 if nothing moves."""
    largest = max(float(np.max(np.abs(v), initial=0)) for v in move.values())
    return largest * float(np.sqrt(sum(np.sum((v / largest) ** 2) for v in move.values()))) if largest else 1.0


def magnitude(inputs: Inputs, move: Move) -> float:
    """The largest value that moves."""
    return max(float(np.nanmax(np.abs(inputs[k]), initial=0)) for k in move)


def reach(inputs: Inputs, move: Move) -> float:
    """The unit of a step: 1, and more where values are so large that 1 would be lost beside them."""
    size = magnitude(inputs, move)
    return size if size > LARGE else 1.0


def epsilon(f_here: Array, inputs: Inputs) -> float:
    """The coarsest rounding among outputs and inputs."""
    return float(max(np.finfo(a.dtype).eps for a in (f_here, *inputs) if a.dtype.kind == "f"))


def complex_step(f: Flat, inputs: Inputs, move: Move, weights: Array) -> Slopes:
    slopes = f(moved(inputs, move, STEP * 1j)).imag / STEP
    size = np.abs(weights) @ np.abs(slopes)
    return Slopes(weights @ slopes, np.finfo(float).eps * size, size)


def central(f: Flat, inputs: Inputs, move: Move, weights: Array, goal: float) -> Slopes:
    """Stops at the first step, after three, at which every slope is known to `goal` of its value."""
    here, size = f(inputs), length(move)
    eps, largest = epsilon(here, inputs), np.abs(weights) @ np.abs(here)
    rounding = eps * largest
    biggest = magnitude(inputs, move)
    place = eps * biggest  # x + hv is rounded too
    first, last = FIRST * reach(inputs, move), max(LAST * min(1.0, biggest or 1.0), 2.0**-40 * biggest)
    above: list[Array] = []
    best, noise = np.zeros(len(weights)), np.full(len(weights), np.inf)
    for level in range(1 + round(np.log2(first / last) / np.log2(SHRINK))):
        h = first * SHRINK**-level / size
        up, down = f(moved(inputs, move, h)).astype(float), f(moved(inputs, move, -h)).astype(float)
        row = [weights @ ((up - down) / (2 * h))]
        if level == 0 and np.isfinite(up).all():
            largest = np.maximum(largest, np.abs(weights) @ np.abs(up))
        least = (rounding + place * np.abs(row[0])) / h
        for j, coarser in enumerate(above, start=1):
            row.append(row[-1] + (row[-1] - coarser) / (SHRINK ** (2 * j) - 1))
            unsure = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - coarser)) + least
            best, noise = np.where(unsure < noise, row[-1], best), np.fmin(unsure, noise)
        above = row
        if level > 1 and np.all(noise <= goal * np.abs(best)):
            break
    return Slopes(best, noise, largest)


def circle(f: Flat, inputs: Inputs, move: Move, weights: Array) -> Iterator[Slopes]:
    """Cauchy's formula on circles of several radii: f'(0) = mean of f(r w) / (r w) over the 8 roots of unity w.

    For an analytic f they agree with the complex step to rounding. A part that is not analytic (abs, real) shows as a difference,
    however small it is beside the rest. f(conjugate) = conjugate of f, so that five points serve for eight.
    """
    size = length(move)
    for radius in RADII:
        r = radius * reach(inputs, move) / size
        total, largest = np.zeros(len(weights)), np.zeros(len(weights))
        for eighth in range(5):
            root = np.exp(0.25j * np.pi * eighth)
            value = f(moved(inputs, move, complex(r * root)))
            total += weights @ (value / root).real * (1 if eighth in (0, 4) else 2)
            largest = np.maximum(largest, np.abs(weights) @ np.abs(value))
        slope = total / (8 * r)
        yield Slopes(slope, 2 * np.finfo(float).eps * largest / r, largest)


def at_corner(f: Flat, inputs: Inputs, move: Move, weights: Array) -> Array:
    """Which of the slopes [K] belong to a function that has a corner (relu at 0) at this very point along this direction.

    The second difference over h is a + c h: c is the curvature, and a, the jump of the slope, is 0 where f is smooth.
    """
    here = f(inputs)
    eps = epsilon(here, inputs)
    h = 4 * eps ** (1 / 3) * reach(inputs, move) / length(move)
    bends, largest = [], np.abs(here)
    for step in (h, h / SHRINK):
        up, down = f(moved(inputs, move, step)).astype(float), f(moved(inputs, move, -step)).astype(float)
        bends.append((up - here) / step - (here - down) / step)
        largest = np.maximum(largest, np.maximum(np.abs(up), np.abs(down)))
    jump = (SHRINK * bends[1] - bends[0]) / (SHRINK - 1)
    return np.abs(weights) @ np.abs(jump) > 50 * eps * SHRINK / h * (np.abs(weights) @ largest)
