"""Draws who owns what in sequence.cu: python -m bench.ownership kernels/sequence.png"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rnn_from_scratch import cells
from rnn_from_scratch.backends.gpu import planner

B, H, TILES = 10, 12, planner.Tiles(own=4, rows=4, threads=32, chunk=12, held=False)
CELL = cells.LSTM()
COLOURS = ("#0072B2", "#E69F00", "#009E73")  # of the slices of units
STAGES = [("fetch xg", 1.0), ("barrier", 0.6), ("product", 2.0), ("cell", 0.8), ("publish h", 0.6)]


def draw(path: Path) -> None:
    """Three pictures: the states, the recurrent weights, and the time of the blocks of one row group."""
    from matplotlib.figure import Figure

    plan = planner.with_tiles(TILES, CELL, B, H, "float32", False)
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    states, weights, time = figure.subplots(1, 3, width_ratios=[1, 1.9, 1.6])
    own_states(states, plan)
    own_weights(weights)
    one_step(time, plan)
    figure.savefig(path, dpi=110)


def box(axes: Any, x: float, y: float, width: float, height: float, slice_: int, strength: float, **line: Any) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), width, height, facecolor=(COLOURS[slice_], strength), edgecolor="black", **line))


def own_states(axes: Any, plan: planner.Plan) -> None:
    slices, groups = plan.grid
    for group in range(groups):
        rows = min(TILES.rows, B - group * TILES.rows)
        for s in range(slices):
            box(axes, s * TILES.own, group * TILES.rows, TILES.own, rows, s, 0.85 - 0.25 * group, linewidth=1.5)
            axes.text((s + 0.5) * TILES.own, group * TILES.rows + rows / 2, f"block\n({s}, {group})", ha="center", va="center", fontsize=9)
        if group:
            axes.axhline(group * TILES.rows, color="black", linewidth=4)
    axes.set(xlim=(0, H), ylim=(B, 0), xticks=range(0, H + 1, TILES.own), yticks=range(0, B + 1, 2))
    axes.set(xlabel="units", ylabel="rows of the batch", title=f"h [{B}, {H}]\nrow groups are independent")


def own_weights(axes: Any) -> None:
    for gate, name in enumerate(CELL.gates):
        for s in range(H // TILES.own):
            box(axes, gate * H + s * TILES.own, 0, TILES.own, H, s, 0.85, linewidth=0.8)
        axes.text((gate + 0.5) * H, H / 2, name, ha="center", va="center", fontsize=16)
        axes.axvline(gate * H, color="black", linewidth=2.5)
    axes.set(xlim=(0, 4 * H), ylim=(H, 0), xticks=range(0, 4 * H + 1, H), yticks=range(0, H + 1, 4), ylabel="k: units of the step before")
    axes.set_title(f"Wh [{H}, {4 * H}]: a block keeps the columns of its colour\n(backward: the rows)")
    axes.set_xlabel("columns: the units of each gate")


def one_step(axes: Any, plan: planner.Plan) -> None:
    """The blocks of a row group start a step when they like, wait, and go on together."""
    slices = plan.grid[0]
    late = [0.0, 0.9, 0.4]
    together = max(late) + STAGES[0][1] + STAGES[1][1]
    for s in range(slices):
        at = late[s]
        for name, length in STAGES:
            width = together - at if name == "barrier" else length
            box(axes, at, s + 0.15, width, 0.7, s, 0.15 if name == "barrier" else 0.85, linewidth=0.8)
            axes.text(at + width / 2, s + 0.5, name, ha="center", va="center", fontsize=8, rotation=90)
            at += width
    axes.axvline(together, color="black", linewidth=3)
    axes.text(together - 0.1, -0.1, "all have published", ha="right", fontsize=9)
    axes.set(xlim=(0, at + 0.2), ylim=(slices, -0.3), xticks=[], yticks=[s + 0.5 for s in range(slices)])
    axes.set_yticklabels([f"block ({s}, 0)" for s in range(slices)])
    axes.set(xlabel="time of one step", title="one barrier for each product")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
