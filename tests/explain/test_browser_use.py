"""Pages of cells in Chromium as a reader uses them: keyboard, links, both colour schemes, small screens, hostile words."""

import json
import math

import numpy as np
import pytest

from rnn_from_scratch import backends, cells, init_params
from rnn_from_scratch.explain import page
from rnn_from_scratch.explain.equations import equations
from rnn_from_scratch.explain.example import example

from ..helpers.browser import Tab
from .test_pages import HOSTILE

pytestmark = pytest.mark.check


def test_keys_reach_every_control_and_walk_through_the_table(browser, written):
    tab = Tab(browser, written["LSTM"])
    kinds, seen = "a, button, select, input, td[tabindex='0']", set()
    wanted = tab.page.evaluate(f"[...document.querySelectorAll({kinds!r})].filter((e) => !e.hidden).length")
    for _ in range(wanted + 2):
        tab.page.keyboard.press("Tab")
        place = tab.page.evaluate(f"[...document.querySelectorAll({kinds!r})].indexOf(document.activeElement)")
        outline = tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert place < 0 or outline != "none"
        seen.add(place)
    assert len(seen - {-1}) == wanted > 20
    tab.page.locator("td[tabindex='0']").focus()
    assert tab.chosen() == ("c", 6)
    for key, expected in [
        *(("ArrowLeft", ("c", 5)), ("Home", ("c", 0)), ("ArrowLeft", ("c", 0)), ("End", ("c", 6)), ("ArrowUp", ("o", 6))),
        *(("ArrowDown", ("c", 6)), ("ArrowDown", ("h", 6)), ("ArrowDown", ("arriving.c", 6))),
    ]:
        tab.page.keyboard.press(key)
        assert tab.chosen() == expected
        assert tab.page.evaluate("document.activeElement.dataset.row") == expected[0]
    assert tab.text("where").startswith("Step 6, unit 0, dc arriving (gradient by c after this step, as it arrives from the next one): ")


def test_a_chosen_number_marks_its_line_and_what_that_undoes(browser, written):
    tab = Tab(browser, written["LSTM"], "row=backward.daf&t=3")
    marked = "(kind) => [...document.querySelectorAll('.line.' + kind + ' .code:first-child')].map((e) => e.textContent)"
    assert [line.lstrip("0123456789") for line in tab.page.evaluate(marked, "chosen")] == ["daf = dc * c_prev * sigma_derivative(f)"]
    undone = [line.lstrip("0123456789") for line in tab.page.evaluate(marked, "undone")]
    assert undone == ["i, f, g, o = sigma(ai), sigma(af), phi(ag), sigma(ao)", "c = f * c_prev + i * g"]
    dc = tab.page.evaluate("[...document.querySelectorAll('#backward .numbers')].map((e) => e.textContent)")
    grid = tab.grid()
    (line,) = [text for text in dc if text.startswith("dc = ")]
    numbers = line.replace("\u2212", "-").split()
    assert abs(float(numbers[2]) - grid["arriving.c"][3]) <= 5e-4 and abs(float(numbers[-1]) - grid["backward.dc"][3]) <= 5e-4
    assert grid["arriving.c"][3] != grid["backward.dc"][3]


def test_a_link_holds_what_is_turned(browser, written):
    tab = Tab(browser, written["GRU reset before"])
    slider = tab.page.locator("input[data-knob='x3']")
    slider.focus()
    for _ in range(9):
        tab.page.keyboard.press("ArrowRight")
    tab.page.locator("input[data-knob='b.z']").focus()
    tab.page.keyboard.press("End")
    tab.page.locator("td[data-row='n'][data-t='4']").click()
    before = tab.grid()
    tab.page.get_by_role("button", name="copy link").click()
    link = tab.page.locator("#keep input").input_value()
    assert "#t=4&row=n" in link and "b.z=6" in link and "x3=0.45" in link
    again = Tab(browser, written["GRU reset before"], link.split("#")[1])
    assert again.grid() == before and again.chosen() == ("n", 4)
    again.page.get_by_role("button", name="as recorded").click()
    assert again.grid() == Tab(browser, written["GRU reset before"]).grid() != before


