"""Ours against the truth along random directions: u . J v from the number side, g(u) . v from backward_fn.

v moves one input, or one block of it, at a time, so that an error belongs to a name; u weighs all outputs. The rms of g . v over
random v is |g|: errors are relative to that, taken over the whole array.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .derivatives import Move, Slopes, at_corner, reach
from .function import Array, Function
from .truth import ZERO, Moves, Truth, random_direction

COMPARED = 3  # directions along which methods are compared, and corners looked for
OVERFLOW = "its slopes overflow"
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
    doubt: str = ""  # why this cannot be decided; "" if it is

    @property
    def ok(self) -> bool:
        return self.error <= self.allowed and not self.doubt

    @property
    def wrong(self) -> bool:
        return not self.error <= self.allowed and not self.doubt

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
    """The part that a region is, where it is off most (upstream, direction), and whether all that is off is so at a corner."""

    region: Region
    part: Part
    upstream: tuple[Array, ...]
    corner: bool
    move: Move


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
    scales: dict[int, float] = {}
    for j, region in enumerate(asked):
        scales[region.k] = float(np.hypot(scales.get(region.k, 0.0), rms([s.slopes.value[0] for s in table[j]])))
    return [judge(function, truth, region, table[j], scales[region.k]) for j, region in enumerate(asked)]


def rms(values: Sequence[float]) -> float:
    """The root of the mean of squares, without squares that overflow."""
    largest = float(np.max(np.abs(values)))
    return largest * float(np.sqrt(np.mean((np.array(values) / largest) ** 2))) if largest else 0.0


def judge(function: Function, truth: Truth, region: Region, samples: list[Sample], scale: float) -> Result:
    """The error of a region is that of its worst sample, relative to `scale`."""
    noise = max(float(s.slopes.noise[0]) for s in samples)
    name, dtype = function.names[region.k], function.inputs[region.k].dtype
    offs = np.array([float(s.slopes.off(np.array(s.ours))[0]) for s in samples])
    worst = int(np.argmax(offs))
    if not np.isfinite(scale) or not all(s.slopes.finite for s in samples):
        return Result(region, Part(name, region.block, np.nan, 0.0, np.nan, OVERFLOW), samples[worst].upstream, False, {})
    error, allowed, floor, doubt = relative(truth, region, dtype, offs, scale, noise, max(float(s.slopes.outputs[0]) for s in samples))
    part = Part(name, region.block, float(np.max(error)), allowed, floor, doubt)
    off = [s for s, e in zip(samples, error) if part.wrong and not e <= allowed]
    bent = bool(off) and all(bends(function, truth, {region.k: s.v}, as_row(s.upstream))[0] for s in off)
    return Result(region, part, samples[worst].upstream, bent, {region.k: samples[worst].v})


def bends(function: Function, truth: Truth, move: Move, weights: Array) -> Array:
    """Which of the slopes [K] have a corner here: along `move`; all of them where the outputs have one when all inputs move.

    relu(-relu(b) + x) at 0 is 0 all along b, and yet backward_fn, which takes one side for each relu, may well give b a slope.
    """
    f, inputs, rng = function.flat, truth.inputs(function), np.random.default_rng(0)
    found = at_corner(f, inputs, move, weights)
    for _ in range(COMPARED):
        if not found.all():
            ways = {k: random_direction(function.inputs[k].shape, rng) for k in function.floating}
            everything = {k: v * reach(inputs, {k: v}) for k, v in ways.items()}  # each in proportion to its values
            found = found | at_corner(f, inputs, everything, weights).any()
    return found


def relative(
    truth: Truth, region: Region, dtype: np.dtype, off: Array, scale: float, noise: float, outputs: float
) -> tuple[Array, float, float, str]:
    """off -> errors relative to scale; what is allowed, the floor, and a doubt ("" if there is none).

    Where the truth is zero as far as one sees, ours has to be: errors are 0 or inf. One sees well enough if the noise is that of
    rounding in the outputs.
    """
    if scale > ZERO * noise:
        floor = max(noise / scale, truth.agreed.get((region.k, region.block), 0.0))
        allowed, doubt = truth.budget(dtype, floor)
        error = off / scale
        if not doubt and np.any((error > allowed) & (error <= 4 * floor)):
            doubt = f"the slopes are known to {floor:.0e} only"
        return error, allowed, floor, doubt
    allowed, doubt = truth.budget(dtype, 0.0)
    if np.any(off) and noise > np.sqrt(np.finfo(dtype).eps) * outputs:
        doubt = "the slopes are lost in rounding"
    return np.where(off <= ZERO * noise, 0, np.inf), allowed, 0.0, doubt


def as_row(upstream: Sequence[Array]) -> Array:
    """All upstream gradients as one row of weights [1, N]."""
    return np.concatenate([u.reshape(-1) for u in upstream]).astype(float)[None]


def directions_of(function: Function, blocks: Blocks, rng: np.random.Generator) -> Moves:
    """Random directions for every region: (input, block, number) -> move."""
    return {(r.k, r.block, j): {r.k: within(r, function, rng)} for r in regions(function, blocks) for j in range(COMPARED)}
