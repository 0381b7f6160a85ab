"""A check leaves no trace: what modules, layers and random generators keep is after each call what it was before.

Attributes (counters, lists, buffers) are put back. Random generators move on within the check, as they would outside of it, but
in private: two calls draw different numbers, which is a finding, and whoever draws next outside gets what he would have got.
"""

from __future__ import annotations

import copy
import functools
import inspect
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ...array_kinds import is_tensor


class State(NamedTuple):
    """How to read something that changes and how to set it."""

    get: Callable[[], Any]
    set: Callable[[Any], None]


def generator_state(value: Any) -> State | None:
    """The state of a random generator; None for anything else. Keras' SeedGenerator keeps it in a variable."""
    torch = sys.modules.get("torch")
    if isinstance(value, np.random.Generator):
        return State(lambda: copy.deepcopy(value.bit_generator.state), lambda state: setattr(value.bit_generator, "state", state))
    if isinstance(value, np.random.RandomState) or value is np.random:
        return State(value.get_state, value.set_state)
    if isinstance(value, random.Random) or value is random:
        return State(value.getstate, value.setstate)
    if torch is not None and isinstance(value, torch.Generator):
        return State(value.get_state, value.set_state)
    if type(value).__name__ == "SeedGenerator" and hasattr(value, "state"):
        return State(value.state.numpy, value.state.assign)
    return None


def owned_state(owner: Any) -> list[State]:
    """The attributes of an object, and what is in those that are lists, dicts and sets."""
    return [contents(vars(owner)), *(contents(value) for value in vars(owner).values() if isinstance(value, (dict, list, set)))]


def contents(container: Any) -> State:
    """What a dict, list or set holds. Frameworks have classes of their own for these, which watch: they need not see this."""
    base: Any = next(kind for kind in (dict, list, set) if isinstance(container, kind))

    def put_back(before: Any) -> None:
        if base.__len__(container) != len(before) or any(a is not b for a, b in zip(items(container), items(before))):
            base.clear(container)
            (list.extend if base is list else base.update)(container, before)

    return State(lambda: base.copy(container), put_back)


def items(container: Any) -> list[Any]:
    return [part for pair in dict.items(container) for part in pair] if isinstance(container, dict) else list(container)


def reachable(function: Any) -> list[Any]:
    """What a function can change: itself, the object whose method it is, and what it names from outside of itself."""
    found, waiting = list[Any](), [function]
    while waiting:
        at = waiting.pop()
        if any(at is other for other in found):
            continue
        found.append(at)
        if isinstance(at, functools.partial):
            waiting += [at.func, *at.args, *at.keywords.values()]
        plain = getattr(at, "python_function", at)  # of a tf.function
        plain = inspect.unwrap(plain) if callable(plain) else plain
        if inspect.ismethod(plain):
            waiting += [plain.__self__]
            plain = plain.__func__
        if inspect.isfunction(plain):
            names = inspect.getclosurevars(plain)
            waiting += [value for value in (*names.nonlocals.values(), *names.globals.values()) if not inspect.ismodule(value)]
    return found


def bound_objects(around: Sequence[Any]) -> list[Any]:
    """The objects whose methods are among what a function reaches."""
    found = [at.__self__ for at in around if inspect.ismethod(at)]
    return [owner for owner in found if hasattr(owner, "__dict__") and not isinstance(owner, type)]


def tensor_states(modules: Sequence[Any]) -> list[State]:
    """The torch tensors that modules keep and may change in place: buffers, and attributes."""
    kept = [t for m in modules for t in m.buffers(recurse=False)]
    kept += [value for m in modules for value in vars(m).values() if is_tensor(value)]
    return [State(lambda t=t: t.detach().clone(), lambda value, t=t: t.detach().copy_(value)) for t in unique(kept)]  # type: ignore[misc]


class Untouched:
    """A context in which calls run: the attributes of `owners` and the `states` are put back after each.

    Random generators are looked for among `held` and the attributes of the owners.
    """

    def __init__(self, owners: Sequence[Any], states: Sequence[State], held: Sequence[Any] = ()):
        self.owners, self.states = list(owners), list(states)
        held = [np.random, random, *held, *(value for owner in owners for value in vars(owner).values())]
        held += [part for value in held if isinstance(value, (list, tuple)) for part in value]
        torch = sys.modules.get("torch")
        self.generators = [found for found in map(generator_state, unique(held)) if found]
        self.generators += [State(torch.get_rng_state, torch.set_rng_state)] if torch is not None else []
        self.inside: list[Any] = []  # the states of the generators within the check

    @contextmanager
    def call(self) -> Iterator[None]:
        kept = [(state, state.get()) for state in (*self.states, *(s for owner in self.owners for s in owned_state(owner)))]
        outside = [generator.get() for generator in self.generators]
        for generator, state in zip(self.generators, self.inside):
            generator.set(state)
        try:
            yield
        finally:
            self.inside = [generator.get() for generator in self.generators]
            for generator, state in zip(self.generators, outside):
                generator.set(state)
            for state, value in kept:
                state.set(value)


def unique(values: Sequence[Any]) -> list[Any]:
    return list({id(value): value for value in values}.values())
