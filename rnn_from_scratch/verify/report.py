"""What gradcheck found, as an object and as a text that names the culprit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .. import shown


class Entry(NamedTuple):
    """One gradient array, or one gate's part of it: its error relative to the whole array, and its worst element."""

    array: str  # Wx, Wh, b, bx, bh, p, x, or a state: "initial h"
    gate: str  # "" where the array has no gates
    unit: int
    place: tuple[int, ...]  # the worst element's index in the array
    error: float
    budget: float
    ours: float
    expected: float

    @property
    def ok(self) -> bool:
        return self.error <= self.budget


class ErrorOrigin(NamedTuple):
    """Where a wrong gradient comes from: the step at which the backward pass first goes wrong."""

    step: int
    gates: tuple[str, ...]  # the gates to suspect; () if none is
    arrays: tuple[str, ...]  # the gradients that this step alone gets wrong; () if each step alone is right
    why: str


@dataclass(frozen=True)
class Report:
    """The result of gradcheck. `ok`, `culprit` (the worst entry among the gates at fault) and `birth`; str() is for people."""

    cell: str
    backend: str
    dtype: str
    entries: tuple[Entry, ...]
    birth: ErrorOrigin | None = None
    notes: tuple[str, ...] = field(default=())
    __repr__ = shown.report_text

    @property
    def ok(self) -> bool:
        return all(e.ok for e in self.entries)

    @property
    def worst(self) -> Entry:
        return max(self.entries, key=lambda e: e.error / e.budget)

    @property
    def culprit(self) -> Entry | None:
        """The entry to look at first; None if all is right."""
        wrong = [e for e in self.entries if not e.ok]
        if self.birth:
            born = [e for e in wrong if e.array in self.birth.arrays and e.gate in (self.birth.gates or ("",))]
            wrong = born or wrong
        return max(wrong, key=lambda e: e.error / e.budget, default=None)

    def __str__(self) -> str:
        head = f"gradcheck of {self.cell} on {self.backend}, {self.dtype}: "
        culprit = self.culprit
        if culprit is None:
            w = self.worst
            lines = [head + f"right; worst array {w.array}: error {w.error:.1e}, allowed {w.budget:.1e}"]
            return "\n".join(lines + [f"  note: {n}" for n in self.notes])
        gates = (self.birth.gates if self.birth else ()) or tuple(
            dict.fromkeys(e.gate for e in self.entries if not e.ok and e.gate and e.array == culprit.array)
        )
        named = f"parameter {culprit.array}" if not culprit.array.startswith("initial") else f"the gradient of {culprit.array}"
        lines = [head + "WRONG", f"  culprit: {named}" + (f", gate {', '.join(gates)}" if gates else "") + f", unit {culprit.unit}"]
        if self.birth:
            lines.append(f"  born at step t = {self.birth.step}: {self.birth.why}")
        else:
            lines.append("  dxg is right at every step: the error is in how the steps are summed, not in the steps")
        columns = f"{'gate':5s} {'unit':>4s} {'error':>9s} {'allowed':>9s} {'ours':>13s} {'expected':>13s}"
        lines.append(f"  {'gradient of':14s} {columns}")
        for e in sorted((e for e in self.entries if not e.ok), key=lambda e: -e.error / e.budget)[:12]:
            numbers = f"{e.unit:4d} {e.error:9.1e} {e.budget:9.1e} {e.ours:13.6g} {e.expected:13.6g}"
            lines.append(f"  {e.array:14s} {e.gate or '-':5s} {numbers}  at {list(e.place)}")
        right = [f"{e.array}{f'[{e.gate}]' if e.gate else ''}" for e in self.entries if e.ok]
        lines.append(f"  right: {', '.join(right) or 'none'}")
        return "\n".join(lines + [f"  note: {n}" for n in self.notes])

    def _repr_html_(self) -> str:
        ordered = sorted(self.entries, key=lambda e: -e.error / e.budget)
        values = [tuple(f"{value:.6g}" for value in (e.ours, e.expected)) for e in ordered]
        rows = [(e.array, e.gate or "-", e.unit, f"{e.error:.1e}", f"{e.budget:.1e}", *two) for e, two in zip(ordered, values)]
        arrays, gates = (list(dict.fromkeys(names)) for names in zip(*((e.array, e.gate or "all") for e in self.entries)))
        errors = np.full((len(arrays), len(gates)), np.nan)
        for e in self.entries:
            errors[arrays.index(e.array), gates.index(e.gate or "all")] = e.error
        picture = shown.heat_map(errors, arrays, gates, "error of each gradient, by gate")
        return shown.report_html(self, ("gradient of", "gate", "unit", "error", "allowed", "ours", "expected"), rows, picture)
