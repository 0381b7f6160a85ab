"""Every picture that the programs draw: a title, axis labels with units, legends, and nothing outside of the figure."""

import numpy as np
import pytest

from rnn_from_scratch.tasks import PRESETS, char, load, mnist, plots, series, translate, translation_plots, word2vec, word_plots
from rnn_from_scratch.tasks.models import title
from rnn_from_scratch.tasks.rundir import PICTURES

from ..helpers.figures import complete, inside

TASKS = {task.__name__.rpartition(".")[2]: task for task in (char, load, mnist, series, translate, word2vec)}
T = np.linspace(0, 30, 320)


def learning_curve(preset="mnist-rnn", epochs=30):
    """Of losses far apart and far from 1, which take the longest numbers at the axes."""
    labels = {"loss": translate.NATS, "bits": translate.BITS} if preset == "translate" else TASKS[PRESETS[preset][0]].LABELS
    rows = [{"epoch": n, "validation_loss": 12345.0 / n, **dict.fromkeys(labels, 0.00123 / n)} for n in range(1, epochs + 1)]
    return plots.learning_curve(rows, labels, f"{preset}, {title(PRESETS[preset][1])}" if "cell" in PRESETS[preset][1] else preset)


def misread_sheet(wrong=58, sure=0.9):
    y = np.arange(60) % 10
    p = np.full((60, 10), 0.01)
    p[np.arange(60), np.where(np.arange(60) < wrong, (y + 1) % 10, y)] = sure
    return plots.misread_sheet(np.full((60, 28, 28), 99, np.uint8), y, p)


def prediction():
    return plots.prediction(T, series.series(T), T[90:110], series.series(T[90:110]), -series.series(T[90:110]))


def creation():
    return plots.creation({"zeros": series.series(T), "a real window": -series.series(T)}, 0.1, 20)


def forecast():
    ahead = {"model": np.ones(96), "persistence": np.zeros(96), "same time yesterday": 1000 * np.arange(96)}
    return plots.forecast(np.arange(96) * 1000, np.arange(96), ahead, ahead)


def words():
    names = ["two", "three", "four", *(f"word{n}" for n in range(97))]
    return word_plots.draw(np.random.default_rng(0).standard_normal((100, 2)), names, dict.fromkeys(names[:3], "numbers"))


def attention(source="march 3rd, 1984", target="1984-03-03", split=list):
    read, written = split(source), [*split(target), "<eos>"]
    return translation_plots.attention(np.random.default_rng(0).random((len(written), len(read))), read, written)


DRAWN = dict(zip(PICTURES, (learning_curve, misread_sheet, prediction, creation, forecast, words, attention)))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_complete(name):
    figure = DRAWN[name]()
    if name == "attention.png":  # an image: its axis says what white and black are, in place of a legend
        figure.axes[0].plot([], label="p")
        figure.axes[0].legend().set_visible(False)
    assert complete(figure)


@pytest.mark.parametrize("preset", ["mnist-lstm-proj", "series-dropout", "load", "char", "word2vec", "translate"])
@pytest.mark.parametrize("epochs", [1, 30])
def test_learning_curves_of_every_task_are_complete(preset, epochs):
    assert complete(learning_curve(preset, epochs))


@pytest.mark.parametrize("count", [4, 12, 30])
def test_attention_is_complete_for_words_of_any_number(count):
    words = "internationalisation is of the greatest importance".split()  # noqa: SIM905
    text = " ".join(words[n % len(words)] for n in range(count))
    assert inside(attention(text, text, str.split))


@pytest.mark.parametrize("wrong", [0, 1, 6, 7, 42, 43])
def test_sheets_of_any_length_are_complete(wrong):
    assert complete(misread_sheet(wrong))


def test_labels_of_sure_mistakes_do_not_overlap():
    """100 % is the longest label; the digits lie six in a row."""
    figure = misread_sheet(sure=1.0)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert boxes and all("100%" in text.get_text() for text in figure.axes[0].texts)
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])


def test_characters_are_drawn_in_one_unit():
    """Nats and bits are one curve."""
    rows = [{"epoch": 1, "loss": 2.0, "bits": 2.9, "validation_loss": 2.1, "validation_bits": 3.0}]
    figure = plots.learning_curve(rows, {"bits": char.LABELS["bits"]}, "char")
    assert len(figure.axes) == 1
    assert complete(figure)


def test_what_is_missing_or_outside_is_seen():
    """The judge itself."""
    for spoil in (
        lambda figure: figure.suptitle(""),
        lambda figure: figure.axes[1].set_xlabel(""),
        lambda figure: figure.axes[0].set_ylabel("no unit"),
        lambda figure: figure.axes[0].get_legend().remove(),
        lambda figure: figure._suptitle.set_position((0.5, 1.1)),
        lambda figure: figure.axes[1].set_position((0.6, 0.2, 0.5, 0.5)),
        lambda figure: figure.axes[0].text(1, 1, "far out", transform=figure.transFigure),
        lambda figure: figure.axes[0].get_legend().set_bbox_to_anchor((-0.5, 0.5)),
    ):
        figure = learning_curve()
        spoil(figure)
        assert not complete(figure)
    sheet = misread_sheet()
    sheet.axes[0].texts[0].set_x(-30)
    assert not complete(sheet)
    assert not inside(sheet)


def test_the_epochs_are_whole_numbers_and_both_parts_are_drawn():
    figure = learning_curve("series", 3)
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    assert all(tick == int(tick) for axes in figure.axes for tick in axes.get_xticks())
