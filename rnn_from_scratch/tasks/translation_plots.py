"""The picture of attention: a row for each token written, a column for each token read."""

from __future__ import annotations

from matplotlib.figure import Figure

from ..typing import Array

LONGEST = 8  # characters of a label


def attention(p: Array, source: list[str], target: list[str]) -> Figure:
    """p [T,S]: the weights, black is 1; source, target: the tokens."""
    T, S = p.shape
    width = 5.0
    cell = min(0.28, (width - 1.1) / S)  # inches; the labels of rows take the rest
    longest = max(len(shown(token)) for token in source)
    above = 0.75 if one_letter(source) else 0.5 + 0.1 * longest  # for the title and the labels of the columns
    height = cell * T + 0.62 + above
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0.19, 0.5 / height, cell * S / width, cell * T / height))
    axes.imshow(p, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    size = max(4.0, min(10.0, 72 * cell * 0.75))
    axes.set_xticks(range(S), [shown(token) for token in source], fontsize=size)
    axes.set_yticks(range(T), [shown(token) for token in target], fontsize=size)
    axes.set_xticks([n - 0.5 for n in range(1, S)], minor=True)
    axes.set_yticks([n - 0.5 for n in range(1, T)], minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.xaxis.tick_top()
    if not one_letter(source):
        axes.tick_params(axis="x", labelrotation=90)
    axes.set_xlabel("read (token of the source; white is 0, black 1)", fontsize=9, loc="left")
    axes.set_ylabel("written (token)", fontsize=9, loc="top")
    figure.suptitle("Where the decoder looks", fontsize=10, y=1 - 0.1 / height)
    return figure


def one_letter(tokens: list[str]) -> bool:
    return all(len(token) == 1 for token in tokens)


def shown(token: str) -> str:
    """A label: a space as a mark that can be seen, a long token cut."""
    text = token.replace(" ", "␣" if token == " " else "")
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return text.replace("$", r"\$")
