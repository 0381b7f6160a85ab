"""The plots, each a matplotlib Figure that the caller saves; meant to be read at 400 pixels."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]
LOOKS = {  # name -> label, colour (Okabe and Ito's, which the colour-blind can tell apart), marker
    "native": ("native (ours)", "#0072B2", "o"),
    "cuda": ("cuda (ours)", "#009E73", "o"),
    "reference": ("NumPy (ours)", "#56B4E9", "v"),
    "torch": ("torch", "#D55E00", "s"),
    "keras": ("tf.keras", "#E69F00", "D"),
    "keras-xla": ("tf.keras XLA", "#999933", "^"),
    "blocklstm": ("BlockLSTM", "#CC79A7", "P"),
    "onnxruntime": ("ONNX Runtime", "#882255", "X"),
    "gemm": ("matrix products", "black", ""),
    "tape": ("our tape alone", "black", ""),
}
UNITS = {"T": "steps T", "B": "batch B", "H": "units H (= inputs I)"}


def figures(rows: list[Row], ours: str) -> dict[str, Figure]:
    """File name (without .png) -> figure, for whatever was run."""
    made = {}
    peers = [row for row in rows if row["suite"] == "peer"]
    for cell, what in dict.fromkeys((row["cell"], row["pass"]) for row in peers):
        here = [row for row in peers if (row["cell"], row["pass"]) == (cell, what)]
        made[f"ratio_{slug(cell)}_{slug(what)}"] = ratios(here, f"{cell}, {what}", ours)
    curves = [row for row in rows if row["suite"] == "sweep"]
    for cell, axis in dict.fromkeys((row["cell"], row["axis"]) for row in curves):
        here = [row for row in curves if (row["cell"], row["axis"]) == (cell, axis)]
        made[f"time_{axis}_{slug(cell)}"] = against(here, axis, lambda row: row["ms"], "ms, forward + backward", cell)
        if held := [row for row in here if "peak_bytes" in row]:
            held += [{**row, "impl": "tape", "peak_bytes": row["tape_bytes"]} for row in held]
            mebibytes = against(held, axis, lambda row: row["peak_bytes"] / 2**20, "MiB at the peak", cell)
            made[f"memory_{axis}_{slug(cell)}"] = mebibytes
    return made


def slug(name: str) -> str:
    return name.replace(" ", "_").replace("+", "_")


def blank(title: str, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=13)
    axes.tick_params(labelsize=12)
    return figure, axes


def ratios(rows: list[Row], title: str, ours: str) -> Figure:
    """A line for each shape, a mark for each peer at its time by ours; the range of the pairs as a bar."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    shapes, seen = list(dict.fromkeys(row["shape"] for row in rows)), dict.fromkeys(row["impl"] for row in rows)
    figure, axes = blank(title, 1.8 + 0.6 * len(shapes))
    for impl, (label, colour, marker) in LOOKS.items():
        marks = [row for row in rows if row["impl"] == impl]
        places = [shapes.index(row["shape"]) + 0.09 * (list(seen).index(impl) - (len(seen) - 1) / 2) for row in marks]
        pairs = [[theirs / own for theirs, own in zip(row["theirs_ms"], row["ours_ms"])] for row in marks]
        axes.hlines(places, [min(p) for p in pairs], [max(p) for p in pairs], color=colour, alpha=0.5)
        looks: Row = {"marker": marker, "markersize": 8}
        if impl == "gemm":
            looks = {"marker": "|", "markersize": 16, "markeredgewidth": 2.5}
        if marks:
            axes.plot([row["ratio"] for row in marks], places, linestyle="", color=colour, label=label, **looks)
    axes.axvline(1, color="0.3", linewidth=1.2)
    axes.set_xscale("log")
    low, high = min(row["ratio"] for row in rows) / 1.5, max(row["ratio"] for row in rows) * 1.5
    axes.set_xlim(min(low, 0.5), max(high, 2))
    axes.xaxis.set_major_locator(FixedLocator([n for n in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low < n < max(high, 2)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_yticks(range(len(shapes)), shapes)
    axes.set_ylim(len(shapes) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"their time / {ours}; right of 1 we are faster", fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, fontsize=11, frameon=False, handletextpad=0.2, columnspacing=1)
    return figure


def against(rows: list[Row], axis: str, value: Any, label: str, cell: str) -> Figure:
    """Curves on two log axes; the matrix products, which nobody can do without, as a dashed line."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    B, T, I, H = rows[0]["sizes"]
    fixed = {"T": f"B {B}, I {I}, H {H}", "B": f"T {T}, I {I}, H {H}", "H": f"B {B}, T {T}"}[axis]
    figure, axes = blank(f"{cell}, {fixed}", 4.2)
    curves = defaultdict(list)
    for row in rows:
        curves[row["impl"]].append((row["at"], value(row)))
    for impl, (name, colour, marker) in LOOKS.items():
        if impl in curves:
            line: Row = {"marker": marker, "markersize": 7, "linestyle": "-" if marker else "--"}
            axes.plot(*zip(*sorted(curves[impl])), color=colour, linewidth=2, label=name, **line)
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_locator(FixedLocator(sorted({row["at"] for row in rows})))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axes.grid(alpha=0.3)
    axes.set_xlabel(UNITS[axis], fontsize=12)
    axes.set_ylabel(label, fontsize=12)
    figure.legend(loc="outside lower center", ncols=3, fontsize=11, frameon=False, handletextpad=0.4, columnspacing=1)
    return figure
