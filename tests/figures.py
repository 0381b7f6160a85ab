"""What every picture must have."""


def inside(figure):
    """Every visible text, panel and legend lies within the figure."""
    figure.canvas.draw()
    box, artists = figure.bbox, [*figure.axes, *(text for axes in figure.axes for text in axes.texts), figure._suptitle]
    extents = [artist.get_tightbbox() for artist in artists if artist.get_visible()]
    return all(e.x0 >= box.x0 - 1 and e.x1 <= box.x1 + 1 and e.y0 >= box.y0 - 1 and e.y1 <= box.y1 + 1 for e in extents)


def complete(figure):
    """A title, and for every panel a legend and two axis labels, with their units in brackets."""
    labels = [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())]
    bare = ("epoch",)  # counts have no unit
    return (
        bool(figure._suptitle.get_text())
        and all(label and (label in bare or "(" in label) for label in labels)
        and all(axes.get_legend() for axes in figure.axes)
        and inside(figure)
    )
