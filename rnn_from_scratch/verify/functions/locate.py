"""Where a wrong gradient is wrong: the element by halving, the step of its birth by prefixes, the map of steps and units."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .directional import Blocks, Part, Region, as_row, measure, regions, within
from .function import Array, Function
from .truth import ZERO, Truth, random_direction

LARGEST_MAP = 4096  # cells of the map; each is one call of backward_fn


class Element(NamedTuple):
    """One element of one gradient, for one upstream gradient; in a full Jacobian, the derivative of one output element."""

    array: str
    block: str
    unit: int | None  # the index along the axis of the blocks, within its block; along the last axis without blocks; None: a number
    place: tuple[int, ...]
    ours: float
    expected: float
    output: tuple[int, ...] = ()  # in a full Jacobian: which output, and the element's index in it


class ErrorOrigin(NamedTuple):
    """The step that a prefix needs to contain for the check to fail."""

    step: int
    suspects: tuple[tuple[str, tuple[str, ...]], ...]  # (array, its wrong blocks) with x zero before that step, fewest blocks first
    why: str


def unit_of(function: Function, region: Region, blocks: Blocks, place: tuple[int, ...]) -> int | None:
    names, axis = blocks.get(function.names[region.k], ((), -1))
    if not place:
        return None
    return int(place[axis] % (function.inputs[region.k].shape[axis] // len(names)) if names else place[-1])


def narrow(function: Function, truth: Truth, region: Region, blocks: Blocks, upstream: Any, rng: np.random.Generator) -> Element:
    """Halve the region towards the larger error, first along the axis of the units, until one element is left."""
    k, weights = region.k, as_row(upstream)
    whole = region
    gradient = function.usable(function.backward(upstream))[k]

    def off(part: Region) -> float:
        total = 0.0
        for _ in range(2):
            v = within(part, function, rng)
            total += float(truth.slopes(function, {k: v}, weights).off(np.sum(gradient * v, where=v != 0))[0])
        return total

    axes = list(reversed(range(gradient.ndim)))
    axes.sort(key=lambda a: a != blocks.get(function.names[k], ((), gradient.ndim - 1))[1] % gradient.ndim)
    for a in axes:
        while region.slices[a].stop - region.slices[a].start > 1:
            start, stop = region.slices[a].start, region.slices[a].stop
            halves = [slice(start, (start + stop) // 2), slice((start + stop) // 2, stop)]
            region = max((region._replace(slices=(*region.slices[:a], half, *region.slices[a + 1 :])) for half in halves), key=off)
    place = tuple(int(s.start) for s in region.slices)
    one = np.zeros(gradient.shape)
    one[place] = 1
    ours = float(gradient[place])
    expected = float(truth.slopes(function, {k: one}, weights).value[0])
    return Element(function.names[k], whole.block, unit_of(function, whole, blocks, place), place, ours, expected)


def prefix(function: Function, axes: dict[int, int], steps: int) -> Function:
    """The same functions on the first `steps` steps of the inputs in `axes` (input -> its time axis)."""
    cut = list(function.inputs)
    for k, axis in axes.items():
        cut[k] = cut[k][(slice(None),) * axis + (slice(0, steps),)]
    return function.at(cut)


def birth(function: Function, truth: Truth, blocks: Blocks, axes: dict[int, int], seed: int) -> ErrorOrigin:
    """The smallest prefix that fails, by bisection, and the blocks that are wrong when x is zero before its last step.

    With x zero before step t, step t alone adds to the gradient of what multiplies x: what a wrong gate hands on to earlier
    steps, and so to all gates, no longer shows there.
    """

    def wrong(f: Function) -> list[Part]:
        results = measure(f, truth, regions(f, blocks), np.random.default_rng(seed), 3)
        return [r.part for r in results if r.part.wrong]

    k, axis = next(iter(axes.items()))
    passes, fails = 0, function.inputs[k].shape[axis]
    while fails - passes > 1:
        middle = (passes + fails) // 2
        if wrong(prefix(function, axes, middle)):
            fails = middle
        else:
            passes = middle
    alone = list(prefix(function, axes, fails).inputs)
    alone[k][(slice(None),) * axis + (slice(0, fails - 1),)] = 0
    found: dict[str, list[str]] = {}
    for part in wrong(function.at(alone)):
        if part.block:
            found.setdefault(part.array, []).append(part.block)
    suspects = sorted(((array, tuple(names)) for array, names in found.items()), key=lambda item: len(item[1]))
    name = function.names[k]
    if not passes:
        return ErrorOrigin(0, tuple(suspects), f"wrong on the first step of {name} alone")
    steps = "step" if passes == 1 else f"{passes} steps"
    return ErrorOrigin(passes, tuple(suspects), f"right on the first {steps} of {name}, wrong on the first {fails}")


def error_map(function: Function, truth: Truth, axis: int, seed: int) -> Array:
    """[T, units]: the error of the gradients of output 0 at one step and unit, over all inputs, relative to the largest."""
    rng, y = np.random.default_rng(seed), function.forward(function.inputs)[0]
    if y.ndim < 2 or axis == y.ndim - 1:
        raise ValueError(f"figure: expected an output with time axis {axis} and units behind it, got shape {list(y.shape)}")
    cells = [(t, unit) for t in range(y.shape[axis]) for unit in range(y.shape[-1])]
    if len(cells) > LARGEST_MAP:
        raise ValueError(f"figure: expected at most {LARGEST_MAP} steps times units, got {len(cells)}: check fewer of them")
    upstream = [np.zeros_like(u) for u in function.upstream(rng)]
    rows, ours = [], []
    for t, unit in cells:
        one = np.zeros_like(y)
        at = (slice(None),) * axis + (t,) + (slice(None),) * (y.ndim - axis - 2) + (unit,)
        one[at] = rng.standard_normal(one[at].shape)
        rows.append(as_row([one, *upstream[1:]])[0])
        ours.append(function.usable(function.backward((one, *upstream[1:]))))
    worst = np.zeros(len(cells))
    for k in ours[0]:
        v = random_direction(function.inputs[k].shape, rng)
        slopes = truth.slopes(function, {k: v}, np.array(rows))
        off = slopes.off(np.array([float(np.sum(g[k] * v)) for g in ours]))
        scale = float(np.max(np.abs(slopes.value)))
        worst = np.maximum(worst, np.where(off <= ZERO * slopes.noise, 0, off) / (scale or 1.0))
    return worst.reshape(y.shape[axis], y.shape[-1])
