"""directions="full": every element of every Jacobian, for small functions."""

from __future__ import annotations

import numpy as np

from .directional import OVERFLOW, Blocks, Part, Region, Result, bends, regions, relative
from .function import Array, Function
from .locate import Element, unit_of
from .truth import Truth

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
        expected, noise, largest = columns(function, truth, k, len(places))
        off = np.nan_to_num(np.abs(mine - expected), nan=np.inf)
        scale = float(np.max(np.abs(expected), initial=0))
        for region in regions(function, blocks, [k]):
            every_output = (slice(None), *region.slices)
            if np.isfinite(scale + noise):
                error, allowed, floor, doubt = relative(truth, region, dtype, off[every_output], scale, noise, largest)
            else:
                error, allowed, floor, doubt = np.full(off[every_output].shape, np.nan), 0.0, np.nan, OVERFLOW
            wrong = ~(error <= allowed) & (not doubt)
            smooth = wrong & ~at_corners(function, truth, region, wrong)
            first, *rest = np.unravel_index(np.argmax(np.where(smooth, error, -1) if smooth.any() else error), error.shape)
            worst = (first, *rest)
            place = tuple(int(i) + s.start for i, s in zip(rest, region.slices))
            at = (int(first), *place)
            part = Part(name, region.block, float(error[worst]), allowed, floor, doubt)
            bent = bool(wrong.any() and not smooth.any())
            unit = unit_of(function, region, blocks, place)
            element = Element(name, region.block, unit, place, float(mine[at]), float(expected[at]), places[first])
            move = {k: unit_vector(function.inputs[k].shape, place)}
            found.append((Result(region, part, upstreams[first], bent, move), element))
    return found


def columns(function: Function, truth: Truth, k: int, outputs: int) -> tuple[Array, float, float]:
    """Input k's Jacobian [N, ...], its noise, and how large the outputs are."""
    shape = function.inputs[k].shape
    found, noise, size, weights = np.zeros((outputs, *shape)), 0.0, 0.0, np.eye(outputs)
    for index in np.ndindex(shape):
        slopes = truth.slopes(function, {k: unit_vector(shape, index)}, weights)
        column = (slice(None), *index)
        found[column] = slopes.value
        noise, size = np.maximum(noise, np.max(slopes.noise)), np.maximum(size, np.max(slopes.outputs))
    return found, float(noise), float(size)


def at_corners(function: Function, truth: Truth, region: Region, off: Array) -> Array:
    """Which elements of the Jacobian that are off belong to an output with a corner here."""
    found, weights, shape = np.zeros(off.shape, bool), np.eye(len(off)), function.inputs[region.k].shape
    for index in np.ndindex(off.shape[1:]):
        column = (slice(None), *index)
        if off[column].any():
            place = tuple(i + s.start for i, s in zip(index, region.slices))
            found[column] = bends(function, truth, {region.k: unit_vector(shape, place)}, weights)
    return found


def unit_vector(shape: tuple[int, ...], place: tuple[int, ...]) -> Array:
    one = np.zeros(shape)
    one[place] = 1
    return one
