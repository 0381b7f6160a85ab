"""Nested arguments and outputs, (h, c) or {"W": ...}, as flat lists of arrays and back, and what the arrays are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ...array_kinds import is_tensor, of_tensor
from ...typing import Array

PLAIN = (bool, int, str, type(None))  # arguments that are settings: they are passed on as they are
NESTED = "tuples, lists and dicts of"


def parts_of(given: Any) -> list[tuple[str, Any]]:
    """The named parts of a tuple, list, dict or dataclass; [] of anything else. A list of numbers is one array."""
    if isinstance(given, Mapping):
        return [(str(key), part) for key, part in given.items()]
    if isinstance(given, (tuple, list)):
        holds = [part is None or hasattr(part, "shape") or isinstance(part, (tuple, list, Mapping)) for part in given]
        return [(str(k), part) for k, part in enumerate(given)] if any(holds) else []
    if is_dataclass(given) and not isinstance(given, type) and not hasattr(given, "shape"):
        return [(field.name, getattr(given, field.name)) for field in fields(given)]
    return []


def is_leaf(given: Any) -> bool:
    empty = isinstance(given, (tuple, list, Mapping)) and len(given) == 0
    return not (isinstance(given, PLAIN) or empty or parts_of(given))


def named_leaves(name: str, given: Any) -> list[tuple[str, Any]]:
    """x; h.0 and h.1 of a tuple h; p.W of a dict p; the name alone where there is one part."""
    if is_leaf(given):
        return [(name, given)]
    parts = parts_of(given)
    return [leaf for key, part in parts for leaf in named_leaves(name if key == "0" and len(parts) == 1 else f"{name}.{key}", part)]


def rebuilt(like: Any, flat: Iterator[Any]) -> Any:
    """The structure of `like` with the leaves of `flat`."""
    if is_leaf(like):
        return next(flat)
    parts = {key: rebuilt(part, flat) for key, part in parts_of(like)}
    if not parts:
        return like
    if isinstance(like, Mapping):
        values = dict(zip(like, parts.values()))
        return values if type(like) is dict else type(like)(values)  # type: ignore[call-arg]
    if isinstance(like, (tuple, list)):
        return type(like)(*parts.values()) if hasattr(like, "_fields") else type(like)(parts.values())
    return replace(like, **parts)


def leaves(who: str, outputs: Any, is_array: Callable[[Any], bool]) -> list[Any]:
    """The tensors in nested outputs; one that is None has no gradient and is left out. Raises TypeError for anything else, by its place."""
    found = []
    for name, part in (*named_leaves("output", outputs), *settings("output", outputs)):
        if part is not None and not is_array(part):
            expected = f"expected tensors, or {NESTED} them"
            raise TypeError(f"{who}: {expected}, got {kind(part)} for {name}: leave out what is no tensor (a cache)")
        found += [] if part is None else [part]
    return found


def settings(name: str, given: Any) -> list[tuple[str, Any]]:
    """The parts that are no arrays but plain values, with their names."""
    if isinstance(given, PLAIN):
        return [(name, given)]
    return [found for key, part in parts_of(given) for found in settings(f"{name}.{key}", part)]


def kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def as_input(who: str, name: str, value: Any) -> Array:
    """A leaf of the arguments as an array. Raises TypeError for what is none, by its name."""
    if is_tensor(value):
        return of_tensor(name, value, detach=True)  # the check runs on tensors of its own, so that no gradient is lost
    try:
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except (AttributeError, NotImplementedError, TypeError, ValueError):  # lists of lists of several lengths, symbolic tensors
        array = np.asarray(None)
    if array.dtype.kind not in "fiubc":
        raise TypeError(f"{who}: expected arrays, or {NESTED} them, got {kind(value)} for {name}: take it in by a lambda or a partial")
    return array


def given_names(function: Callable[..., Any], inputs: Sequence[Any], skip: int = 0, otherwise: str = "x{}") -> list[str]:
    """The name of each input in the signature that is called; x0, x1, ... where there is none. `skip` arguments stand before them."""
    numbered = [otherwise.format(k) for k in range(len(inputs))]
    try:
        signature = inspect.signature(function)
        bound = signature.bind_partial(*[None] * skip, *inputs).arguments  # what else is called with comes by keyword
    except (TypeError, ValueError):  # written in C, or called in another way than its signature says
        return scripted_names(function, len(inputs)) or numbered
    found: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind == parameter.VAR_POSITIONAL:
            found += [f"{name}.{k}" for k in range(len(bound.get(name, ())))]
        elif name in bound:
            found.append(name)
    named = any(p.kind != p.VAR_POSITIONAL for name, p in signature.parameters.items() if name in bound)
    return found[skip : skip + len(inputs)] if named else scripted_names(function, len(inputs)) or numbered


def scripted_names(function: Any, count: int) -> list[str]:
    """The names in the schema of a function that torch has compiled; [] if it has none."""
    schema = getattr(function, "schema", None)
    found = [] if schema is None else [a.name for a in schema.arguments]
    return found[1 if hasattr(function, "owner") else 0 :][:count]  # a method's schema begins with self


def named_inputs(
    who: str,
    function: Callable[..., Any],
    inputs: Sequence[Any],
    names: Sequence[str] | None = None,
    skip: int = 0,
) -> tuple[list[str], list[Array]]:
    """Names and arrays of all leaves of the inputs; names that are given are of the leaves, or of the inputs that they are in."""
    count = sum(len(named_leaves("", given)) for given in inputs)
    own = given_names(function, inputs, skip) if names is None else list(names)
    if names is not None and len(own) not in (len(inputs), count):
        raise ValueError(f"names: expected {count}, one for each array, or {len(inputs)}, one for each input; got {len(own)}: {own}")
    by_input = len(own) == len(inputs)
    named = [leaf for name, given in zip(own if by_input else [""] * len(inputs), inputs) for leaf in named_leaves(name, given)]
    found = [name for name, _ in named] if by_input else own
    return found, [as_input(who, name, value) for name, (_, value) in zip(found, named)]


def distinct(names: Sequence[str]) -> list[str]:
    """Names that occur more than once get a number."""
    return [name if list(names).count(name) == 1 else f"{name} {k}" for k, name in enumerate(names)]
