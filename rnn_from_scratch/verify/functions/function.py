"""A user's pair of functions at one point: called on copies, its answers brought into one form, its contract checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array_kinds import is_tensor
from ...typing import Array
from .structure import given_names

ARRAYS = "expected an array or a tuple of arrays"


class Finding(NamedTuple):
    """Something wrong that is no matter of digits."""

    kind: str  # nan, in place, not deterministic, count, shape, dtype, missing
    text: str
    verdict: str = "wrong"  # or "undecided": what it makes of the check


def input_names(forward_fn: Callable, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The given names, else those that forward_fn's signature gives so many arguments, else 'input 0', ..."""
    if names is not None:
        if len(names) != count or len(set(names)) != count:
            raise ValueError(f"names: expected {count} different names, one for each input, got {list(names)}")
        return tuple(names)
    return tuple(given_names(forward_fn, [None] * count, otherwise="input {}"))


class Function:
    """forward_fn and backward_fn at `inputs`. Both get fresh copies at every call, so that nothing they do spoils the check."""

    def __init__(self, forward_fn: Callable, backward_fn: Callable, inputs: Sequence[Any], names: tuple[str, ...]):
        self.forward_fn, self.backward_fn, self.names = forward_fn, backward_fn, names
        for name, a in zip(names, inputs):
            if is_tensor(a) and a.requires_grad:
                way = "check a torch function by assert_gradients(*of_torch(function, ...))"
                raise TypeError(f"inputs: expected arrays, got a torch tensor that requires grad for {name}: {way}")
        self.inputs = tuple(np.array(a) for a in inputs)
        for name, a in zip(names, self.inputs):
            if a.dtype.kind not in "fiub":
                raise TypeError(f"inputs: expected arrays of real numbers, got {a.dtype} for {name}")
        self.floating = tuple(k for k, a in enumerate(self.inputs) if a.dtype.kind == "f" and a.size)
        if not self.floating:
            raise TypeError("inputs: expected a floating array that is not empty among them: there is nothing to differentiate by")

    def at(self, inputs: Sequence[Array]) -> Function:
        return Function(self.forward_fn, self.backward_fn, inputs, self.names)

    def forward(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """The outputs that can be differentiated: integers and booleans (an argmax) are left out."""
        return tuple(y for y in as_outputs(self.forward_fn(*(a.copy() for a in inputs))) if y.dtype.kind not in "iub")

    def flat(self, inputs: tuple[Array, ...]) -> Array:
        """All outputs as one vector."""
        return np.concatenate([y.reshape(-1) for y in self.forward(inputs)])

    def backward(self, upstream: tuple[Any, ...], lay_out: Callable[[Array], Array] = np.copy) -> tuple[Any, ...]:
        """What backward_fn gives, as a tuple. lay_out makes the arrays that it gets; upstream may hold None."""
        return as_gradients(self.backward_fn(*(a.copy() for a in self.inputs), *(None if u is None else lay_out(u) for u in upstream)))

    def upstream(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """A random gradient for every output."""
        return tuple(np.asarray(rng.standard_normal(y.shape), y.dtype) for y in self.forward(self.inputs))

    def usable(self, gradients: tuple[Any, ...]) -> dict[int, Array]:
        """Input -> gradient in float64 where there is one of the right shape; a missing one counts as zero."""
        found = {}
        for k in self.floating:
            g = gradients[k] if k < len(gradients) else None
            g = np.zeros(self.inputs[k].shape) if g is None else np.asarray(g)
            if g.shape == self.inputs[k].shape and g.dtype.kind == "f":
                found[k] = g.astype(float)
        return found

    def contract(self, rng: np.random.Generator) -> list[Finding]:
        """Call each function twice and look at everything but the digits."""
        given = tuple(a.copy() for a in self.inputs)
        first = tuple(y.copy() for y in as_outputs(self.forward_fn(*given)))
        found = [*self.changed("forward_fn", given, self.inputs, self.names)]
        second = as_outputs(self.forward_fn(*(a.copy() for a in self.inputs)))
        for j, y in enumerate(first):
            if y.dtype.kind not in "fiub" or all(other.dtype.kind != "f" for other in first):
                raise TypeError(f"forward_fn: expected floating outputs, got {y.dtype} for output {j}")
            if y.dtype.kind == "f" and not np.isfinite(y).all():
                found.append(Finding("nan", f"output {j} of forward_fn is not finite at {place(~np.isfinite(y))}", "undecided"))
        found += [
            Finding("nan", f"input {name} is not finite at {place(~np.isfinite(a))}", "undecided")
            for name, a in zip(self.names, self.inputs)
            if not np.isfinite(a).all()
        ]
        found += repeated("forward_fn", "output", first, second)
        upstream = self.upstream(rng)
        given, passed = tuple(a.copy() for a in self.inputs), tuple(u.copy() for u in upstream)
        one = as_gradients(self.backward_fn(*given, *passed))
        one = tuple(None if g is None else np.array(g) for g in one)
        sides = [f"upstream {j}" for j in range(len(passed))]
        found += self.changed("backward_fn", given + passed, self.inputs + upstream, (*self.names, *sides))
        if len(one) != len(self.inputs):
            return [*found, Finding("count", f"backward_fn gives {len(one)} gradients for {len(self.inputs)} inputs")]
        found += repeated("backward_fn", "gradient", one, self.backward(upstream))
        for k, g in enumerate(one):
            if k in self.floating and g is not None:
                found += self.form(self.names[k], g, self.inputs[k])
        if any(finding.verdict == "undecided" for finding in found):  # where the outputs overflow no gradient can be finite
            found = [finding._replace(verdict="undecided") if finding.kind == "nan" else finding for finding in found]
        return found

    def skipped(self) -> tuple[str, ...]:
        """A note on each output that is not differentiated."""
        outputs = as_outputs(self.forward_fn(*(a.copy() for a in self.inputs)))
        why = "is left out: backward_fn gets no upstream gradient for it"
        return tuple(f"output {j} of forward_fn, {y.dtype}, {why}" for j, y in enumerate(outputs) if y.dtype.kind in "iub")

    def changed(self, who: str, after: Sequence[Array], before: Sequence[Array], names: Sequence[str]) -> list[Finding]:
        found = []
        for name, a, b in zip(names, after, before):
            if a.shape != b.shape:
                found.append(Finding("in place", f"{who} changes the shape of its argument {name} in place, from {list(b.shape)}"))
            elif not same(a, b).all():
                found.append(Finding("in place", f"{who} changes its argument {name} in place, at {place(~same(a, b))}"))
        return found

    def form(self, name: str, g: Array, x: Array) -> list[Finding]:
        """Shape, dtype and finiteness of one gradient."""
        if g.shape != x.shape:
            return [Finding("shape", f"gradient of {name}: expected {list(x.shape)}, got {list(g.shape)}")]
        found = []
        if g.dtype != x.dtype:
            found.append(Finding("dtype", f"gradient of {name}: expected {x.dtype}, got {g.dtype}"))
        if g.dtype.kind == "f" and not np.isfinite(g).all():
            found.append(Finding("nan", f"gradient of {name} is not finite at {place(~np.isfinite(g))}"))
        return found


def as_outputs(result: Any) -> tuple[Array, ...]:
    try:
        outputs = tuple(np.asarray(y) for y in (result if isinstance(result, (tuple, list)) else (result,)))
    except ValueError as error:  # a list of arrays of several shapes
        raise TypeError(
            f"forward_fn: {ARRAYS}, got something else among its outputs ({error}): wrap it, and leave the cache out"
        ) from error
    for j, y in enumerate(outputs):
        if y.dtype == object:
            raise TypeError(f"forward_fn: {ARRAYS}, got {type(result[j]).__name__} for output {j}: leave out what is no array (a cache)")
    if not outputs:
        raise ValueError("forward_fn: expected an array or a tuple of arrays, got an empty one")
    return outputs


def as_gradients(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def same(a: Array, b: Array) -> Array:
    """Where two arrays hold the same value; NaN is the same as NaN."""
    return (a == b) | ((a != a) & (b != b))


def place(where: Array) -> list[int]:
    """The first index at which `where` holds."""
    return [int(i[0]) for i in np.nonzero(np.atleast_1d(where))]


def repeated(who: str, what: str, first: Sequence[Any], second: Sequence[Any]) -> list[Finding]:
    """Findings where two calls with the same arguments differ in any bit."""
    found = []
    for j, (a, b) in enumerate(zip(first, second)):
        if a is None or b is None:
            differ = (a is None) != (b is None)
        else:
            differ = np.shape(a) != np.shape(b) or not same(np.asarray(a), np.asarray(b)).all()
        if differ:
            found.append(Finding("not deterministic", f"{who}: two calls with the same arguments give a different {what} {j}"))
    return found
