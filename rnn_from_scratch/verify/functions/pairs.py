"""A function of a framework's tensors and its gradient as a Pair of NumPy functions, which check_function takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...typing import Array
from . import assert_gradients, check_function
from .report import FunctionReport
from .structure import distinct
from .tensors import differentiable
from .traces import Untouched


class Pair(NamedTuple):
    """A function and its gradient on NumPy arrays, and the inputs to check them at: assert_gradients(*pair) takes them too."""

    forward_fn: Callable[..., Any]
    backward_fn: Callable[..., Any]
    inputs: tuple[Array, ...]
    names: tuple[str, ...]

    def check(self, **options: Any) -> FunctionReport:
        """check_function of this pair; options: blocks, time_axis, method, directions, seed, tol, upstream."""
        return check_function(*self, **options)

    def assert_gradients(self, **options: Any) -> None:
        """assert_gradients of this pair; options as for check."""
        __tracebackhide__ = True
        assert_gradients(*self, **options)


def pair(framework: Any, arrays: list[Array], names: Sequence[str], call: Callable, order: int, untouched: Untouched) -> Pair:
    """call(sources) -> a list of outputs, in the framework's tensors; it, or with order=2 its gradient, as a Pair."""
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, got {order!r}")
    n, function, upstream = len(arrays), call, []

    def run(given, function):
        with untouched.call():
            return framework.run(given, function)

    if order == 2:
        rng = np.random.default_rng(0)

        def smooth(sources):
            return [y for y in call(sources) if differentiable(y)]

        outputs = run(arrays, lambda sources: [framework.array(y) for y in smooth(sources)])
        upstream = [rng.standard_normal(y.shape).astype(y.dtype) for y in outputs]

        def function(sources):
            return [g for g in framework.gradients(smooth, sources[:n], sources[n:]) if g is not None]

    inputs = (*arrays, *upstream)

    def forward_fn(*given):
        return tuple(run(given, lambda sources: [framework.array(y) for y in function(sources)]))

    def backward_fn(*given):
        used = [j for j, u in enumerate(given[len(inputs) :]) if u is not None]

        def outputs(sources):
            found = [y for y in function(sources) if differentiable(y)]
            return [found[j] for j in used]

        def gradients(sources):
            found = framework.gradients(outputs, sources[: len(inputs)], sources[len(inputs) :])
            return [None if g is None else framework.array(g) for g in found]

        return tuple(run([a for a in given if a is not None], gradients))

    backward_fn.upstream = framework.upstream  # type: ignore[attr-defined]  # which kinds check_function tries
    return Pair(forward_fn, backward_fn, inputs, (*distinct(names), *(f"upstream {j}" for j in range(len(upstream)))))
