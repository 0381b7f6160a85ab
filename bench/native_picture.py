"""Draws how the native kernels cut a call: python -m bench.native_picture kernels/native/native.png"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

B, T, GATES, BLOCKS, THREADS = 12, 8, "ifgo", 3, 2  # BLOCKS: of one vector of units
ROWS, COLS, K = 6, 2, 7  # of a tile: rows of the batch, vectors of units; terms of its sums
THREAD_COLOURS = ("#0072B2", "#E69F00")
GATE_COLOURS = {"i": "#0072B2", "f": "#E69F00", "g": "#009E73", "o": "#CC79A7"}
NOW = "#D55E00"


def draw(path: Path) -> None:
    """Four pictures: rows x units x time, the packed weights, one tile, and a panel of gate gradients."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8.2), layout="constrained")
    (time, weights), (tile, panels) = figure.subplots(2, 2)
    rows_units_time(time)
    packed_weights(weights)
    one_tile(tile)
    gradient_panels(panels)
    for axes in (time, weights, tile, panels):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def box(axes: Any, x: float, y: float, width: float, height: float, colour: str, strength: float = 0.8, line: float = 0.6) -> None:
    """A rectangle; `strength` mixes its colour with white, 0 leaves it empty."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    mixed = tuple(1 - strength * (1 - c) for c in to_rgb(colour)) if strength else "none"
    axes.add_patch(Rectangle((x, y), width, height, facecolor=mixed, edgecolor="black", linewidth=line))


def rows_units_time(axes: Any) -> None:
    """A sheet of rows x units for each step, one behind the other; a thread owns some rows of all of them."""
    for t in reversed(range(T)):
        x, y = 1.1 * t, -0.8 * t
        for b in range(B):
            for block in range(BLOCKS):
                box(axes, x + 1.2 * block, y + 0.8 * b, 1.2, 0.8, THREAD_COLOURS[b * THREADS // B], 1.0 if t == 0 else 0.55, 0.4)
        axes.text(x + 1.8, y - 0.15, f"t = {t}", ha="center", va="bottom", fontsize=8)
    box(axes, 0, 0, 1.2 * COLS, 0.8 * ROWS, NOW, 0.0, 3)
    axes.text(1.2, 0.4 * ROWS, "one tile", ha="center", va="center", fontsize=10, weight="bold")
    for thread in range(THREADS):
        axes.text(-0.3, 0.8 * B * (thread + 0.5) / THREADS, f"rows of\nthread {thread}", ha="right", va="center", fontsize=9)
    axes.text(1.8, 0.8 * B + 0.2, "units, by vectors", ha="center", va="top", fontsize=9)
    axes.annotate("", (1.1 * T + 2.5, -0.8 * T + 7.5), (5.0, 8.9), arrowprops={"arrowstyle": "->", "linewidth": 1.5})
    axes.text(9.6, 6.0, "time", fontsize=9)
    axes.set(xlim=(-2.5, 13), ylim=(0.8 * B + 1, -0.8 * T))
    axes.set_title("1. Rows x units x time\na thread takes its rows through all steps and waits for nobody")


def packed_weights(axes: Any) -> None:
    """W[gate][block][k of x, then of h][lane]: what a tile reads of it is one stream."""
    for gate, name in enumerate(GATES):
        for block in range(BLOCKS):
            left = gate * (BLOCKS + 0.6) + block
            box(axes, left, 0, 0.9, 3, GATE_COLOURS[name], 0.4)
            box(axes, left, 3, 0.9, 5, GATE_COLOURS[name], 0.9)
            axes.annotate("", (left + 0.45, 7.7), (left + 0.45, 0.3), arrowprops={"arrowstyle": "->", "linewidth": 1})
        axes.text(gate * (BLOCKS + 0.6) + 1.4, -0.3, f"gate {name}", ha="center", va="bottom", fontsize=9)
    axes.text(-0.4, 1.5, "rows\nof Wx", ha="right", va="center", fontsize=9)
    axes.text(-0.4, 5.5, "rows\nof Wh", ha="right", va="center", fontsize=9)
    axes.text(7, 8.3, "a column here is one vector of units; the arrow is the order in memory", ha="center", va="top", fontsize=9)
    axes.set(xlim=(-2, 14.2), ylim=(9.2, -1))
    axes.set_title("2. Packed weights: [gate][vector of units][k][lane]\nx Wx + h Wh is one sum over the k of x and then of h")


def one_tile(axes: Any) -> None:
    """A column of the left side times a row of packed weights, added to all sums; k runs."""
    now = 3
    for r in range(ROWS):
        for k in range(K):
            box(axes, k, 4 + r, 1, 1, NOW if k == now else "#888888", 0.8 if k == now else 0.2)
        for c in range(COLS):
            box(axes, K + 1 + 3 * c, 4 + r, 3, 1, GATE_COLOURS["f"], 0.8)
    for k in range(K):
        for c in range(COLS):
            width, height = 3, 0.5
            box(axes, K + 1 + 3 * c, height * k, width, height, NOW if k == now else "#888888", 0.8 if k == now else 0.2)
    axes.text(K / 2, 4 + ROWS + 0.2, f"{ROWS} rows of x and h:\none value of each", ha="center", va="top", fontsize=9)
    axes.text(K + 4, 4 + ROWS + 0.2, f"{ROWS} x {COLS} vectors of sums:\nall in registers", ha="center", va="top", fontsize=9)
    axes.text(K + 0.7, 0.5 * K / 2, f"{COLS} vectors of packed\nweights", ha="right", va="center", fontsize=9)
    axes.set(xlim=(-0.5, K + 8), ylim=(4 + ROWS + 1.6, -0.4))
    axes.set_title("3. One tile: for each k (orange)\nsums[r][c] += a[r] * w[c], for all r and c")


def gradient_panels(axes: Any) -> None:
    """dgates [gate][panel][row of the batch and step][units of a panel]: read downwards, each as one stream."""
    shown = 9
    for gate, name in enumerate("if"):
        for panel in range(2):
            left = gate * 7 + panel * 3.2
            for row in range(shown):
                step = row // 3
                box(axes, left, row, 2.8, 1, GATE_COLOURS[name], 0.9 - 0.3 * step)
            axes.annotate("", (left + 1.4, shown - 0.3), (left + 1.4, 0.3), arrowprops={"arrowstyle": "->", "linewidth": 1})
            axes.text(left + 1.4, shown + 0.2, f"panel {panel}", ha="center", va="top", fontsize=9)
        axes.text(gate * 7 + 3, -0.2, f"gradients of gate {name}", ha="center", va="bottom", fontsize=9)
    for step in range(3):
        axes.text(-0.3, 3 * step + 1.5, f"rows,\nstep {step}", ha="right", va="center", fontsize=9)
    axes.set(xlim=(-2, 13.5), ylim=(shown + 1.2, -1))
    axes.set_title("4. Panels of gate gradients: [gate][panel][step, row][units]\nas wide as a tile; dW reads each from top to bottom")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