def test_latex_of_the_chosen_number(browser, written):
    made = {line.name: line.latex.replace("&", "") for line in equations(cells.GRU(reset_after=False)).forward if line.text}
    tab = Tab(browser, written["GRU reset before"])
    for row in ("z", "r", "n", "h"):
        tab.page.locator(f"td[data-row='{row}'][data-t='3']").click()
        tab.page.get_by_role("button", name="copy LaTeX").click()
        assert tab.page.locator("#keep input").input_value() == made[row]
    tab.page.locator("td[data-row='arriving.h'][data-t='3']").click()
    tab.page.get_by_role("button", name="copy LaTeX").click()
    assert "the chosen row is made by no line of the cell" in tab.text("keep")


def test_columns_out_of_sight_are_written_too(browser, tmp_path):
    e = example(cells.LSTM(), units=2, steps=60)
    tab = Tab(browser, page([(e.cell, e.params)], e.x, loss=e.loss, out=tmp_path / "long.html"), size=(400, 800))
    knob = tab.page.locator("input[data-knob='b.f']")
    knob.focus()
    for key in ("End", "ArrowLeft", "ArrowLeft"):
        tab.page.keyboard.press(key)
    tab.page.wait_for_timeout(500)
    told = "[...document.querySelectorAll('td.value')].map((td) => [td.dataset.row, td.dataset.value, td.textContent, td.dataset.shade])"
    found = tab.page.evaluate(told)
    assert len(found) > 600
    for row, value, text, shade in found:
        v = float(value)
        assert float(text.replace("−", "-")) == pytest.approx(v, rel=0.06, abs=5.1e-4)
        size = abs(v) if "." not in row else 1 + math.log10(abs(v)) / 6 if v else 0
        assert shade.removeprefix("below" if v < 0 else "above") == str(math.floor(55 * min(1, max(0, size)) + 0.5))


@pytest.mark.parametrize("colours", ["none", "active"])
def test_every_shade_has_a_colour_of_its_own_unless_the_reader_forces_colours(browser, written, colours):
    tab = Tab(browser, written["LSTM"])
    tab.page.emulate_media(forced_colors=colours)
    all_of_them = "['above', 'below'].flatMap((side) => Array.from({ length: 56 }, (_, n) => `${side}${n}`))"
    shown = f"""(td) => {all_of_them}.map((shade) => {{ td.dataset.shade = shade; return getComputedStyle(td).backgroundColor; }})"""
    found = tab.page.locator("td.value").first.evaluate(shown)
    assert len(set(found)) == (111 if colours == "none" else 1)  # at 0 both sides are alike


@pytest.mark.parametrize(
    "hash", ["t=99&row=nothing&unit=-1", "x77=1&w=__proto__.0.1&b.q=2", "loss=c.9.9&wh=NaN&%00=%ff", "layer=4&3:b.f=1"]
)
def test_a_link_that_does_not_fit_is_as_recorded(browser, written, hash):
    tab = Tab(browser, written["LSTM"], hash)
    assert tab.grid() == Tab(browser, written["LSTM"]).grid() and tab.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", list(cells.forms()))
def test_axe_finds_nothing(browser, written, name, scheme):
    assert Tab(browser, written[name], "row=h&t=3&b.o=3", scheme).violations() == []


@pytest.mark.parametrize("width", [360, 600, 1200])
def test_nothing_is_lost_on_a_small_screen(browser, written, width):
    tab = Tab(browser, written["PeepholeLSTM"], size=(width, 700))
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = (
        "[...document.querySelectorAll('svg text')].map((e) => e.getBoundingClientRect()).map((b) => [b.left, b.top, b.right, b.bottom])"
    )
    texts = tab.page.evaluate(boxes)
    assert len(texts) > 5
    for n, (left, top, right, bottom) in enumerate(texts):  # no label lies on another
        assert not [b for b in texts[n + 1 :] if left < b[2] and b[0] < right and top < b[3] and b[1] < bottom]


