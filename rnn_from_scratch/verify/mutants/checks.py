"""The checks that must catch every mutant. They run inside of the mutated copy and use its modules.

equations   outputs, states and saved gates against equations.py, which shares no code with what is mutated
gradcheck   complex-step derivatives, for every cell and situation of the case table
invariants    what the guides and the docstrings promise beside the numbers: nothing in or out is shared or changed, nothing masked is
            seen, gradients come alone as they come together, small sizes and float32 work
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from ... import backends
from ...bptt import Gradients
from ...measure import EXACT, error
from ...typing import Array
from .. import equations
from ..cases import CELLS, SITUATIONS, Problem, cast, problem, solve
from ..gradcheck import gradcheck
from . import FORMS

SIZES = (6, 4, 2, 3)  # B, T, I, H: all different, every row pattern of a mask, quick


def problems(cells: list[str], situations: tuple[str, ...] = tuple(SITUATIONS)) -> Iterator[tuple[str, Problem]]:
    """Every cell in every situation; first the forms, in which most bugs show, then their other activations."""
    for group in ([name for name in cells if name in FORMS], [name for name in cells if name not in FORMS]):
        for situation in situations:
            for name in group:
                yield f"{name}, {situation}", problem(CELLS[name], situation, sizes=SIZES)


def corners(cells: list[str]) -> Iterator[tuple[str, Problem]]:
    """Pre-activations exactly at the corners of relu (0) and hard_sigmoid (-3, 3), where the slope is 0."""
    for name in cells:
        p = problem(CELLS[name], sizes=(6, 1, 2, 3))
        params = {key: a if key.startswith("W") else 0 * a for key, a in p.params.items()}
        for key in {"b", "bx"} & set(params):
            params[key] = np.resize([3.0, -3.0, 0.0], params[key].shape)
        start = tuple(0 * s for s in p.options["initial_state"])
        yield f"{name} at the corners", p._replace(params=params, x=0 * p.x, options={**p.options, "initial_state": start})


class Scaled:
    """A cell as a user may write one: h = p * tanh(a). Its dp is not zero at a masked step, unlike that of any cell here."""

    gates, states, saved, extras, shared, phases, use_bias = ("a",), ("h",), (), ("p",), True, ((0,),), False

    def forward(self, k, xg, hg, s_prev, saved, p):
        return (p[0] * np.tanh(xg[0] + hg[0]),), ()

    def backward(self, k, d, saved, s_prev, s, p):
        y = s[0] / p[0]
        da = d[0] * p[0] * (1 - y * y)
        return (da,), (da,), (0.0,), (d[0] * y,)


def of_a_user() -> Iterator[tuple[str, Problem]]:
    for situation in ("any mask", "any mask, reversed"):
        yield f"a user's cell, {situation}", problem(Scaled(), situation, sizes=SIZES)


def gradients(cells: list[str]) -> Iterator[str]:
    for where, p in chain(problems(cells), corners(cells), of_a_user()):
        report = gradcheck(p.cell, p.params, p.x, backend="reference", **p.options)
        if not report.ok:
            culprit = report.culprit or report.worst
            yield f"{culprit.array}{f'[{culprit.gate}]' * bool(culprit.gate)} in {where}"


def outputs(cells: list[str]) -> Iterator[str]:
    for where, p in problems([name for name in cells if equations.covers(CELLS[name])]):
        y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
        assert tape is not None
        truth = equations.run(p.cell, p.params, p.x, **p.options)
        last = 0 if p.options.get("go_backwards") else -1
        pairs = {"y": (y, truth.y)}
        for name, final, slots in zip(p.cell.states, state, tape.states):
            pairs[f"final {name}"] = (final, truth.states[name][:, last])
            pairs[f"tape {name}"] = (slots, truth.states[name])
        pairs.update({f"gate {name}": (tape.gate(name), truth.saved[name]) for name in p.cell.saved})
        for name, (ours, expected) in pairs.items():
            if error(ours, expected) > EXACT or not np.array_equal(ours[expected == 0], expected[expected == 0]):
                yield f"{name} in {where}"
        B, T, H = y.shape
        if tape.nbytes != B * H * (len(p.cell.saved) * T + len(state) * (T + 1)) * y.itemsize:
            yield f"tape.nbytes in {where}"


def invariants(cells: list[str]) -> Iterator[str]:
    for where, p in problems(cells, ("plain", "any mask", "scale per gate, any mask", "any mask, reversed, zeroed")):
        for invariant in (nothing_is_shared, masked_steps_are_not_seen, gradients_come_alone):
            for text in invariant(p):
                yield f"{text} in {where}"
    for name in cells:
        for sizes in ((0, 3, 2, 4), (1, 1, 1, 1), (3, 1, 2, 2)):
            found = solve(problem(CELLS[name], "scale per gate, any mask", sizes=sizes))
            if not all(np.isfinite(a).all() for a in found.values()):
                yield f"sizes {sizes} in {name}"
        p = problem(CELLS[name], "scale per gate, any mask", "float32", SIZES)
        ours, twin = solve(p), solve(cast(p, "float64"))
        for key, a in ours.items():
            if a.dtype != np.float32 or error(a, twin[key]) > 1e-4:
                yield f"{key} in float32, {name}"
        far = problem(CELLS[name], sizes=SIZES)
        if not all(np.isfinite(a).all() for a in solve(far._replace(x=1e4 * far.x)).values()):
            yield f"large inputs of {name}"
        known = ", ".join(p.cell.saved) or "nothing"
        if refusal(p) != f"gate: {type(p.cell).__name__} saves {known}, got 'no such gate'":
            yield f"tape.gate of an unknown name in {name}"
        if not all("recompute_every" in refusal(p, gate, recompute_every=2) for gate in p.cell.saved):
            yield f"tape.gate of a tape of {name} without gates"


def same(one: Any, two: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, two, strict=True))


def arrays(grads: Any) -> list[Array]:
    return [grads.x, *grads.params.values(), *grads.initial_state]


def nothing_is_shared(p: Problem) -> Iterator[str]:
    """Inputs stay as they are, outputs belong to the caller, the tape works twice, save=False changes no bit."""
    given = [*p.params.values(), p.x, p.dy, *p.dstate, *p.options["initial_state"]]
    copies = [a.copy() for a in given]
    y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
    y_alone, state_alone, no_tape = backends.forward(p.cell, p.params, p.x, **p.options, save=False, backend="reference")
    if no_tape is not None or not same((y, *state), (y_alone, *state_alone)):
        yield "save=False"
    if not (y.flags.c_contiguous and y.flags.owndata):
        yield "y is a view"
    one, two = (arrays(backends.backward(tape, p.dy, p.dstate)) for _ in range(2))
    kept = [a.copy() for a in two]
    for a in (y, *state, *one, *two):
        a += 1000
    if not same(arrays(backends.backward(tape, p.dy, p.dstate)), kept):
        yield "the tape, used twice"
    if not same(given, copies):
        yield "an argument is changed"


def masked_steps_are_not_seen(p: Problem) -> Iterator[str]:
    mask = p.options.get("mask")
    if mask is None:
        return
    order = mask[:, ::-1] if p.options.get("go_backwards") else mask
    dy_used = order if p.options.get("zero_masked_outputs") else np.logical_or.accumulate(order, axis=1)
    first = solve(p)
    for value in (np.inf, 0.0):
        x, dy = np.where(mask[:, :, None], p.x, value), np.where(dy_used[:, :, None], p.dy, np.nan)
        again = solve(p._replace(x=x, dy=dy))
        if not same(first.values(), again.values()):
            yield f"{value} at masked steps"


def gradients_come_alone(p: Problem) -> Iterator[str]:
    """wrt, dy alone and dstate alone, a None inside of dstate."""
    _, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
    together = backends.backward(tape, p.dy, p.dstate)
    groups = ("x", "params", "initial_state")
    alone = {group: backends.backward(tape, p.dy, p.dstate, wrt=(group,)) for group in groups}
    if any(getattr(grads, other) is not None for group, grads in alone.items() for other in groups if other != group):
        yield "wrt gives what was not asked"
    elif not same(arrays(together), arrays(Gradients(*(getattr(alone[group], group) for group in groups)))):
        yield "wrt"
    from_dy = backends.backward(tape, p.dy)
    total = from_dy.x
    for k in range(len(p.dstate)):
        total = total + backends.backward(tape, None, tuple(d if j == k else None for j, d in enumerate(p.dstate))).x
    if error(total, together.x) > EXACT:
        yield "dy and dstate apart"


def refusal(p: Problem, name: str = "no such gate", **more: Any) -> str:
    """What tape.gate says to a name that was not saved."""
    _, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, **more, backend="reference")
    assert tape is not None
    try:
        tape.gate(name)
    except ValueError as error:
        return str(error)
    return "nothing"


CHECKS: dict[str, Callable[[list[str]], Iterator[str]]] = {"equations": outputs, "gradcheck": gradients, "invariants": invariants}


def first_failure(check: Callable[[list[str]], Iterator[str]], cells: list[str]) -> str:
    """What a check finds first; "" if nothing. An exception is a failure too: the mutant does not run."""
    with np.errstate(all="ignore"):
        try:
            return next(check(cells), "")
        except Exception as error:  # whatever a mutant does
            first_line = (str(error).strip().splitlines() or [""])[0]
            return f"{type(error).__name__}: {first_line[:80]}"
