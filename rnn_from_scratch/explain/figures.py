"""Pictures for a lecturer: each makes a matplotlib Figure, and the numbers in it as rows, the first of which names the columns.

Colours are those of the page: orange above 0, blue below; no colour is the only sign of anything.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import cells
from ..data import InputError
from ..typing import Array
from .subject import Subject, at_start, gates_of, jacobian, kept, reach, rows, run

ABOVE, BELOW = "#e8741a", "#5b9bd5"
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
COLOURS = ("#b34700", "#2166ac", "#1a7f4b", "#6a4ba1", "#8a6d00", "#555555")
MARKS = ("o", "s", "^", "D", "v", "P")
FEW = 400  # numbers of a picture that can still be marked one by one
REACH_STEPS, REACH_UNITS, AHEAD = 60, 32, (1, 10, 50)
LOW, HIGH = 0.05, 0.95
Rows = list[list[Any]]
Figure = Any  # matplotlib's, which is imported only where it draws


class Sheet(NamedTuple):
    """How large: wide is a slide of 16:9 with large type."""

    wide: bool = False

    def style(self) -> Any:
        """Of matplotlib's rcParams."""
        size = 18 if self.wide else 9
        style = {"font.size": size, "axes.titlesize": size, "figure.titlesize": size, "legend.fontsize": size}
        return {**style, "svg.fonttype": "none", "svg.hashsalt": "rnn_from_scratch", "lines.linewidth": 3 if self.wide else 1.6}

    def figure(self, title: str, height: float = 3.6) -> Figure:
        """height: in inches, where it is not a slide."""
        from matplotlib import figure as plain

        figure = plain.Figure(figsize=(13.333, 7.5) if self.wide else (5, height), layout="constrained", facecolor="white")
        figure.suptitle(title)
        return figure


def gates(sheet: Sheet, subject: Subject) -> tuple[Figure, Rows]:
    """Heat maps by unit and step of every gate and state, with the input above."""
    from matplotlib.colors import LinearSegmentedColormap

    signed = LinearSegmentedColormap.from_list("signed", [BELOW, "white", ABOVE])
    shares = LinearSegmentedColormap.from_list("share", ["white", ABOVE])
    made, T = rows(subject, run(subject)), subject.x.shape[1]
    figure = sheet.figure(f"{subject.title}\none row a unit, one column a step", 1.1 + 0.62 * (len(made) + 1))
    panels = figure.subplots(len(made) + 1, 1, sharex=True)
    x = subject.x[0]
    read = x if x.shape[1] <= 3 else np.linalg.norm(x, axis=1)
    panels[0].plot(range(T), read, color=COLOURS[1], marker="." if T < 40 else "")
    ends = sorted({float(read.min()), float(read.max())})
    panels[0].set_yticks(ends, [f"{end:.2g}" for end in ends])
    panels[0].set_ylabel("x" if x.shape[1] <= 3 else "norm of x", rotation=0, ha="right", va="center")
    share, most = gates_of(subject.cell), max(1.0, *(np.abs(values).max() for values in made.values()))
    for axes, (name, values) in zip(panels[1:], made.items()):
        low, high, colours = (0, 1, shares) if name in share else (-most, most, signed)
        shown = axes.pcolormesh(np.arange(T), np.arange(values.shape[1]), values.T, vmin=low, vmax=high, cmap=colours)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        axes.invert_yaxis()
        if values.size <= FEW:
            axes.plot(*np.nonzero(values < -0.02), "_", color="black", markersize=10 if sheet.wide else 5)
        figure.colorbar(shown, ax=axes, ticks=[low, high], format="%.3g", aspect=5)
    panels[-1].set_xlabel("step t" + ("; − marks values below 0" if T * values.shape[1] <= FEW else ""))
    table: Rows = [["step", "unit", *made]]
    table += ([t, u, *(float(v[t, u]) for v in made.values())] for t in range(T) for u in range(values.shape[1]))
    return figure, table


def reaches(sheet: Sheet, subjects: dict[str, Subject], title: str, seed: int) -> tuple[Figure, Rows]:
    """The norm of the gradient by the states before each step, relative to the last, on a log axis."""
    found = {name: reach(subject, seed) for name, subject in subjects.items()}
    figure = sheet.figure(title)
    axes = figure.subplots()
    for (name, norms), style, colour in zip(found.items(), LINES, COLOURS):
        back = np.arange(len(norms))[::-1]
        axes.plot(back, np.where(norms > 0, norms / norms[-1], np.nan), linestyle=style, color=colour, label=name)
    axes.set(yscale="log", xlabel="steps back from the loss", ylabel="norm of the gradient by the state")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    length = max(map(len, found.values()))
    return figure, [["steps back", *found], *([n, *(float(norms[::-1][n]) for norms in found.values())] for n in range(length))]


def reach_at_start(sheet: Sheet, seed: int) -> tuple[Figure, Rows]:
    """Every cell of the table at Keras' start, and relu, on the same noise."""
    listed = {name: kind() for name, kind in cells.CELLS.items()}
    plain = next(cell for cell in listed.values() if not hasattr(cell, "recurrent_activation"))
    kinds = {**listed, "relu": type(plain)(activation="relu")}
    x = np.random.default_rng(seed).standard_normal((1, REACH_STEPS, REACH_UNITS))
    shapes = {"Wx": np.eye(REACH_UNITS), "Wh": np.eye(REACH_UNITS)}
    subjects = {name: at_start(Subject(name, cell, shapes, x), seed) for name, cell in kinds.items()}
    return reaches(sheet, subjects, f"How far a gradient reaches at the start\n{REACH_UNITS} units, seed {seed}", seed)


