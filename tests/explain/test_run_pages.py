"""Pages of models that read a text, a picture by rows, a series: their strips say what NumPy says, and what is read cannot break them."""

import numpy as np
import pytest

from rnn_from_scratch import forward
from rnn_from_scratch.explain import page
from rnn_from_scratch.explain.record import forward as run_forward
from rnn_from_scratch.explain.record import head_outputs, vectors
from rnn_from_scratch.measure import error

from ..helpers.browser import Tab
from ..helpers.models_to_explain import MODELS, model_of, text
from .test_pages import HOSTILE

pytestmark = pytest.mark.check


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Name of MODELS -> its page."""
    folder = tmp_path_factory.mktemp("pages")
    return {name: page(*args, **more, out=folder / f"{n}.html") for n, (name, (args, more)) in enumerate(MODELS.items())}


def strip(tab, id):
    """The numbers of a strip, once all are there."""
    tab.page.wait_for_selector("#by-trying[data-done=yes]")
    return np.array(tab.page.evaluate(f"[...document.querySelectorAll('#{id} button[data-value]')].map((e) => +e.dataset.value)"))


@pytest.mark.parametrize("name", MODELS)
def test_a_page_proves_its_numbers_and_asks_for_nothing(browser, written, name):
    tab = Tab(browser, written[name])
    assert (tab.selftest, tab.errors, len(tab.requests)) == ("ok", [], 1)
    text = written[name].read_text(encoding="utf-8")
    assert "fetch(" not in text and "import(" not in text


def outputs(args, more, x, step):
    """What the head says after `step` when x is read, by NumPy."""
    model = model_of(args[0], more)
    every = head_outputs(model, run_forward(model, vectors(model, x), None, None))
    return every[step if model.head["reads"] == "all" else -1]


@pytest.mark.parametrize("name", MODELS)
def test_by_trying_is_a_forward_pass_on_the_replaced_input(browser, written, name):
    args, more = MODELS[name]
    x = np.array(args[1], int if name == "text" else float)
    tab = Tab(browser, written[name])
    T = len(x)
    step = more.get("loss", {"step": T - 1})["step"]
    before = outputs(args, more, x, step)
    output = more.get("loss", {"output": int(before.argmax())})["output"]
    expected = []
    for s in range(step + 1):
        other = x.copy()
        if name == "text":
            space = more["vocabulary"].index(" ")
            other[s] = space if x[s] != space else next(code for code in x if code != space)
        else:
            other[s] = x.mean() if name.startswith("series") else 0
        expected.append(abs(outputs(args, more, other, step)[output] - before[output]))
    found = strip(tab, "by-trying")
    assert len(found) == step + 1 and np.abs(found - expected).max() <= 1e-10 and max(expected) > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_by_gradient_is_the_jacobian_by_complex_step(browser, written, name):
    args, more = MODELS[name]
    tab, model = Tab(browser, written[name]), model_of(args[0], more)
    v = vectors(model, args[1])
    step = more.get("loss", {"step": len(v[0]) - 1})["step"]

    def value(z):
        hs = []
        for cell, params in zip(model.cells, model.params):
            z, _, _ = forward(cell, {k: a.astype(complex) for k, a in params.items()}, z, backend="reference")
            hs.append(z[:, step])
        h = np.concatenate(hs if model.head["reads"] == "last of every layer" else hs[-1:], axis=1)
        out = (h @ model.head["W"] + model.head["b"])[0]
        return out - np.log(np.exp(out).sum()) if model.head["activation"] == "softmax" else out

    plain = value(v.astype(complex)).real
    output = more.get("loss", {"output": int(plain.argmax())})["output"]
    jacobian = np.zeros(v.shape[1:])
    for place in np.ndindex(*jacobian.shape):
        moved = v.astype(complex)
        moved[(0, *place)] += 1e-30j
        jacobian[place] = value(moved)[output].imag / 1e-30
    assert error(strip(tab, "by-gradient"), np.sqrt((jacobian**2).sum(1))[: step + 1]) <= 1e-12


def test_another_character_is_chosen_by_keys_and_kept_in_the_link(browser, written):
    tab = Tab(browser, written["text"])
    first = strip(tab, "by-gradient")
    tab.page.locator("#by-gradient button[tabindex='0']").focus()
    for key in ("ArrowLeft", "ArrowLeft", "Home", "ArrowRight", "End", "ArrowLeft"):
        tab.page.keyboard.press(key)
    assert len(strip(tab, "by-gradient")) == len(first) - 1
    assert tab.page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    tab.page.get_by_role("button", name="copy link").click()
    link = tab.page.locator("#keep input").input_value()
    again = Tab(browser, written["text"], link.split("#")[1])
    assert np.array_equal(strip(again, "by-gradient"), strip(tab, "by-gradient")) and again.text("next") == tab.text("next")


def test_a_digit_is_drawn_on_by_pointer_and_by_keys(browser, written):
    tab = Tab(browser, written["rows, last"])
    said = tab.text("next")
    box = tab.page.locator("#digit").bounding_box()
    tab.page.mouse.move(box["x"] + 5, box["y"] + 5)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] - 5, steps=6)
    tab.page.mouse.up()
    drawn = tab.text("next")
    assert drawn != said
    tab.page.locator("#digit").focus()
    for key in ("ArrowDown", "ArrowRight", "Delete"):
        tab.page.keyboard.press(key)
    assert tab.text("next") != drawn
    tab.page.locator("#task").get_by_role("button", name="as recorded").click()
    assert tab.text("next") == said


def test_a_point_of_a_series_is_moved_and_the_forecast_follows(browser, written):
    tab = Tab(browser, written["series, last"])
    said, line = tab.text("next"), tab.page.evaluate("document.querySelector('#picture path.gates').getAttribute('d')")
    tab.page.locator("#picture circle[tabindex='0']").focus()
    tab.page.keyboard.press("ArrowLeft")
    assert tab.page.evaluate("document.activeElement.dataset.t") == "7"
    for _ in range(3):
        tab.page.keyboard.press("ArrowUp")
    assert tab.text("next") != said
    assert tab.page.evaluate("document.querySelector('#picture path.gates').getAttribute('d')") != line
    before = tab.text("next")
    box = tab.page.locator("#picture circle[data-t='3']").bounding_box()
    tab.page.mouse.move(box["x"] + 3, box["y"] + 3)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 3, box["y"] - 30, steps=3)
    tab.page.mouse.up()
    assert tab.text("next") != before and tab.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", MODELS)
def test_axe_finds_nothing(browser, written, name, scheme):
    assert Tab(browser, written[name], scheme=scheme).violations() == []


def test_a_small_screen_loses_nothing(browser, written):
    for name in MODELS:
        assert Tab(browser, written[name], size=(360, 700)).page.evaluate("document.documentElement.scrollWidth") <= 360


def test_untrusted_characters_cannot_break_the_page(browser, tmp_path):
    (layers, codes), more = text(steps=8)
    for n, hostile in enumerate(HOSTILE):
        words = [hostile] * len(more["vocabulary"])
        path = page(layers, codes, **{**more, "vocabulary": words, "labels": words}, out=tmp_path / f"{n}.html")
        tab = Tab(browser, path)
        assert (tab.selftest, tab.errors, len(tab.requests), tab.page.title()) == (
            "ok",
            [],
            1,
            "GRU reset after, 5 units on LSTM, 5 units, 8 steps",
        )
        assert tab.page.evaluate("document.querySelectorAll('img, #task script').length") == 0
        tab.page.close()
