"""Ours against the truth along random directions: u . J v from the number side, g(u) . v from backward_fn.

v moves one input, or one block of it, at a time, so that an error belongs to a name; u weighs all outputs. The rms of g . v over
random v is |g|: errors are relative to that, taken over the whole array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .derivatives import Slopes, corner
from .function import Array, Function
from .truth import ZERO, Truth, random_direction

Blocks = dict[str, tuple[tuple[str, ...], int]]  # name of an input -> names of its blocks, and the axis that they divide


class Region(NamedTuple):
    """A part of one input: of which, what it is called, and its slices."""

    k: int
    block: str
    slices: tuple[slice, ...]


class Part(NamedTuple):
    """One input, or one block of it."""

    array: str
    block: str  # "" where `blocks` names none
    error: float
    allowed: float
    floor: float  # how well the number side knows the truth, relative to the same array

    @property
    def ok(self) -> bool:
        return self.error <= self.allowed

    @property
    def ratio(self) -> float:
        """How near it is to failing, or how far beyond."""
        return self.error / self.allowed if self.allowed else (np.inf if self.error else 0.0)


class Sample(NamedTuple):
    """One direction v in one region under one upstream gradient: our slope and the true one."""

    upstream: tuple[Array, ...]
    v: Array
    ours: float
    slopes: Slopes


class Result(NamedTuple):
    """The part that a region is, the upstream under which it is off most, and whether a corner was met."""

    region: Region
    part: Part
    upstream: tuple[Array, ...]
    corner: bool


def within(region: Region, function: Function, rng: np.random.Generator) -> Array:
    """A random direction that moves one region only."""
    v = np.zeros(function.inputs[region.k].shape)
    v[region.slices] = random_direction(v[region.slices].shape, rng)
    return v


def regions(function: Function, blocks: Blocks, only: Iterable[int] | None = None) -> list[Region]:
    """Every floating input (or only some), split into its blocks where it has some."""
    found = []
    for k in function.floating if only is None else only:
        shape, everything = function.inputs[k].shape, tuple(slice(0, n) for n in function.inputs[k].shape)
        names, axis = blocks.get(function.names[k], ((), 0))
        if not names:
            found.append(Region(k, "", everything))
        for j, name in enumerate(names):
            part, width = list(everything), shape[axis] // len(names)
            part[axis] = slice(j * width, (j + 1) * width)
            found.append(Region(k, name, tuple(part)))
    return found


def measure(function: Function, truth: Truth, asked: Sequence[Region], rng: np.random.Generator, directions: int) -> list[Result]:
    """One result per region. `asked` holds all blocks of an array or none: their shares add up to its size."""
    table: dict[int, list[Sample]] = {j: [] for j in range(len(asked))}
    for _ in range(directions):
        upstream = function.upstream(rng)
        ours = function.usable(function.backward(upstream))
        for j, region in enumerate(asked):
            v = within(region, function, rng)
            mine = float(np.sum(ours[region.k] * v, where=v != 0)) if region.k in ours else np.nan
            table[j].append(Sample(upstream, v, mine, truth.slopes(function, {region.k: v}, as_row(upstream))))
    squares: dict[int, float] = {}
    for j, region in enumerate(asked):
        squares[region.k] = squares.get(region.k, 0.0) + float(np.mean([s.slopes.nearest(s.ours)[0] ** 2 for s in table[j]]))
    return [judge(function, truth, region, table[j], float(np.sqrt(squares[region.k]))) for j, region in enumerate(asked)]


def judge(function: Function, truth: Truth, region: Region, samples: list[Sample], scale: float) -> Result:
    """The error of a region is that of its worst sample, relative to `scale`; a corner forgives what lies between its sides."""
    noise = max(float(s.slopes.noise[0]) for s in samples)
    zero = not scale > ZERO * noise
    floor = 0.0 if zero else noise / scale
    allowed = truth.allowed(function.inputs[region.k].dtype, floor)
    limit = ZERO * noise if zero else allowed * scale
    offs, corners = [], False
    for sample in samples:
        off = float(sample.slopes.off(np.array(sample.ours))[0])
        bent = None
        if off > limit:
            bent = corner(function.flat, truth.inputs(function), {region.k: sample.v}, as_row(sample.upstream))
        if bent is not None:
            off, corners = max(0.0, float((bent.off(np.array(sample.ours)) - bent.noise)[0])), True
        offs.append(off)
    worst = int(np.argmax(offs))
    error = (0.0 if offs[worst] <= limit else np.inf) if zero else offs[worst] / scale
    return Result(region, Part(function.names[region.k], region.block, error, allowed, floor), samples[worst].upstream, corners)


def as_row(upstream: Sequence[Array]) -> Array:
    """All upstream gradients as one row of weights [1, N]."""
    return np.concatenate([u.reshape(-1) for u in upstream]).astype(float)[None]
