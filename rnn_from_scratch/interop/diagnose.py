"""Two implementations of one cell disagree: which convention, or which two, make them agree?

    cell = cells.LSTM()
    ours = lambda params, x: forward(cell, params, x)[0]
    print(diagnose(ours, theirs, params, cell))           # theirs(params, x) -> y [B, T, H]

Every cause of mismatches.py that can apply to the cell is tried alone, then every pair of different groups: ours is changed, theirs
is called once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .. import backends, cells
from ..array_kinds import as_numpy
from ..cells import form_name
from ..measure import error
from ..params import cell_name
from ..typing import Array, ListedCell
from .mismatches import Mismatch, Setup, mismatches_for
from .parts import checked, join, split

TOLERANCE = {"float32": 1e-5, "float64": 1e-9}  # two right implementations of short sequences differ by less


@dataclass(frozen=True)
class Explanation:
    """One cause, or two, and the error that is left when ours is changed accordingly."""

    causes: tuple[Mismatch, ...]
    error: float

    def __str__(self) -> str:
        return "\n    and ".join(f"{c.about}: {c.text}" for c in self.causes) + f"\n    error {self.error:.1e}"


@dataclass(frozen=True)
class Diagnosis:
    """What diagnose found. explanations is empty if the two agree, and if nothing explains the difference."""

    cell: str
    before: float  # the error as they are
    tolerance: float
    explanations: tuple[Explanation, ...]  # all that fit equally well, smallest error first; single causes before pairs
    closest: Explanation | None  # the best one that does not fit, if none fits
    tried: tuple[int, int]  # single causes, pairs
    inside: bool  # False: ours is not the package's cell, so only causes in weights, biases and time were tried

    @property
    def agree(self) -> bool:
        return self.before <= self.tolerance

    def __str__(self) -> str:
        lines = [f"{self.cell}: error {self.before:.1e} between ours and theirs"]
        if self.agree:
            return f"{lines[0]}: they agree (tolerance {self.tolerance:.0e})"
        if not self.inside:
            lines.append(f"ours is not the {self.cell} of this package: only causes in weights, biases and time were tried")
        singles, pairs = self.tried
        if self.explanations:
            count = len(self.explanations)
            if count > 1:
                lines.append(f"{count} explanations fit equally; other parameters (random, no zeros) may tell them apart:")
            lines += [f"  {e}" for e in self.explanations]
        else:
            lines.append(f"none of {singles} single causes and {pairs} pairs makes them agree (tolerance {self.tolerance:.0e})")
            if self.closest:
                lines.append(f"  closest: {self.closest}")
        return "\n".join(lines)


def diagnose(
    ours_fn: Callable[..., Array],
    theirs_fn: Callable[..., Array],
    params: dict[str, Array],
    cell: ListedCell,
    x: Array | None = None,
    *,
    forget_bias: float = 1.0,
    tolerance: float | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Which convention makes two implementations of a cell agree.

    ours_fn, theirs_fn   (params, x) -> y [B,T,H], or a tuple that starts with y. theirs_fn is called once and may ignore params;
                         ours_fn is called with changed params and x. Where the cell itself must change (reset gate, activations,
                         peephole source), the package's own forward stands in, if ours_fn agrees with it
    params               name -> array as in forward; distinct random values tell most (zero biases hide what happens to biases)
    cell                 the package's cell that ours_fn computes: one of cells.CELLS
    x                    [B,T,I]; None draws [2,4,I] from `seed`, in the dtype of params. Up to 800 forward runs follow
    forget_bias          what may be added to the forget gate, or missing there
    tolerance            the error at which two outputs agree; None: 1e-9, or 1e-5 if either side is float32

    Returns a Diagnosis; print it. Raises ValueError or TypeError for another cell, wrong params, or a y of another shape.
    """
    if form_name(cell) not in cells.forms():
        raise ValueError(f"cell: expected {cells.listing('or')}, got {cell_name(cell)}")
    params = checked(cell, params)
    inputs, dtype = params["Wx"].shape[0], params["Wx"].dtype
    if x is None:
        x = np.random.default_rng(seed).standard_normal((2, 4, inputs)).astype(dtype)
    setup = Setup(cell, split(cell, params), as_numpy("x", x))
    shape = (*setup.x.shape[:2], params["Wh"].shape[0])
    theirs, ours = output("theirs_fn", theirs_fn, params, setup.x, shape), output("ours_fn", ours_fn, params, setup.x, shape)
    if tolerance is None:
        tolerance = max(TOLERANCE.get(a.dtype.name, TOLERANCE["float32"]) for a in (theirs, ours))
    before = error(ours, theirs)
    inside = error(backends.forward(cell, params, setup.x, save=False)[0], ours) <= tolerance
    if before <= tolerance:
        return Diagnosis(form_name(cell), before, tolerance, (), None, (0, 0), inside)

    def tried(candidates: Iterator[tuple[tuple[Mismatch, ...], Setup]]) -> list[Explanation]:
        possible = ((causes, changed) for causes, changed in candidates if inside or changed.cell is cell)
        explanations = (Explanation(causes, error(run(changed, cell, ours_fn, shape), theirs)) for causes, changed in possible)
        return sorted(explanations, key=lambda e: e.error)

    groups = mismatches_for(setup, forget_bias)
    singles = tried(((cause,), cause.change(setup)) for group in groups for cause in group)
    found, pairs = fitting(singles, tolerance), []
    if not found:
        pairs = tried(two_mismatches(setup, groups))
        found = fitting(pairs, tolerance)
    closest = min(singles + pairs, key=lambda e: e.error, default=None)
    return Diagnosis(form_name(cell), before, tolerance, found, None if found else closest, (len(singles), len(pairs)), inside)


def fitting(explanations: list[Explanation], tolerance: float) -> tuple[Explanation, ...]:
    """Those within the tolerance that fit about as well as the best one: up to ten times its error, or rounding."""
    best = explanations[0].error if explanations else float("inf")
    limit = min(tolerance, max(10 * best, tolerance / 10))
    return tuple(e for e in explanations if e.error <= limit)


def two_mismatches(setup: Setup, groups: list[list[Mismatch]]) -> Iterator[tuple[tuple[Mismatch, ...], Setup]]:
    """Every pair of causes of different groups, in the order in which they act, with ours changed by both."""
    for earlier, later in combinations(groups, 2):
        for first in earlier:
            changed = first.change(setup)
            for second in later:
                yield (first, second), second.change(changed)


def run(setup: Setup, cell: ListedCell, ours_fn: Callable[..., Array], shape: tuple[int, ...]) -> Array:
    """y [B,T,H] of a changed setup: by ours_fn if the cell is still the user's, else by the package's reference."""
    with np.errstate(all="ignore"):  # a wrong guess may overflow: its error is then inf
        params = join(setup.cell, setup.parts)
        if setup.cell is cell:
            y = output("ours_fn", ours_fn, params, setup.x, shape)
        else:
            y, *_ = backends.forward(setup.cell, params, setup.x, save=False, backend="reference")
    return y[:, ::-1] if setup.flip else y


def output(name: str, fn: Callable[..., Array], params: dict[str, Array], x: Array, shape: tuple[int, ...]) -> Array:
    """fn(params, x) as a NumPy array [B,T,H]. Raises ValueError for another shape."""
    y = fn(params, x)
    y = y[0] if isinstance(y, tuple) else y
    y = np.asarray(y.detach() if hasattr(y, "detach") else y)
    if y.shape != shape:
        raise ValueError(f"{name}: expected y [B, T, H] = {list(shape)}, got {list(y.shape)}; return every step, batch-major")
    return y
