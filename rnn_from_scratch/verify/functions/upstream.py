"""What backward passes are handed in real use, beside a dense array of its own for every output.

missing   None (in an adapter: nothing at all) for an output that the loss does not use
strided   the same numbers in another layout: spread out with strides of 0, as y.sum().backward() hands them down; the axes of
          memory turned round; every other column of a wider array; an array that must not be written to

Under each the gradients have to be what they are for a dense array with the same numbers, zero where one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...typing import Array
from .function import Finding, Function

ROUNDING = 100  # times what rounding was seen to do
KINDS = ("dense", "missing", "strided")


def spread_out(u: Array) -> Array:
    return np.broadcast_to(u.reshape(-1)[:1].reshape((1,) * u.ndim), u.shape)


def turned(u: Array) -> Array:
    return np.array(u, order="F")


def every_other(u: Array) -> Array:
    if not u.ndim:
        return u.copy()
    wide = np.zeros((*u.shape[:-1], 2 * u.shape[-1] + 1), u.dtype)
    wide[..., 1::2] = u
    return wide[..., 1::2]


def read_only(u: Array) -> Array:
    u = u.copy()
    u.flags.writeable = False
    return u


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "upstream gradients with strides of 0, as y.sum().backward() gives": spread_out,
    "upstream gradients with the axes in memory turned round": turned,
    "upstream gradients that are every other column of a wider array": every_other,
    "upstream gradients that must not be written to": read_only,
}


def check_kinds(upstream: Sequence[str] | None, backward_fn: Callable[..., Any]) -> tuple[str, ...]:
    """The kinds asked for, else all that backward_fn says it takes, else all but None: a NumPy function need not know that."""
    asked = getattr(backward_fn, "upstream", ("dense", "strided")) if upstream is None else upstream
    if isinstance(asked, str) or not set(asked) <= set(KINDS) or "dense" not in asked:
        raise ValueError(f'upstream: expected "dense" and any of {", ".join(KINDS[1:])}, got {asked!r}')
    return tuple(asked)


def trials(kinds: Sequence[str], dense: tuple[Array, ...]) -> Iterator[tuple[str, tuple[Any, ...], Callable, tuple[Array, ...]]]:
    """What it is called, the upstream gradients, how each is laid out, and dense ones with the same numbers."""
    if "missing" in kinds and len(dense) > 1:
        for j, u in enumerate(dense):
            rest = dense[:j], dense[j + 1 :]
            yield f"no upstream gradient for output {j}", (*rest[0], None, *rest[1]), np.copy, (*rest[0], np.zeros_like(u), *rest[1])
    if "strided" in kinds and any(u.size > 1 for u in dense):
        for name, lay_out in LAYOUTS.items():
            yield name, dense, lay_out, tuple(np.array(lay_out(u), order="C") for u in dense)


def unusual(function: Function, kinds: Sequence[str], rng: np.random.Generator) -> list[Finding]:
    """A finding for each that backward_fn cannot take, or answers otherwise."""
    found, dense = [], function.upstream(rng)
    for name, upstream, lay_out, same_numbers in trials(kinds, dense):
        expected = function.usable(function.backward(same_numbers))
        third = function.usable(function.backward(tuple(u / 3 for u in same_numbers)))  # times 3 it shows what rounding does
        try:
            ours = function.usable(function.backward(upstream, lay_out))
        except Exception as error:  # whatever it raises is the finding
            first_line = (str(error).strip().splitlines() or [""])[0]
            found.append(Finding("upstream", f"{name}: backward_fn raises {type(error).__name__}: {first_line[:120]}"))
            continue
        for k, right in expected.items():
            off, rounding = (apart(right, other) for other in (ours.get(k), 3 * third[k]))
            if not off <= np.sqrt(np.finfo(function.inputs[k].dtype).eps) + ROUNDING * rounding:
                found.append(Finding("upstream", f"{name}: the gradient of {function.names[k]} is another, off by {off:.1e} of its size"))
    return found


def apart(right: Array, other: Array | None) -> float:
    """How far they are apart, relative to the largest of the right ones; inf if there is no other of this shape."""
    if other is None:
        return np.inf
    size = float(np.max(np.abs(right), initial=0)) or 1.0
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where(right == other, 0, np.abs(other / size - right / size)), initial=0))
