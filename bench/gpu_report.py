"""The report of gpu-check to read, and its verdict. A report may lack any section, or hold a part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rnn_from_scratch.backends.gpu.planner import TIERS

BESIDE = {"bridge": ("layers", "tf.keras"), "modules": ("modules", "torch.nn")}  # key of the report -> what was compared with what


def faults(report: dict[str, Any]) -> Iterator[str]:
    """All that is wrong, a line each."""
    for row in [*report.get("parity", ()), *report.get("many blocks", ())]:
        if not row["error"] <= row["allowed"]:
            what = f"{row['tier']}, {row['cell']}, {row['situation']}, {row['kind']}"
            yield f"{what}: {row['array']} is off by {row['error']:.2g}, allowed {row['allowed']:.2g}"
    for row in report.get("narrow", ()):
        if "refused" not in row and not row["error"] <= row["allowed"]:
            yield f"{row['shape']}, {row['cell']}, {row['kind']}: off by {row['error']:.2g}, allowed {row['allowed']:.2g}"
    for name, same in report.get("same bits", {}).items():
        if not same:
            yield f"{name} tier: {report['runs']} runs DIFFERED"
    for what, seen in report.get("planted", {}).items():
        if not seen:
            yield f"a planted bug was not seen: {what}"
    beside = [(f"{who} beside {whom}", report.get(key) or "clean") for key, (who, whom) in BESIDE.items()]
    for who, said in [*beside, *report.get("sanitizer", {}).items()]:
        if said != "clean" and not said.startswith("skipped"):
            yield f"{who}: {said}"
    for name, section in report["sections"].items():
        if section["state"].startswith("crashed"):
            yield f"{name} {section['state']}"


def verdict(report: dict[str, Any]) -> int:
    """The exit code: 1 if something is wrong, 3 if nothing is but not all was reached, else 0."""
    if any(faults(report)):
        return 1
    return 0 if all(section["state"] == "done" for section in report["sections"].values()) else 3


def milliseconds(ms: tuple[float, float] | None, predicted: tuple[float, float] | None = None) -> str:
    """Of both passes, with the predicted ones in brackets."""
    if ms is None:
        return "-"
    brackets = [f" ({p:.3g})" for p in predicted] if predicted else ["", ""]
    return "; ".join(f"{value:.3g}{p}" for value, p in zip(ms, brackets))


def findings(report: dict[str, Any]) -> Iterator[str]:
    """A line for each question that was answered."""
    wrong = list(faults(report))
    if "parity" in report:
        yield f"{len(report['parity']) + len(report.get('many blocks', ()))} comparisons with the reference."
    if same := report.get("same bits"):
        yield f"{report['runs']} runs in the {' and '.join(same)} tier: {'the same bits' if all(same.values()) else 'OTHER BITS'}."
    if seen := report.get("planted"):
        yield f"Planted bugs: {sum(seen.values())} of {len(seen)} seen."
    yield from (f"{who.capitalize()} beside {whom}: {report[key] or 'equal'}." for key, (who, whom) in BESIDE.items() if key in report)
    yield from (f"compute-sanitizer {tool}: {said}" for tool, said in report.get("sanitizer", {}).items())
    both = [row for name in ("crossover", "timings", "more timings") for row in report.get(name, ()) if row["step"] and row["sequence"]]
    if both:
        right = sum((row["step"][1] > row["sequence"][1]) == (row["planned"] == "sequence") for row in both)
        yield f"The planner took the quicker tier in {right} of {len(both)} cases where both can run."
    yield f"Wrong: {len(wrong)}." if wrong else "Nothing wrong was found."
    yield from (f"- {fault}" for fault in wrong)


def markdown(report: dict[str, Any]) -> str:
    """The whole report."""
    lines = [f"# {report['facts']['gpu']}", "", *findings(report)]
    lines += ["", "| section | | seconds | expected |", "|---|---|--:|--:|"]
    for name, section in report["sections"].items():
        lines.append(f"| {name} | {section['state']} | {section['seconds']:.0f} | {section['expected']:.0f} |")
    for name, title in (("timings", "Six shapes"), ("crossover", "Where the tiers change places"), ("more timings", "More shapes")):
        if report.get(name):
            lines += ["", f"## {title}", "", "ms of inference; of forward + backward. Predicted in brackets.", "", *times(report[name])]
    if report.get("narrow"):
        lines += ["", "## Narrow numbers", "", "| shape | cell | numbers | off by | allowed | ms |", "|---|---|---|--:|--:|---|"]
        for row in report["narrow"]:
            worth = row.get("refused") or f"{row['error']:.2g} | {row['allowed']:.2g} | {milliseconds(row['ms'])}"
            lines.append(f"| {row['shape']} | {row['cell']} | {row['kind']} | {worth} |")
    if report.get("micro"):
        lines += ["", "## Constants", "", "| what | us |", "|---|--:|", *(f"| {what} | {us:.3g} |" for what, us in report["micro"].items())]
    if report.get("costs"):
        fitted = ", ".join(f"{name} {value:.3g}" for name, value in report["costs"].items())
        lines += ["", f"The model's constants, fitted to these times: {fitted}."]
    return "\n".join(lines) + "\n"


def times(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A table of timings."""
    yield from ("| shape | cell | planned | step | sequence | torch |", "|---|---|---|---|---|---|")
    for row in rows:
        ours = [milliseconds(row[name], row["predicted"].get(name)) for name in TIERS]
        yield f"| {row['shape']} | {row['cell']} | {row['planned']} | {ours[0]} | {ours[1]} | {milliseconds(row['torch'])} |"
