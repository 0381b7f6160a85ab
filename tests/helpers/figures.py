"""What every picture must have."""

from itertools import combinations


def inside(figure):
    """Every visible text, panel and legend lies within the figure; title and panels do not run into each other."""
    figure.canvas.draw()
    box, parts = figure.bbox, [figure._suptitle, *figure.axes]
    artists = [*parts, *(text for axes in figure.axes for text in axes.texts)]
    extents = [artist.get_tightbbox() for artist in artists if artist.get_visible()]
    within = all(e.x0 >= box.x0 - 1 and e.x1 <= box.x1 + 1 and e.y0 >= box.y0 - 1 and e.y1 <= box.y1 + 1 for e in extents)
    return within and not any(a.overlaps(b) for a, b in combinations([part.get_tightbbox() for part in parts], 2))


def complete(figure):
    """A title, and for every panel with axes a legend and two labels, with their units in brackets.

    A panel without axes shows pictures, each with its label; what the labels mean is in the title.
    """
    panels = [axes for axes in figure.axes if axes.axison]
    labels = [label for axes in panels for label in (axes.get_xlabel(), axes.get_ylabel())]
    bare = ("epoch",)  # counts have no unit
    return (
        bool(figure._suptitle.get_text())
        and all(label and (label in bare or "(" in label) for label in labels)
        and all(axes.get_legend() for axes in panels)
        and all("(" in figure._suptitle.get_text() for axes in figure.axes if not axes.axison)
        and inside(figure)
    )
