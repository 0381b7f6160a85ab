"""The unrolled graph of a layer with its numbers: forward from left to right, the gradient back from right to left."""

from __future__ import annotations

import io
from typing import Any

from .figures import COLOURS, Figure, Rows, Sheet
from .steps import loss_gradient, steps
from .subject import Subject

MOST = 8  # steps that fit


def unroll(sheet: Sheet, subject: Subject, unit: int, frame: int | None = None) -> tuple[Figure, Rows]:
    """One box a step, with the states of a unit and the gradient of the last of them.

    frame: how many steps are told, first those forward, then those backward; None: all
    """
    cell, T, H = subject.cell, subject.x.shape[1], subject.params["Wh"].shape[0]
    done = steps(cell, subject.params, subject.x, *loss_gradient(cell, (T, H), {"state": cell.states[-1], "unit": unit}))
    frame = 2 * T if frame is None else frame
    figure = sheet.figure(f"{subject.title}, unit {unit}\nL is {cell.states[-1]} after the last step; dh, dc: its derivative", 3.4)
    axes = figure.subplots()
    axes.set(xlim=(-0.75, T - 0.2), ylim=(-2.1, 2.2))
    axes.axis("off")
    size: dict[str, Any] = {"fontsize": 15 if sheet.wide else 7.5, "ha": "center", "va": "center"}
    table: Rows = [["step", "x", *cell.states, *(f"d{state}" for state in cell.states)]]
    for t in range(T):
        states = [float(s[0, t + 1, unit]) for s in done.tape.states]
        gradients = [float(d[0, unit]) for d in done.arriving[t]]
        x = float(subject.x[0, t, 0])
        table.append([t, x, *states, *gradients])
        axes.text(t, -1.75, f"$x_{{{t}}}$ = {x:.2g}", **size)
        arrow(axes, (t, -1.5), (t, -0.75), "0.3", "-")
        axes.add_patch(box(t))
        axes.text(t, 0.45, f"step {t}", **size)
        if t < frame:
            axes.text(t, -0.15, "\n".join(f"{name} {value:+.3f}" for name, value in zip(cell.states, states)), **size)
            arrow(axes, (t + 0.38, -0.2), (t + 0.62, -0.2), COLOURS[1], "-")
        if 2 * T - 1 - t < frame:
            axes.text(t, 1.55, "\n".join(f"d{name} {value:+.3f}" for name, value in zip(cell.states, gradients)), color=COLOURS[0], **size)
            arrow(axes, (t, 1.2), (t, 0.8), COLOURS[0], "--")
            if t:
                arrow(axes, (t - 0.38, 0.35), (t - 0.62, 0.35), COLOURS[0], "--")
    arrow(axes, (-0.62, -0.2), (-0.38, -0.2), COLOURS[1], "-")
    return figure, table


def box(t: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((t - 0.38, -0.75), 0.76, 1.5, facecolor="#f6f6f4", edgecolor="0.2")


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], colour: str, style: str) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "linestyle": style, "shrinkA": 0, "shrinkB": 0})


def frames(sheet: Sheet, subject: Subject, unit: int) -> list[Any]:
    """A picture for every step forward, then for every step backward; the last one stays."""
    from PIL import Image

    found = []
    for frame in range(1, 2 * subject.x.shape[1] + 1):
        file = io.BytesIO()
        unroll(sheet, subject, unit, frame)[0].savefig(file, format="png", dpi=100)
        found.append(Image.open(file).convert("P", palette=Image.Palette.ADAPTIVE))
    return found
