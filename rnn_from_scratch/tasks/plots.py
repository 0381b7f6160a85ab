"""Pictures of a run, each a matplotlib Figure that the caller saves."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Array = Any
PARTS = {"": ("training", "#1f77b4", "o"), "validation_": ("validation", "#d95f02", "s")}  # prefix of keys -> label, colour, marker
PANELS = (("loss", "cross-entropy (nats per digit)", 1), ("accuracy", "digits read right (%)", 100))


def learning_curve(epochs: list[dict[str, Any]], title: str) -> Figure:
    """Loss and accuracy by epoch, of the training batches and of the validation digits; epochs: the rows of run.json."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    figure.suptitle(title)
    for axes, (key, label, factor) in zip(figure.subplots(1, 2), PANELS):
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
    rows = max(1, -(-len(shown) // 8))
    figure = Figure(figsize=(9, 1 + 1.35 * rows), layout="constrained")
    which = f"the {len(shown)} surest mistakes" if len(shown) < len(wrong) else "surest first"
    figure.suptitle(f"{len(wrong):,} of {len(y):,} test digits misread, {which}\nread as / truly (how sure)")
    for place, axes in enumerate(figure.subplots(rows, 8, squeeze=False).flat):
        axes.axis("off")
        if place < len(shown):
            digit = shown[place]
            axes.imshow(x[digit], cmap="gray_r", vmin=0, vmax=255)
            axes.set_title(f"{read[digit]} / {y[digit]} ({sureness[digit]:.0%})", fontsize=10)
    return figure
