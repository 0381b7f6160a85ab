"""The picture of words: near each other in the plane where their vectors are."""

from __future__ import annotations

from matplotlib.figure import Figure

from ..data.words import GROUPS, UNKNOWN
from ..typing import Array
from .nearest import directions
from .plots import canvas, explain
from .tsne import kept, tsne

GROUP_COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#444444")
SHOWN = 500  # words
LEAST = 3  # words of a group that must be shown for it to have a colour


def shown(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The commonest of a vocabulary, and word -> group of all that have one."""
    groups = {word: name for name, members in GROUPS.items() for word in members.split()}
    return [word for word in words if word != UNKNOWN][:SHOWN], groups


def plane(vectors: Array, seed: int) -> Array:
    """Places [N,2] of words [N,D]: near each other where the directions of their vectors are."""
    return tsne(directions(vectors), seed=seed)


def words(vectors: Array, names: list[str], groups: dict[str, str], seed: int = 0) -> tuple[Figure, float]:
    """The words [N,D] by t-SNE, those of the largest groups in colour; and what share of 10 neighbours the plane keeps."""
    y = plane(vectors, seed)
    return draw(y, names, groups), kept(directions(vectors), y, min(10, len(y) - 1))


def draw(places: Array, names: list[str], groups: dict[str, str]) -> Figure:
    """places [N,2]; groups: word -> group."""
    figure, (axes,) = canvas(
        f"{len(names)} words: near in the plane where their vectors are", "first axis of t-SNE (no unit)", "second axis of t-SNE (no unit)"
    )
    figure.set_size_inches(10, 10)
    axes.set_position((0.09, 0.06, 0.89, 0.84))
    members: dict[str, list[int]] = {}
    for n, name in enumerate(names):
        members.setdefault(groups.get(name, ""), []).append(n)
    largest = sorted((name for name in members if name and len(members[name]) >= LEAST), key=lambda name: -len(members[name]))
    colour = dict(zip(largest, GROUP_COLOURS))
    grey = [n for name, found in members.items() if name not in colour for n in found]
    axes.scatter(*places[grey].T, s=4, color="0.7", label="other words")
    for name in colour:
        axes.scatter(*places[members[name]].T, s=18, color=colour[name], label=name)
    axes.margins(0.06)
    for n, name in enumerate(names):
        of_group = groups.get(name, "") in colour
        style = {"fontsize": 9, "color": colour[groups[name]], "fontweight": "bold"} if of_group else {"fontsize": 5, "color": "0.5"}
        axes.annotate(name, places[n], xytext=(2, 2), textcoords="offset points", annotation_clip=True, clip_on=True, **style)
    explain(axes, 5)
    return figure