def spectrum(sheet: Sheet, subject: Subject, step: int) -> tuple[Figure, Rows]:
    """Eigenvalues of Wh, and of the products of Jacobians over 1, 10 and 50 steps, each as a factor for one step."""
    H, names = subject.params["Wh"].shape[0], subject.cell.gates
    what = f"eigenvalues of Wh, and of the Jacobians from step {step}" + ", as a factor a step" * sheet.wide
    figure = sheet.figure(f"{subject.title}\n{what}" + "\n(over several steps: as a factor a step)" * (not sheet.wide), 5.6)
    panels = figure.subplots(*((1, 4) if sheet.wide else (2, 2)), squeeze=False).ravel()
    table: Rows = [["what", "real", "imaginary"]]
    found = {f"Wh of {name}": np.linalg.eigvals(subject.params["Wh"][:, n * H : n * H + H]) for n, name in enumerate(names)}
    drawn: list[tuple[str, dict[str, Array]]] = [("Wh" if len(names) == 1 else "Wh, gate by gate", found)]
    ahead = sorted({min(n, subject.x.shape[1] - step) for n in AHEAD})
    for n in ahead:
        values = np.linalg.eigvals(jacobian(subject, step, n))
        root = np.abs(values) ** (1 / n) * np.exp(1j * np.angle(values))
        drawn.append((f"{n} step{'s' * (n > 1)}", {f"{n} steps": root}))
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    for axes, (title, groups) in zip(panels, drawn):
        axes.plot(circle.real, circle.imag, color="0.6", linewidth=1)
        for (name, values), mark, colour in zip(groups.items(), MARKS, COLOURS):
            axes.plot(values.real, values.imag, mark, color=colour, markersize=5 if sheet.wide else 3, fillstyle="none", label=name[6:])
            table += [[name, float(v.real), float(v.imag)] for v in values]
        axes.set(aspect="equal", title=title, xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), xlabel="real")
        if len(groups) > 1:
            axes.legend(frameon=False, ncols=2, loc="upper center", handletextpad=0, columnspacing=0.5, borderpad=0, labelspacing=0)
    panels[0].set_ylabel("imaginary")
    for axes in panels[len(drawn) :]:
        axes.axis("off")
    return figure, table


def saturation(sheet: Sheet, subject: Subject) -> tuple[Figure, Rows]:
    """Of every gate and unit: in how many steps it is nearly shut, and nearly open. Of relu units: in how many they are off."""
    made, names = rows(subject, run(subject)), gates_of(subject.cell)
    figure = sheet.figure(f"{subject.title}\none mark a unit" if names else subject.title, 4.4 if names else 3.6)
    axes = figure.subplots()
    if names:
        table: Rows = [["gate", "unit", f"share below {LOW}", f"share above {HIGH}"]]
        for name, mark, colour in zip(names, MARKS, COLOURS):
            shut, open_ = (made[name] < LOW).mean(axis=0), (made[name] > HIGH).mean(axis=0)
            axes.plot(shut, open_, mark, color=colour, fillstyle="none", label=f"gate {name}", clip_on=False)
            table += [[name, unit, float(a), float(b)] for unit, (a, b) in enumerate(zip(shut, open_))]
        axes.plot([0, 1], [1, 0], color="0.6", linewidth=1)
        axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
        axes.set(xlabel=f"share of steps below {LOW} (shut)", ylabel=f"share of steps above {HIGH} (open)")
        axes.legend(frameon=False, loc="upper right")
    elif getattr(subject.cell, "activation", "") == "relu":
        off = np.sort((made["h"] <= 0).mean(axis=0))[::-1]
        axes.bar(range(len(off)), off, color=BELOW, edgecolor="0.2")
        axes.set(ylim=(0, 1), xlabel="units, by their share", ylabel="share of steps at which it is off (0)")
        table = [["unit by share", "share off"], *([unit, float(v)] for unit, v in enumerate(off))]
    else:
        raise InputError(f"saturation: expected a cell with gates, or relu units, got {subject.title}")
    axes.grid(alpha=0.3)
    return figure, table


def memory(sheet: Sheet, subject: Subject) -> tuple[Figure, Rows]:
    """The half-life of every unit in steps: ln 2 / -mean ln f, of what it keeps by itself."""
    share = kept(subject, run(subject))
    if not share.any():
        raise InputError(f"memory: expected a cell with a gate that keeps its state, got {subject.title}")
    with np.errstate(divide="ignore"):
        mean = np.log(np.clip(share, 0, None)).mean(axis=0)
        life = np.where(mean < 0, math.log(2) / -np.minimum(mean, -1e-12), np.inf)
    order = np.argsort(-life, kind="stable")
    figure = sheet.figure(f"{subject.title}\nhow long a unit keeps what it has by itself")
    axes = figure.subplots()
    axes.bar(range(len(order)), np.where(np.isfinite(life[order]), life[order], 0), color=ABOVE, edgecolor="0.2")
    axes.set(xlabel="units, the longest first", ylabel="half-life (steps)")
    axes.grid(alpha=0.3, axis="y")
    if len(order) <= 16:
        axes.set_xticks(range(len(order)), [str(unit) for unit in order])
    return figure, [["unit", "half-life"], *([int(unit), float(life[unit])] for unit in order)]
