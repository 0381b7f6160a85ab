"""Pictures of a run, each a matplotlib Figure that the caller saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..data import InputError

Array = Any
PARTS = {"": ("training", "#1f77b4", "o"), "validation_": ("validation", "#d95f02", "s")}  # prefix of keys -> label, colour, marker
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3")


def check_name(path: Path | None) -> None:
    """Raise InputError unless matplotlib can write a picture of that name."""
    known = FigureCanvasBase.get_supported_filetypes()
    if path is not None and path.suffix[1:].lower() not in known:
        raise InputError(f"--out {path}: expected a name that ends in one of {', '.join(known)}")


def canvas(title: str, columns: int = 1, size: tuple[float, float] = (9, 4)) -> tuple[Figure, list[Any]]:
    """A figure with its title and `columns` panels; margins by hand, since layout engines are slow."""
    figure = Figure(figsize=size)
    figure.suptitle(title)
    margins = {"left": 0.09, "right": 0.98, "bottom": 0.14, "top": 0.85, "wspace": 0.25}
    panels = figure.subplots(1, columns, gridspec_kw=margins, squeeze=False)[0]
    for axes in panels:
        axes.grid(alpha=0.3)
    return figure, list(panels)


def learning_curve(epochs: list[dict[str, Any]], labels: dict[str, str], title: str) -> Figure:
    """The loss and the metric by epoch, of the training and, where the rows have it, of the validation; labels: key -> axis label."""
    figure, panels = canvas(title, 2)
    for axes, (key, label) in zip(panels, labels.items()):
        for prefix, (name, colour, marker) in PARTS.items():
            if all(prefix + key in row for row in epochs):
                values = [row[prefix + key] for row in epochs]
                axes.plot([row["epoch"] for row in epochs], values, color=colour, marker=marker, markersize=4, label=name)
        axes.set(xlabel="epoch", ylabel=label, xlim=(0.5, len(epochs) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def misread_sheet(x: Array, y: Array, probabilities: Array, most: int = 40) -> Figure:
    """The misread digits, the surest mistakes first, at most `most`. x [N,28,28], y [N], probabilities [N,10]."""
    read, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = (read != y).nonzero()[0]
    shown = wrong[(-sureness[wrong]).argsort(kind="stable")][:most]
    rows, width, height = max(1, -(-len(shown) // 8)), 36, 40  # eight in a row, each with its label in a field of 36 x 40 pixels
    sheet = np.zeros((height * rows, width * 8), np.uint8)
    inches = height * rows / 32
    figure = Figure(figsize=(9, inches + 0.7))
    axes = figure.add_axes((0, 0, 1, inches / (inches + 0.7)))
    for place, digit in enumerate(shown):
        top, left = height * (place // 8), width * (place % 8)
        sheet[top + 10 : top + 38, left + 4 : left + 32] = x[digit]
        label = f"{read[digit]} / {y[digit]} ({sureness[digit]:.0%})"
        axes.text(left + width / 2, top + 9, label, ha="center", va="bottom", fontsize=10)
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=255, aspect="auto")
    axes.axis("off")
    which = f"the {len(shown)} surest mistakes" if len(shown) < len(wrong) else "surest first"
    title = f"{len(wrong):,} of {len(y):,} test digits misread, {which}\nread as / truly (how sure)"
    figure.suptitle(title, y=1 - 0.1 / (inches + 0.7))
    return figure


def prediction(t: Array, truth: Array, t_window: Array, target: Array, answer: Array) -> Figure:
    """The series, and in one window the next values beside what the model says they are."""
    figure, (whole, window) = canvas("t sin(t) / 3 + 2 sin(5t): the next value, from those before it", 2)
    whole.plot(t, truth, color="0.5", linewidth=1, label="the series")
    whole.plot(t_window, target, color=COLOURS[0], linewidth=2, label="the window")
    window.plot(t_window, target, "o", color=COLOURS[0], markersize=7, label="next value")
    window.plot(t_window, answer, "x", color=COLOURS[1], markersize=7, markeredgewidth=2, label="prediction")
    for axes in (whole, window):
        axes.set(xlabel="t (units of time)", ylabel="value (units of the series)")
        axes.legend()
    return figure


def creation(created: dict[str, Array], resolution: float, steps: int) -> Figure:
    """New values fed back one at a time, after each seed of `steps` values."""
    figure, panels = canvas("New values, each fed back to make the next", len(created))
    for axes, (name, values) in zip(panels, created.items()):
        t = resolution * np.arange(len(values))
        axes.plot(t[steps - 1 :], values[steps - 1 :], color=COLOURS[1], linewidth=1, label="created")
        axes.plot(t[:steps], values[:steps], color=COLOURS[0], linewidth=3, label=f"seed: {name}")
        axes.set(xlabel="t since the seed began (units of time)", ylabel="value (units of the series)")
        axes.legend()
    return figure


def forecast(past: Array, truth: Array, forecasts: dict[str, Array], errors: dict[str, Array]) -> Figure:
    """Left: one forecast after `past`, beside the truth. Right: the error (RMSE) of every forecaster by steps ahead."""
    figure, (line, error) = canvas("Load: every forecast is fed back to make the next", 2)
    ahead = np.arange(1, len(truth) + 1)
    line.plot(np.arange(1 - len(past), 1), past, color="0.5", label="known")
    line.plot(ahead, truth, color="0.2", label="truth")
    for colour, (name, values) in zip(COLOURS, forecasts.items()):
        line.plot(ahead, values, color=colour, label=name)
    for colour, (name, values) in zip(COLOURS, errors.items()):
        error.plot(ahead, values, color=colour, label=name)
    line.set(xlabel="steps ahead (one is a row of the data)", ylabel="load (units of the data)")
    error.set(xlabel="steps ahead (one is a row of the data)", ylabel="root mean squared error (units of the data)")
    for axes in (line, error):
        axes.legend(fontsize=8)
    return figure
