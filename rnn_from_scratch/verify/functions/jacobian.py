"""directions="full": every element of every Jacobian, for small functions."""

from __future__ import annotations

import numpy as np

from .derivatives import corner
from .directional import Blocks, Part, Result, regions
from .function import Array, Function
from .locate import Element, unit_of
from .truth import ZERO, Truth

LARGEST = 1 << 22  # elements of all Jacobians together


def full(function: Function, truth: Truth, blocks: Blocks) -> list[tuple[Result, Element]]:
    """Per region: its result, with error = max|ours - truth| / max|truth| of the array, and its worst element."""
    outputs = function.forward(function.inputs)
    places = [(j, *index) for j, y in enumerate(outputs) for index in np.ndindex(y.shape)]
    size = len(places) * sum(function.inputs[k].size for k in function.floating)
    if size > LARGEST:
        raise ValueError(f'directions: "full" is for Jacobians of at most {LARGEST} elements, got {size}: give a number')
    upstreams, ours = [], []
    for j, *index in places:  # which output, and an index in it
        upstreams.append(tuple(np.zeros_like(y) for y in outputs))
        upstreams[-1][j][tuple(index)] = 1
        ours.append(function.usable(function.backward(upstreams[-1])))
    found = []
    for k in function.floating:
        name, dtype = function.names[k], function.inputs[k].dtype
        mine = np.array([g[k] if k in g else np.full(function.inputs[k].shape, np.nan) for g in ours])
        off, expected, noise, corners = columns(function, truth, k, mine)
        scale = float(np.max(np.abs(expected), initial=0))
        zero = not scale > ZERO * noise
        error = np.where(off <= ZERO * noise, 0, np.inf) if zero else off / scale
        floor = 0.0 if zero else noise / scale
        for region in regions(function, blocks, [k]):
            every_output = (slice(None), *region.slices)
            here = error[every_output]
            first, *rest = np.unravel_index(np.argmax(here), here.shape)
            place = tuple(int(i) + s.start for i, s in zip(rest, region.slices))
            at = (int(first), *place)
            part = Part(name, region.block, float(error[at]), truth.allowed(dtype, floor), floor)
            unit = unit_of(function, region, blocks, place)
            element = Element(name, region.block, unit, place, float(mine[at]), float(expected[at]), places[first])
            found.append((Result(region, part, upstreams[first], corners), element))
    return found


def columns(function: Function, truth: Truth, k: int, mine: Array) -> tuple[Array, Array, float, bool]:
    """How far each element of input k's Jacobian [N, ...] is off, what it should be, the noise, and whether corners were met."""
    off, expected, noise, corners = np.zeros(mine.shape), np.zeros(mine.shape), 0.0, False
    weights, inputs = np.eye(len(mine)), truth.inputs(function)
    for index in np.ndindex(mine.shape[1:]):
        one, column = np.zeros(mine.shape[1:]), (slice(None), *index)
        one[index] = 1
        slopes = truth.slopes(function, {k: one}, weights)
        loose = slopes.off(mine[column]) > 1e-7 * np.max(np.abs(slopes.low), initial=0) + ZERO * slopes.noise
        bent = corner(function.flat, inputs, {k: one}, weights) if loose.any() else None
        off[column], expected[column] = slopes.off(mine[column]), slopes.nearest(mine[column])
        noise = max(noise, float(np.max(slopes.noise)))
        if bent is not None:
            off[column] = np.where(loose, np.maximum(0, bent.off(mine[column]) - bent.noise), off[column])
            expected[column] = np.where(loose, bent.nearest(mine[column]), expected[column])
            corners = True
    return off, expected, noise, corners
