"""What a screen reader is told: the accessibility tree of a page, its names, roles and states, and the order in which Tab walks."""

import re
from itertools import pairwise

import pytest

from rnn_from_scratch import cells
from rnn_from_scratch.explain import page
from rnn_from_scratch.explain.example import example

from ..helpers.browser import Tab

pytestmark = pytest.mark.check
SPEAKS = {"button", "slider", "combobox", "spinbutton", "grid", "gridcell", "rowheader", "columnheader", "image", "heading", "region"}
FOCUS = """() => {
  const at = document.activeElement;
  return at === document.body ? null : [at.tagName, at.getAttribute("aria-label") || at.dataset.row || ""];
}"""
KNOBS = ["unit", "the loss is", "after step", "bias of i, added", "bias of f, added", "bias of g, added", "bias of o, added", "Wh times"]
KNOBS += ["first h of the unit", "first c of the unit", "weight", "row", "column", "its value", "as recorded"]
STEPS = 5


@pytest.fixture(scope="module")
def tab(browser, tmp_path_factory):
    e = example(cells.LSTM(), units=3, steps=STEPS)
    found = Tab(browser, page([(e.cell, e.params)], e.x, loss=e.loss, out=tmp_path_factory.mktemp("page") / "lstm.html"))
    found.page.wait_for_timeout(200)
    yield found
    found.page.close()


def tree(tab):
    """(role, name, properties) of every node that is told, in the order of the page."""
    nodes = tab.page.context.new_cdp_session(tab.page).send("Accessibility.getFullAXTree")["nodes"]
    known, found = {node["nodeId"]: node for node in nodes}, []

    def walk(node):
        if not node.get("ignored"):
            properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
            found.append((node["role"]["value"], node.get("name", {}).get("value", ""), properties))
        for child in node.get("childIds", []):
            if child in known:
                walk(known[child])

    walk(next(node for node in nodes if "parentId" not in node))
    return found


def test_everything_that_speaks_has_a_name(tab):
    told = tree(tab)
    assert {role for role, _, _ in told} >= SPEAKS
    assert [(role, name) for role, name, _ in told if role in SPEAKS and not name.strip()] == []
    controls = [name for role, name, _ in told if role in ("slider", "combobox", "spinbutton", "button")]
    assert controls == [*KNOBS, *(f"x at step {t}" for t in range(STEPS)), "copy link", "copy LaTeX", "save PNG", "save CSV"]


def test_headings_are_an_outline(tab):
    levels = [(properties["level"], name) for role, name, properties in tree(tab) if role == "heading"]
    assert levels[0] == (1, "LSTM, 3 units, 5 steps")
    assert [level for level, _ in levels].count(1) == 1
    assert all(after <= before + 1 for (before, _), (after, _) in pairwise(levels))


def test_the_table_is_a_grid_with_headers(tab):
    told = tree(tab)
    columns = [name for role, name, _ in told if role == "columnheader"]
    assert columns == ["step", *map(str, range(STEPS))]
    rows = [name for role, name, _ in told if role == "rowheader"]
    assert rows[:8] == ["x", "i", "f", "g", "o", "c", "h", "dc arriving"]
    assert len([1 for role, _, _ in told if role == "gridcell"]) == len(rows) * STEPS
    chosen = [name for role, name, properties in told if role == "gridcell" and properties.get("selected")]
    assert len(chosen) == 1


def test_what_is_chosen_is_said(tab):
    assert tab.page.locator("#where").get_attribute("aria-live") == "polite"
    tab.page.locator("td[aria-selected=true]").focus()
    before = tab.text("where")
    tab.page.keyboard.press("ArrowLeft")
    assert re.fullmatch(r"Step 3, unit 0, c \(cell state\): \S+", tab.text("where"))
    assert tab.text("where") != before


def test_tab_walks_the_page_in_the_order_of_what_it_shows(tab):
    tab.page.evaluate("document.activeElement.blur()")
    tab.page.mouse.click(1, 1)
    walked = []
    while len(walked) < 100:
        tab.page.keyboard.press("Tab")
        at = tab.page.evaluate(FOCUS)
        if at is None:
            break
        walked.append(at)
    tags = [tag for tag, _ in walked]
    # the knobs, the inputs of x, one number of the table, and what keeps the page
    assert tags == [*tags[: len(KNOBS)], *["INPUT"] * STEPS, "TD", *["BUTTON"] * 4]
    assert [label for tag, label in walked if tag == "TD"] == ["c"]
    assert [label for _, label in walked[len(KNOBS) : len(KNOBS) + STEPS]] == [f"x at step {t}" for t in range(STEPS)]
