"""Pictures of a run, each a matplotlib Figure that the caller saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..data import InputError
from ..typing import Array

PARTS = {"": ("training", "#1f77b4", "o"), "validation_": ("validation", "#d95f02", "s")}  # prefix of keys -> label, colour, marker
WIDTH = 5  # inches
COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3")


def check_name(path: Path | None, option: str = "--out") -> None:
    """Raise InputError unless matplotlib can write a picture of that name."""
    known = FigureCanvasBase.get_supported_filetypes()
    if path is not None and path.suffix[1:].lower() not in known:
        raise InputError(f"{option} {path}: expected a name that ends in one of {', '.join(known)}")


def canvas(title: str, xlabel: str, *ylabels: str) -> tuple[Figure, list[Any]]:
    """A figure with its title and a panel for each of one or two labels, the unit in brackets on a line of its own.

    Narrow, one panel above the other, so that it can still be read at 400 pixels; margins by hand, since layout engines are slow.
    """
    height = {1: 3.6, 2: 6.4}[len(ylabels)]  # inches; the margins below and above take 0.5 and 0.83 of them
    figure = Figure(figsize=(WIDTH, height))
    figure.suptitle(title, fontsize=10)
    margins = {"left": 0.19, "right": 0.97, "bottom": 0.512 / height, "top": 1 - 0.832 / height, "hspace": 0.5}
    panels = figure.subplots(len(ylabels), 1, squeeze=False, gridspec_kw=margins)[:, 0]
    for axes, label in zip(panels, ylabels):
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
        axes.set(xlabel=xlabel, ylabel=label.replace(" (", "\n("))
    return figure, list(panels)


def explain(axes: Any, columns: int = 3) -> None:
    """The legend, above the panel, where it covers nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0.1, columnspacing=1, fontsize=9)


def learning_curve(epochs: list[dict[str, Any]], labels: dict[str, str], title: str) -> Figure:
    """The loss and the metric by epoch, of the training and, where the rows have it, of the validation; labels: key -> axis label."""
    figure, panels = canvas(title, "epoch", *labels.values())
    for axes, key in zip(panels, labels):
        for prefix, (name, colour, marker) in PARTS.items():
            if all(prefix + key in row for row in epochs):
                values = [row[prefix + key] for row in epochs]
                axes.plot([row["epoch"] for row in epochs], values, color=colour, marker=marker, markersize=4, label=name)
        axes.set_xlim(0.5, len(epochs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        explain(axes)
    return figure


def misread_sheet(x: Array, y: Array, probabilities: Array, most: int = 42) -> Figure:
    """The misread digits, the surest mistakes first, at most `most`. x [N,28,28], y [N], probabilities [N,10]."""
    read, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = (read != y).nonzero()[0]
    shown = wrong[(-sureness[wrong]).argsort(kind="stable")][:most]
    rows, width, height = max(1, -(-len(shown) // 6)), 36, 40  # six in a row, each with its label in a field of 36 x 40 pixels
    sheet = np.zeros((height * rows, width * 6), np.uint8)
    inches = WIDTH * height * rows / (width * 6)
    figure = Figure(figsize=(WIDTH, inches + 0.7))
    axes = figure.add_axes((0, 0, 1, inches / (inches + 0.7)))
    for place, digit in enumerate(shown):
        top, left = height * (place // 6), width * (place % 6)
        sheet[top + 10 : top + 38, left + 4 : left + 32] = x[digit]
        label = f"{read[digit]} / {y[digit]} ({sureness[digit]:.0%})"
        axes.text(left + width / 2, top + 9, label, ha="center", va="bottom", fontsize=8)
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=255, aspect="auto")
    axes.axis("off")
    which = f"the {len(shown)} surest mistakes" if len(shown) < len(wrong) else "surest first"
    title = f"{len(wrong):,} of {len(y):,} test digits misread, {which}\nread as / truly (how sure)"
    figure.suptitle(title, y=1 - 0.1 / (inches + 0.7), fontsize=10)
    return figure


def prediction(t: Array, truth: Array, t_window: Array, target: Array, answer: Array) -> Figure:
    """The series, and in one window the next values beside what the model says they are."""
    value = "value (units of the series)"
    figure, (whole, window) = canvas("t sin(t) / 3 + 2 sin(5t): the next value, from those before", "t (units of time)", value, value)
    size = min(7, 200 / len(target))
    whole.plot(t, truth, color="0.5", linewidth=1, label="the series")
    whole.plot(t_window, target, color=COLOURS[0], linewidth=2, label="the window")
    window.plot(t_window, target, "o-", color=COLOURS[0], linewidth=0.5, markersize=size, label="next value")
    window.plot(t_window, answer, "x", color=COLOURS[1], markersize=size + 1, markeredgewidth=1.5, label="prediction")
    for axes in (whole, window):
        explain(axes)
    return figure


def creation(created: dict[str, Array], resolution: float, steps: int) -> Figure:
    """New values fed back one at a time, after each seed of `steps` values."""
    value = "value (units of the series)"
    figure, panels = canvas("New values, each fed back to make the next", "t since the seed began (units of time)", value, value)
    for axes, (name, values) in zip(panels, created.items()):
        t = resolution * np.arange(len(values))
        axes.plot(t[steps - 1 :], values[steps - 1 :], color=COLOURS[1], linewidth=1, label="created")
        axes.plot(t[:steps], values[:steps], color=COLOURS[0], linewidth=3, label=f"seed: {name}")
        explain(axes)
    return figure


def forecast(past: Array, truth: Array, forecasts: dict[str, Array], errors: dict[str, Array]) -> Figure:
    """Above: one forecast after `past`, beside the truth. Below: the error (RMSE) of every forecaster by steps ahead."""
    what = ("load (units of the data)", "root mean squared error (units of the data)")
    figure, (line, error) = canvas("Load: every forecast is fed back to make the next", "steps ahead (one is a row of the data)", *what)
    ahead = np.arange(1, len(truth) + 1)
    line.plot(np.arange(1 - len(past), 1), past, color="0.5", label="known")
    line.plot(ahead, truth, color="0.2", label="truth")
    for colour, (name, values) in zip(COLOURS, forecasts.items()):
        line.plot(ahead, values, color=colour, label=name)
    for colour, (name, values) in zip(COLOURS, errors.items()):
        error.plot(ahead, values, color=colour, label=name)
    for axes in (line, error):
        explain(axes)
    return figure
