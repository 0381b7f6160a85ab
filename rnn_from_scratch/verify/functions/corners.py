"""What decides where forward_fn has a corner at the given point (relu at 0, a tie of max), as it has with zero biases and blank rows.

No number is the slope there: frameworks give relu at 0 the slope 0, abs 0, a tie of max one half or all of it. So two things
are asked of backward_fn. At points moved off the corner, by a small seeded shift of the inputs, its gradients have to be right as
everywhere. At the corner itself every element has to lie between the gradients that it gives on the sides of the corner, just
beside the point. What is neither is undecided.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .derivatives import LARGE, at_corner, epsilon
from .directional import Blocks, Result, as_row, directions_of, measure, regions
from .function import Array, Function
from .jacobian import unit_vector
from .locate import Element, unit_of
from .truth import Truth, choose

SHIFTS = 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4  # how far inputs move, relative to their values; two points that agree decide
DIRECTIONS = 8
BESIDE = 1e-6  # how far the sides of a corner are looked at from
SIDES, MORE = 24, 200  # random ones, beside the regular ones; and where an element lies outside of all those
EXACT = 8  # from so few different gradients on, all sides have been seen


class Decision(NamedTuple):
    """right, wrong or undecided; why it is undecided; where it is wrong: at a point moved off the corner, or in one element."""

    verdict: str
    why: str = ""
    place: Function | None = None
    truth: Truth | None = None
    results: tuple[Result, ...] = ()
    element: Element | None = None


def decide(function: Function, truth: Truth, method: str, blocks: Blocks, seed: int) -> Decision:
    rng = np.random.default_rng(seed)
    off = off_the_corner(function, method, truth.tol, blocks, rng)
    return beside_the_corner(function, truth, blocks, rng, off) if off.verdict == "right" else off


def off_the_corner(function: Function, method: str, tol: float | None, blocks: Blocks, rng: np.random.Generator) -> Decision:
    """The verdict at the first two points moved off the corner, if both are right; wrong, if any two are: a gate may be shut at one."""
    decided: list[Decision] = []
    why = "every point near it is at a corner, too"
    for size in SHIFTS:
        try:
            place = function.at(shifted(function, size, rng, function.floating))
            if not np.isfinite(place.flat(place.inputs)).all():
                why = "outputs near it are not finite"
                continue
            truth, _ = choose(place, method, tol, directions_of(place, blocks, rng), rng)
            results = measure(place, truth, regions(place, blocks), rng, DIRECTIONS)
        except Exception as error:  # a function may refuse the inputs of our choice; the reader is told
            first_line = (str(error).strip().splitlines() or [""])[0]
            why = f"inputs moved off it fail with {type(error).__name__}: {first_line[:100]}"
            continue
        if any(r.part.doubt for r in results):
            why = "near it " + next(r.part.doubt for r in results if r.part.doubt)
        elif not any(r.part.wrong and r.corner for r in results):
            wrong = any(r.part.wrong for r in results)
            decided.append(Decision("wrong" if wrong else "right", "", place, truth, tuple(results)))
        if sum(d.verdict == "wrong" for d in decided) == 2 or [d.verdict for d in decided] == ["right", "right"]:
            return decided[-1]
    if len({d.verdict for d in decided}) == 2:
        why = "gradients are right at one point near it and wrong at another"
    return Decision("undecided", why)


def shifted(function: Function, size: float, rng: np.random.Generator, which: tuple[int, ...], sign: int = 0) -> list[Array]:
    """The inputs, with those in `which` moved: every element by size/2 to size of its scale, up or down at random or as `sign` says."""
    inputs = list(function.inputs)
    for k in which:
        a = inputs[k]
        largest = float(np.max(np.abs(a)))
        unit = np.maximum(np.abs(a), largest if largest > LARGE else 1.0)
        way = sign or rng.choice([-1.0, 1.0], a.shape)
        inputs[k] = (a + way * size * unit * rng.uniform(0.5, 1, a.shape)).astype(a.dtype)
    return inputs


def sides(function: Function, size: float, rng: np.random.Generator) -> Iterator[Function]:
    """Points just beside: one input or all moved up, or down, the others less and at random; and all at random.

    What is not moved at all could stay at the corner.
    """
    for which in [*((k,) for k in function.floating), function.floating]:
        for sign in (1, -1):
            nearer = function.at(shifted(function, size / 100, rng, function.floating))
            yield nearer.at(shifted(nearer, size, rng, which, sign))
    for _ in range(SIDES):
        yield function.at(shifted(function, size, rng, function.floating))


def upstreams(function: Function, rng: np.random.Generator) -> Iterator[tuple[Array, ...]]:
    """Two random ones on all outputs, two on one element alone."""
    for _ in range(2):
        yield function.upstream(rng)
    for _ in range(2):
        only = function.upstream(rng)
        row = np.zeros(sum(u.size for u in only))
        row[rng.integers(len(row))] = 1
        parts = np.split(row, np.cumsum([u.size for u in only])[:-1])
        yield tuple(p.reshape(u.shape).astype(u.dtype) for p, u in zip(parts, only))


def beside_the_corner(function: Function, truth: Truth, blocks: Blocks, rng: np.random.Generator, off: Decision) -> Decision:
    """`off`, if each element of the gradients lies between those on the sides of the corner; else wrong, if it has no corner there.

    Where the sides give many different gradients, not all combinations can be seen: a sum over units that are all off, as
    frameworks have it, may lie outside of those that were. Then as much again counts as between.
    """
    size = max(BESIDE, 100 * epsilon(np.zeros(0, np.result_type(*(function.inputs[k] for k in function.floating))), function.inputs))
    beside, more = list(sides(function, size, rng)), MORE
    for upstream in upstreams(function, rng):
        ours = function.usable(function.backward(upstream))
        around = [place.usable(place.backward(upstream)) for place in beside]
        for k, mine in ours.items():
            place, margin = outside(function, size, k, mine, around)
            if place is not None and more:  # before that is believed: some sides are narrow
                another = [function.at(shifted(function, size, rng, function.floating)) for _ in range(more)]
                around += [p.usable(p.backward(upstream)) for p in another]
                beside, more = beside + another, 0
                place, margin = outside(function, size, k, mine, around)
            if place is not None:
                found = at_element(function, truth, blocks, k, place, upstream, margin, rng)
                if found is not None:
                    return off._replace(verdict="wrong", element=found) if isinstance(found, Element) else found
    return off


def outside(function: Function, size: float, k: int, mine: Array, around: list[dict[int, Array]]) -> tuple[tuple[int, ...] | None, float]:
    """The element of a gradient that is furthest from between those on the sides, None if all are; and the margin."""
    those = np.sort([g[k] for g in around if k in g], axis=0)
    scale = float(np.max(np.abs(those), initial=0))
    margin = 20 * size * float(np.sqrt(max(function.inputs[j].size for j in function.floating))) * scale
    wide = those[-1] - those[0]
    steps = np.sum(np.diff(those, axis=0) > 1e-3 * wide + margin / 10, axis=0)
    beyond = np.maximum(those[0] - mine, mine - those[-1]) - margin - np.where(steps >= EXACT, wide, 0)
    place = tuple(int(i) for i in np.unravel_index(np.argmax(beyond), beyond.shape))
    return (place if beyond[place] > 0 else None), margin


def at_element(
    function: Function,
    truth: Truth,
    blocks: Blocks,
    k: int,
    place: tuple[int, ...],
    upstream: tuple[Array, ...],
    margin: float,
    rng: np.random.Generator,
) -> Element | Decision | None:
    """None where the slope along this one element is a number and ours is it; the wrong element, if it stays wrong when all others move.

    Else nothing tells which slope is meant: relu(-relu(x)) is 0 everywhere, and yet slopes of 1/2 at both corners give it one of -1/4.
    """
    name, move, row = function.names[k], {k: unit_vector(function.inputs[k].shape, place)}, as_row(upstream)

    def at(point: Function) -> tuple[bool, float, float]:
        """Is ours off along this element, ours, and the truth; at a corner nothing is."""
        ours, slopes = float(point.usable(point.backward(upstream))[k][place]), truth.slopes(point, move, row)
        bent = at_corner(point.flat, truth.inputs(point), move, row)[0]
        return not bent and bool(slopes.off(np.array(ours))[0] > margin + slopes.noise[0]), ours, float(slopes.value[0])

    if not at_corner(function.flat, truth.inputs(function), move, row)[0] and not at(function)[0]:
        return None
    for size in SHIFTS:
        inputs = shifted(function, size, rng, function.floating)
        inputs[k][place] = function.inputs[k][place]
        wrong, ours, expected = at(function.at(inputs))
        if not wrong:
            return Decision("undecided", f"the gradient of {name} at {list(place)} is not between those on the sides of the corner")
    region = next(r for r in regions(function, blocks, [k]) if all(s.start <= i < s.stop for i, s in zip(place, r.slices)))
    return Element(name, region.block, unit_of(function, region, blocks, place), place, ours, expected)
