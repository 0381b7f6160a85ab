"""Pictures of a run, each a matplotlib Figure that the caller saves."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Array = Any
PARTS = {"": ("training", "#1f77b4", "o"), "validation_": ("validation", "#d95f02", "s")}  # prefix of keys -> label, colour, marker
PANELS = (("loss", "cross-entropy (nats per digit)", 1), ("accuracy", "digits read right (%)", 100))


def learning_curve(epochs: list[dict[str, Any]], title: str) -> Figure:
    """Loss and accuracy by epoch, of the training batches and of the validation digits; epochs: the rows of run.json."""
    figure = Figure(figsize=(9, 4))
    figure.suptitle(title)
    margins = {"left": 0.08, "right": 0.98, "bottom": 0.13, "top": 0.83, "wspace": 0.22}  # layout engines are slow
    for axes, (key, label, factor) in zip(figure.subplots(1, 2, gridspec_kw=margins), PANELS):
        for prefix, (name, colour, marker) in PARTS.items():
            values = [factor * row[prefix + key] for row in epochs]
            axes.plot([row["epoch"] for row in epochs], values, color=colour, marker=marker, markersize=4, label=name)
        axes.set(xlabel="epoch", ylabel=label, title=key)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
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
