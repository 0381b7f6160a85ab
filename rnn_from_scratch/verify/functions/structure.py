"""Nested arguments and outputs, (h, c) or {"W": ...}, as flat lists of arrays and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def leaves(outputs: Any) -> list[Any]:
    """The tensors in nested tuples, lists and dicts; an output that is None has no gradient and is left out."""
    if isinstance(outputs, (tuple, list)):
        return [leaf for part in outputs for leaf in leaves(part)]
    if isinstance(outputs, dict):
        return [leaf for part in outputs.values() for leaf in leaves(part)]
    return [] if outputs is None else [outputs]


def arguments(given: Any) -> list[Any]:
    """The arrays in nested tuples and dicts, and in lists of arrays; a list of numbers is one array."""
    if isinstance(given, dict):
        return [leaf for part in given.values() for leaf in arguments(part)]
    return [leaf for part in given for leaf in arguments(part)] if nested(given) else [given]


def nested(given: Any) -> bool:
    return isinstance(given, (tuple, list)) and any(hasattr(part, "shape") or isinstance(part, (tuple, list, dict)) for part in given)


def rebuilt(like: Any, flat: Iterator[Any]) -> Any:
    """The structure of `like` with the leaves of `flat`."""
    if isinstance(like, dict):
        return {key: rebuilt(part, flat) for key, part in like.items()}
    if not nested(like):
        return next(flat)
    parts = [rebuilt(part, flat) for part in like]
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


def leaf_names(name: str, given: Any) -> list[str]:
    """x; h.0 and h.1 of a tuple h; p.W of a dict p."""
    if isinstance(given, dict):
        return [found for key, part in given.items() for found in leaf_names(f"{name}.{key}", part)]
    return [found for k, part in enumerate(given) for found in leaf_names(f"{name}.{k}", part)] if nested(given) else [name]


def names_of(function: Callable[..., Any], count: int, names: Sequence[str] | None, skip: int = 0) -> list[str]:
    """The given names, else those of the first parameters, else x0, x1, ..."""
    if names is not None:
        return list(names)
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = [p.name for p in inspect.signature(function).parameters.values() if p.kind == kinds][skip:]
    return found[:count] if len(found) >= count else [f"x{k}" for k in range(count)]


def flat_names(function: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str] | None, skip: int = 0) -> list[str]:
    """Names of all arrays in the inputs; those given are of the arrays, or of the inputs that they are in."""
    if names is not None and len(names) == len(arguments(inputs)):
        return list(names)
    own = names_of(function, len(inputs), names, skip)
    return [found for name, given in zip(own, inputs) for found in leaf_names(name, given)]
