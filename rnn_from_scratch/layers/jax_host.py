"""The calls of Keras on JAX: what is the same at every call, and the kernels called through Python, by jax.pure_callback.

jax_op.py calls the native kernels without Python. What stays here is all else: other backends, other devices than the CPU, gradients of
gradients.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from . import arrays

Tensor = Any
Groups = tuple[tuple[str, tuple[str, ...]], ...]  # of inputs that have a gradient: a name of arrays.input_groups -> inputs
Like = list[tuple[tuple[int, ...], Any]]  # shapes and dtypes


class Call(NamedTuple):
    """What is the same at every call, hashable: JAX knows a traced function by it."""

    cell: Any
    flags: tuple[tuple[str, Any], ...]
    sequences: bool
    backend: str
    names: tuple[str, ...]  # of the arrays

    def given(self, values: Any) -> dict[str, Any]:
        return dict(zip(self.names, values))


def on_host(function: Any, like: Like, values: Any) -> list[Tensor]:
    """function(arrays) -> arrays, called by JAX; `like` are the shapes and dtypes of its results."""
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in like]
    return list(jax.pure_callback(function, results, *values, vmap_method="sequential"))


class Forward(NamedTuple):
    """arrays.forward for on_host; equal objects are one function for JAX."""

    call: Call
    save: bool

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        cell, flags, sequences, backend, _ = self.call
        return arrays.forward(cell, self.call.given(map(np.asarray, values)), dict(flags), sequences, self.save, backend)


class Backward(NamedTuple):
    """arrays.backward for on_host."""

    call: Call
    groups: Groups

    def __call__(self, *values: Any) -> list[Any]:
        a = self.call.given(map(np.asarray, values))
        return arrays.backward(self.call.cell, a, dict(self.call.flags), tuple(dict(self.groups)), self.call.backend)


class SecondOrder(NamedTuple):
    """arrays.second_order for on_host; after the arrays of the call come cotangents, by the inputs whose gradients they belong to."""

    call: Call
    groups: Groups
    directions: tuple[str, ...]

    def __call__(self, *values: Any) -> list[Any]:
        values = tuple(map(np.asarray, values))
        v = dict(zip(self.directions, values[len(self.call.names) :]))
        a, wrt = self.call.given(values), tuple(dict(self.groups))
        return arrays.second_order(self.call.cell, a, v, dict(self.call.flags), wrt, self.call.backend)


def members(groups: Groups) -> list[str]:
    return [name for _, names in groups for name in names]
