"""What check_function found, as an object, a text that names the culprit, a dict and a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ... import shown
from .directional import Part
from .function import Finding
from .locate import Element, ErrorOrigin


@dataclass(frozen=True)
class FunctionReport:
    """The result of check_function: `verdict`, `culprit` (one wrong element, None if none was found), `birth`; str() is for people.

    The verdict is "right", "wrong" or "undecided"; `ok` is True for "right" only.
    """

    names: tuple[str, ...]
    method: str
    directions: int | str
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...] = ()
    culprit: Element | None = None
    birth: ErrorOrigin | None = None
    notes: tuple[str, ...] = ()
    map_of_errors: Callable[[], Any] | None = field(default=None, repr=False, compare=False)
    doubts: tuple[str, ...] = ()
    __repr__ = shown.report_text

    @property
    def verdict(self) -> str:
        if self.culprit or any(f.verdict == "wrong" for f in self.findings) or any(part.wrong for part in self.parts):
            return "wrong"
        if self.findings or self.doubts or not self.parts or not all(part.ok for part in self.parts):
            return "undecided"
        return "right"

    @property
    def ok(self) -> bool:
        return self.verdict == "right"

    @property
    def worst(self) -> Part:
        return max(self.parts, key=lambda part: part.ratio)

    def __str__(self) -> str:
        how = {"complex": "complex step", "central": "central differences"}.get(self.method, "no digits were compared")
        if self.parts:
            how += ", every element" if self.directions == "full" else f", {self.directions} random directions per input"
        if self.ok:
            w = self.worst
            numbers = f"error {w.error:.1e}, allowed {w.allowed:.1e}, floor {w.floor:.1e}"
            lines = [f"gradients are right ({how}); worst {w.array}{f'[{w.block}]' * bool(w.block)}: {numbers}"]
            return "\n".join(lines + [f"  note: {note}" for note in self.notes])
        lines = [f"gradients are {self.headline} ({how})", *self.culprit_lines()]
        doubts = dict.fromkeys([*self.doubts, *(f"gradient of {p.array}: {p.doubt}" for p in self.parts if p.doubt and not self.doubts)])
        lines += [f"  undecided: {doubt}" for doubt in doubts]
        wrong = sorted((part for part in self.parts if part.wrong), key=lambda part: -part.ratio)
        if wrong:
            lines.append(f"  {'gradient of':20s} {'block':8s} {'error':>8s} {'allowed':>8s} {'floor':>8s}")
            lines += [f"  {p.array:20s} {p.block or '-':8s} {p.error:8.1e} {p.allowed:8.1e} {p.floor:8.1e}" for p in wrong[:16]]
        right = [part.array + f"[{part.block}]" * bool(part.block) for part in self.parts if part.ok]
        lines.append(f"  right: {', '.join(right) or 'none'}")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    @property
    def headline(self) -> str:
        """What the gradients are, in a word that stands out."""
        return {"right": "right", "wrong": "WRONG", "undecided": "UNDECIDED: nothing here can tell whether they are right"}[self.verdict]

    def culprit_lines(self) -> list[str]:
        """The wrong element, the step of birth, and the findings."""
        found = [f"  {finding.kind}: {finding.text}" for finding in self.findings]
        if self.culprit is None:
            return found
        c = self.culprit
        named = f"  culprit: {c.array}" + f", block {c.block}" * bool(c.block) + ("" if c.unit is None else f", unit {c.unit}")
        ratio = f", ours / expected = {c.ours / c.expected:.6g}" if c.expected else ""
        output = f" of output {c.output[0]}{list(c.output[1:])}" if c.output else ""
        lines = [named, f"  at {list(c.place)}{output}: ours {c.ours:.9g}, expected {c.expected:.9g}{ratio}"]
        if self.birth:
            lines.append(f"  born at step t = {self.birth.step}: {self.birth.why}")
        return lines + found

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        birth = self.birth and {"step": self.birth.step, "suspects": dict(self.birth.suspects), "why": self.birth.why}
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "method": self.method,
            "directions": self.directions,
            "culprit": self.culprit and self.culprit._asdict(),
            "birth": birth,
            "findings": [finding._asdict() for finding in self.findings],
            "parts": [{**part._asdict(), "ok": part.ok} for part in self.parts],
            "notes": list(self.notes),
            "doubts": list(self.doubts),
        }

    def _repr_html_(self) -> str:
        ordered = sorted(self.parts, key=lambda part: -part.ratio)
        rows = [(p.array, p.block or "-", f"{p.error:.1e}", f"{p.allowed:.1e}", f"{p.floor:.1e}") for p in ordered]
        return shown.report_html(self, ("gradient of", "block", "error", "allowed", "floor"), rows, self.picture())

    def picture(self) -> str:
        """The map of errors by step and unit as SVG, of a report that is wrong; "" where there is none."""
        if self.ok or self.map_of_errors is None:
            return ""
        try:
            errors = self.map_of_errors()
        except ValueError:  # no time axis, or more steps and units than are quickly drawn
            return ""
        steps, units = (list(map(str, range(n))) for n in errors.shape)
        return shown.heat_map(errors, [f"t = {t}" for t in steps], units, "error of the gradients of y[t, unit]")

    def figure(self) -> Any:
        """A matplotlib figure, steps by units: how wrong the gradients of each element of output 0 are, on a log scale.

        Calls backward_fn once for every step and unit. Raises ValueError without time_axis, or if output 0 has no such axis.
        """
        try:
            from matplotlib.colors import LogNorm
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError('figure: needs matplotlib: pip install "rnn_from_scratch[bench]"') from error
        if self.map_of_errors is None:
            raise ValueError("figure: nothing was compared: mend the findings first")
        errors = self.map_of_errors()
        steps, units = errors.shape
        figure = Figure(figsize=(3.5 + 0.25 * min(units, 40), 2 + 0.25 * min(steps, 40)), layout="constrained")
        axes = figure.add_subplot()
        drawn = axes.imshow(errors.clip(1e-16), norm=LogNorm(1e-16, 1), cmap="magma", aspect="auto", interpolation="nearest")
        axes.set(xlabel="unit", ylabel="step t", title="error of the gradients of y[t, unit]")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        figure.colorbar(drawn, label="relative error, worst input")
        return figure
