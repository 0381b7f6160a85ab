"""The one table of cases: every backend, layer and oracle is run through it. The cells of cells.CELLS come into it by themselves."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from .. import backends, bptt, cells, products
from ..params import param_shapes
from ..typing import Array, ListedCell

# form -> label -> options: what is tried beside the defaults of a form, where the rule in `others` is not what is wanted
OTHERS: dict[str, dict[str, dict[str, Any]]] = {
    "PeepholeLSTM": {
        "relu, no bias": {"activation": "relu", "use_bias": False},
        "hard_sigmoid": {"recurrent_activation": "hard_sigmoid"},
    },
    "GRU reset after": {
        "sigmoid, no bias": {"activation": "sigmoid", "use_bias": False},
        "relu, hard_sigmoid": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    },
    "GRU reset before": {
        "relu": {"activation": "relu"},
        "hard_sigmoid, no bias": {"activation": "hard_sigmoid", "use_bias": False},
    },
}


def others(form: str, cell: ListedCell) -> dict[str, dict[str, Any]]:
    """Label -> options of a form's further cases: relu, and another activation without bias."""
    if form in OTHERS:
        return OTHERS[form]
    label, option = ("hard_sigmoid", "recurrent_activation") if hasattr(cell, "recurrent_activation") else ("linear", "activation")
    return {"relu": {"activation": "relu"}, f"{label}, no bias": {option: label, "use_bias": False}}


def case_cells() -> dict[str, ListedCell]:
    """Name -> cell: for every form of cells.CELLS its defaults, then the others. "LSTM relu", but "GRU reset before, relu"."""
    found: dict[str, ListedCell] = {}
    for form, cell in cells.forms().items():
        found[form] = cell
        separator = ", " if " " in form else " "
        found |= {f"{form}{separator}{label}": replace(cell, **options) for label, options in others(form, cell).items()}
    return found


CELLS = case_cells()

# situation -> the options of forward; "rows" is a mask whose rows end early, start late, have gaps, are all dead, all live
SITUATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "reversed": {"go_backwards": True},
    "lengths": {"mask": "right"},
    "any mask": {"mask": "rows"},
    "any mask, reversed": {"mask": "rows", "go_backwards": True},
    "any mask, reversed, zeroed": {"mask": "rows", "go_backwards": True, "zero_masked_outputs": True},
    "one scale": {"x_scale": "one", "h_scale": "one"},
    "scale per gate, any mask": {"x_scale": "gates", "h_scale": "gates", "mask": "rows"},
    "scale per gate, reversed": {"x_scale": "gates", "h_scale": "gates", "go_backwards": True},
}


class Problem(NamedTuple):
    """Everything one run needs: forward(cell, params, x, **options), then backward(tape, dy, dstate)."""

    cell: Any
    params: dict[str, Array]
    x: Array
    options: dict[str, Any]
    dy: Array
    dstate: tuple[Array, ...]


def problem(cell: Any, situation: str = "plain", dtype: str = "float64", sizes=(6, 7, 3, 5), seed: int = 0) -> Problem:
    """Seeded random data for one row of the table; every gate has its own weights, initial states are not zero.

    sizes: B, T, I, H.  x is NaN at masked steps. The float32 problem is the rounded float64 one.
    """
    B, T, I, H = sizes
    G = len(cell.gates)
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=1.0):
        return (rng.standard_normal(shape) * scale).astype(dtype)

    params = {name: normal(*shape, scale=0.5) for name, shape in param_shapes(cell, I, H).items()}
    x = normal(B, T, I)
    options = dict(SITUATIONS[situation], initial_state=tuple(normal(B, H) for _ in cell.states))
    dy, dstate = normal(B, T, H), tuple(normal(B, H) for _ in cell.states)
    if "mask" in options:
        options["mask"] = right_mask(rng, B, T) if options["mask"] == "right" else rows_mask(rng, B, T)
        x[~options["mask"]] = np.nan
    for name, width in (("x_scale", I), ("h_scale", H)):
        if name in options:
            shape = (G, B, width) if options[name] == "gates" else (B, width)
            options[name] = (rng.integers(0, 3, shape) * 0.75).astype(dtype)
    return Problem(cell, params, x, options, dy, dstate)


def cast(p: Problem, dtype: str) -> Problem:
    """The same numbers in another dtype; masks and flags as they are."""

    def to(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(to(a) for a in value)
        return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype != bool else value

    params, options = ({k: to(v) for k, v in group.items()} for group in (p.params, p.options))
    return Problem(p.cell, params, to(p.x), options, to(p.dy), to(p.dstate))


def right_mask(rng: np.random.Generator, B: int, T: int) -> Array:
    """Rows of length 0..T; the first is whole, the second empty."""
    lengths = rng.integers(0, T + 1, B)
    lengths[:2] = (T, 0)[:B]
    return np.arange(T) < lengths[:, None]


def rows_mask(rng: np.random.Generator, B: int, T: int) -> Array:
    """Row patterns in turn: all live, ends early, starts late, gaps, all dead, dead at both ends."""
    t = np.arange(T)
    patterns = [t >= 0, t < T // 2 + 1, t >= T // 2, rng.random(T) < 0.5, t < 0, (t > 0) & (t < T - 1)]
    return np.stack([patterns[b % len(patterns)] for b in range(B)]) if B else np.zeros((0, T), bool)


def solve(p: Problem, backend: str = "reference", storage: str | None = None, **more: Any) -> dict[str, Array]:
    """Run a problem on a backend: y, the final states, and every gradient by name (dx, dWx, ..., dh0, dc0).

    storage, more: options of forward.
    """
    y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend=backend, storage=storage, **more)
    return named(p, y, state, backends.backward(tape, p.dy, p.dstate))


def solve_rounded(p: Problem, dtype: np.dtype, factors: bool = False) -> dict[str, Array]:
    """The reference, with y and the tape rounded to 16 bits: what storage= may be off is measured against this.

    factors: round those of the recurrent products too, as tensor cores do: h and Wh forward, the gates' gradients and Wh backward.
    """

    def rounded(a: Array) -> Array:
        return a.astype(dtype).astype(a.dtype)

    def product(a: Array, W: Array, scale: Array | None, precision: Any = None) -> Array:
        if np.shares_memory(W, p.params["Wx"]):
            return products.product(a, W, scale)
        each = [a if scale is None else a * scale] if scale is None or scale.ndim == 2 else a * scale
        return np.concatenate([rounded(x) @ w for x, w in zip(each, np.split(rounded(W), len(each), axis=1))], axis=1)

    def product_da(d: Array, W: Array, scale: Array | None, precision: Any = None) -> Array:
        both = (d, W) if np.shares_memory(W, p.params["Wx"]) else (rounded(d), rounded(W))
        return products.product_da(*both, scale)

    with patch.multiple(bptt, product=product, product_da=product_da) if factors else nullcontext():
        y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
        assert tape is not None and tape.saved is not None
        tape = replace(tape, states=tuple(map(rounded, tape.states)), saved=rounded(tape.saved))
        return named(p, rounded(y), state, backends.backward(tape, p.dy, p.dstate))


def named(p: Problem, y: Array, state: tuple[Array, ...], grads: Any) -> dict[str, Array]:
    results = {"y": y, **dict(zip(p.cell.states, state)), "dx": grads.x}
    results.update({f"d{name}": g for name, g in grads.params.items()})
    results.update({f"d{name}0": g for name, g in zip(p.cell.states, grads.initial_state)})
    return results
