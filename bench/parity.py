"""The gate before every timing: a backend or a peer that computes something else gets no number."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from rnn_from_scratch import backends
from rnn_from_scratch.measure import budget, compare, error
from rnn_from_scratch.typing import Array
from rnn_from_scratch.verify.cases import solve
from rnn_from_scratch.verify.parity import cast

from .cases import problem

SAME = 1e-4  # a peer may be off by this: enough for anyone's exp and tanh, far too little for another gate order


class RefusedError(Exception):
    """The case is not timed. The text says what was off, and by how much."""


@lru_cache(maxsize=1)
def truth(cell: str, shape: str, situation: str) -> tuple[dict[str, Array], dict[str, float]]:
    """The reference's arrays in float64, and what float32 may be off: twice (gradients: three times) NumPy's float32, plus 1e-6."""
    p = problem(cell, shape, situation)
    p = p._replace(options={**p.options, "initial_state": tuple(np.zeros_like(d) for d in p.dstate)})
    exact, own = solve(cast(p, "float64")), solve(p)
    return exact, {name: budget(name, error(own[name], exact[name])) for name in exact}


@cache
def check(cell: str, shape: str, situation: str, backend: str) -> None:
    """Raise RefusedError unless outputs, states and gradients of a backend are within budget, and the same without a tape."""
    p = problem(cell, shape, situation)
    exact, budgets = truth(cell, shape, situation)
    found = solve(p, backend)
    found["y without a tape"] = backends.forward(p.cell, p.params, p.x, **p.options, save=False, backend=backend)[0]
    exact, budgets = {**exact, "y without a tape": exact["y"]}, {**budgets, "y without a tape": budgets["y"]}
    worst, off, allowed = compare(found, exact, budgets)
    if not off <= allowed:
        what = f"{worst} is off by {off:.1e}, allowed {allowed:.1e}; not timed"
        raise RefusedError(f"{backend}, {cell} at {shape}, {situation}: {what}")


def check_peer(peer: str, cell: str, shape: str, y: Array, dx: Array | None) -> None:
    """Raise RefusedError unless a peer's y [B,T,H] and dx [B,T,I] (None: no backward) are the reference's on the same weights."""
    p = problem(cell, shape)
    y_own, _, tape = backends.forward(p.cell, p.params, p.x, save=dx is not None, backend="reference")
    pairs = {"y": (y, y_own)}
    if dx is not None:
        pairs["dx"] = (dx, backends.backward(tape, p.dy, wrt=("x",)).x)
    for name, (theirs, own) in pairs.items():
        if not (off := error(theirs, own)) <= SAME:
            raise RefusedError(f"{peer}, {cell} at {shape}: {name} is off by {off:.1e}, allowed {SAME:.0e}; not timed")