def test_untrusted_words_cannot_break_the_page(browser, tmp_path):
    e = example(cells.LSTM(), units=2, steps=3)
    for n, text in enumerate(HOSTILE):
        path = page([(e.cell, e.params)], e.x, out=tmp_path / f"{n}.html", title=text, inputs=[text], loss=e.loss)
        tab = Tab(browser, path)
        assert (tab.selftest, tab.errors, len(tab.requests)) == ("ok", [], 1)
        assert tab.page.evaluate("document.querySelector('h1').textContent") == text.replace("\r", "\n")
        tab.page.close()


def test_a_stack_with_masked_steps_and_a_layer_backwards(browser, tmp_path):
    rng = np.random.default_rng(0)
    layers = [(cells.GRU(), init_params(cells.GRU(), 2, 3)), (cells.LSTM(), init_params(cells.LSTM(), 3, 4), {"go_backwards": True})]
    x = rng.standard_normal((9, 2))
    state = [rng.standard_normal(3), rng.standard_normal(4), rng.standard_normal(4)]
    tab = Tab(browser, page(layers, x, lengths=6, initial_state=state, out=tmp_path / "stack.html"))
    assert (tab.selftest, tab.errors) == ("ok", [])
    tab.page.select_option("#choice select >> nth=0", "0")
    assert "z" in tab.grid() and "masked" in Tab(browser, tmp_path / "stack.html", "layer=0&t=8&row=h").text("forward")


def test_a_cell_of_ones_own_shows_its_recorded_numbers(browser, tmp_path):
    class Mine:
        gates, states, saved, extras, shared, phases = ("h",), ("h",), (), (), True, ((0,),)

        def forward(self, k, xg, hg, s_prev, saved, p):
            h = np.tanh(xg[0] + 0.5 * hg[0])
            return (h,), ()

        def backward(self, k, d, saved, s_prev, s, p):
            da = d[0] * (1 - s[0] ** 2)
            return (da,), (0.5 * da,), (0.0,), ()

    params = {name: a.astype("float64") for name, a in init_params(cells.SimpleRNN(), 1, 2).items()}
    tab = Tab(browser, page([(Mine(), params)], np.ones((5, 1)), out=tmp_path / "mine.html"))
    assert tab.errors == [] and tab.selftest == "ok" and "no twin in JavaScript" in tab.text("check")
    y, _, _ = backends.forward(Mine(), params, np.ones((1, 5, 1)))
    assert tab.grid()["h"] == y[0, :, 0].tolist()
    assert tab.page.locator("#knobs input").count() == 0 and "h = np.tanh(xg[0] + 0.5 * hg[0])" in tab.text("forward")


def test_csv_and_png_hold_what_is_shown(browser, written):
    tab = Tab(browser, written["LSTM"])
    with tab.page.expect_download() as waiting:
        tab.page.get_by_role("button", name="save CSV").click()
    rows = [line.split(",") for line in waiting.value.path().read_text().splitlines()]
    assert rows[0] == ["name", *map(str, range(7))]
    table = {row[0]: [float(v) for v in row[1:]] for row in rows[1:]}
    assert table["f"] == tab.grid()["f"] and table["dc total"] == tab.grid()["backward.dc"]
    with tab.page.expect_download() as waiting:
        tab.page.get_by_role("button", name="save PNG").click()
    assert waiting.value.path().read_bytes().startswith(b"\x89PNG")


def test_without_javascript_the_recorded_numbers_are_a_table(browser, written):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(written["LSTM"].resolve().as_uri())
    assert "saved f" in tab.inner_text("noscript") and json.dumps(tab.inner_text("#check")).count("has not begun")
    context.close()
