"""The error measure and the budgets that every comparison uses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .typing import Array

EXACT = 1e-12  # float64, whatever is compared
FLOOR = 1e-6  # float32: added to the allowed multiple of NumPy's own float32 error


def error(a: Array, b: Array) -> float:
    """max|a - b| / max|b|, b the truth. NaN or another shape is inf; an all-zero b demands exact zeros (0 or inf)."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0:
        return 0.0
    difference, scale = np.max(np.abs(a - b)), np.max(np.abs(b))
    if not np.isfinite(difference) or not np.isfinite(scale):
        return float("inf")
    if scale == 0:
        return 0.0 if difference == 0 else float("inf")
    return float(difference / scale)


def budget(name: str, own: float) -> float:
    """What a float32 array may be off from its float64 twin: own is the error of float32 NumPy on the same case.

    Twice as much for outputs and states, three times for gradients (names that begin with d), plus 1e-6.
    """
    return (3 if name.startswith("d") else 2) * own + FLOOR


class Row(NamedTuple):
    """One line of `rnn-from-scratch verify`: what was compared with what, the worst array, its error and what it may be."""

    check: str  # gradcheck, tf.keras, torch.nn, ...
    cell: str
    situation: str
    dtype: str
    error: float | None  # None: not run
    budget: float | None
    text: str  # the worst array, the culprit, or the reason why the row was not run

    def __repr__(self) -> str:
        numbers = "" if self.error is None else f", error {self.error:.1e}, allowed {self.budget:.1e}"
        return f"<{self.check}: {self.cell} {self.situation} {self.dtype}: {self.status}{numbers}>"

    @property
    def status(self) -> str:
        if self.error is None or self.budget is None:
            return "skipped"
        return "pass" if self.error <= self.budget else "fail"


def compare(ours: dict[str, Array], truth: dict[str, Array], budgets: dict[str, float]) -> tuple[str, float, float]:
    """The worst array of `truth` by error over budget: its name, error and budget. A missing array is inf."""
    ratios = {}
    for name, b in truth.items():
        e = error(ours[name], b) if name in ours else float("inf")
        ratios[name] = (e / budgets[name] if budgets[name] else (0.0 if e == 0 else float("inf")), e)
    worst = max(ratios, key=lambda name: ratios[name][0])
    return worst, ratios[worst][1], budgets[worst]
