"""The site of the lessons: its links, and each page in Chromium from file://, in both schemes."""

import re

import pytest

from rnn_from_scratch import cells, cli
from rnn_from_scratch.lessons import lessons, run

from ..helpers.browser import Tab, chromium
from ..helpers.digit_runs import KERAS_SAVES
from .test_lessons import RUN, Page, examine

pytestmark = pytest.mark.check
OF_CELLS = [f"{name}.html" for name in cells.CELLS]
OF_LESSONS = ["index.html", *(f"{lesson.path.stem}.html" for lesson in lessons())]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "new/site"
    assert cli.main(["lesson", "--site", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


def test_no_link_is_dead(site):
    pages = {path.name: path.read_text(encoding="utf-8") for path in site.iterdir()}
    assert set(pages) == {*OF_LESSONS, *OF_CELLS}
    led_to = set()
    for name in OF_LESSONS:
        page = Page(pages[name])
        assert page.open == []
        led_to |= {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    assert led_to == set(pages)


@pytest.mark.parametrize("name", RUN)
def test_two_pages_of_a_lesson_have_the_same_bytes(site, name, tmp_path):
    """Beside the links of the site to the others."""
    (path,) = site.glob(f"??_{name}.html")
    text = re.sub(r"<header><nav>.*?</nav></header>\n", "", path.read_text(encoding="utf-8"))
    examine(text)
    assert cli.main(["lesson", name, "--html", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", OF_LESSONS)
def test_a_page_asks_for_nothing_and_everybody_can_read_it(site, browser, name):
    tab = Tab(browser, site / name, size=(360, 800), ready="main")
    assert (tab.errors, len(tab.requests)) == ([], 1)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 360
    tab.page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert tab.violations() == []
    tab.page.set_viewport_size({"width": 1200, "height": 900})
    inner = "[...document.querySelectorAll('pre')].filter((pre) => pre.scrollWidth > pre.clientWidth).length"
    assert tab.page.evaluate(inner) == 0  # a line of 88 characters is not cut
    tab.page.emulate_media(color_scheme="dark")
    assert tab.violations() == []


@pytest.mark.parametrize("name", OF_CELLS)
def test_the_pages_of_the_cells_prove_their_numbers(site, browser, name):
    assert Tab(browser, site / name).selftest == "ok"


@pytest.mark.filterwarnings(KERAS_SAVES)
def test_the_page_of_a_run_stands_beside_them(tmp_path, monkeypatch, capsys):
    from rnn_from_scratch.tasks import training

    training.train("series", tmp_path / "mine", epochs=1, units=4, batch_size=2)
    monkeypatch.setattr(run, "lessons", lambda: lessons()[:1])
    assert cli.main(["lesson", "--site", str(tmp_path / "site"), str(tmp_path / "mine")]) == 0
    assert '<a href="run_mine.html">series: 1 x simple_rnn(4)' in (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert 'id="check"' in (tmp_path / "site/run_mine.html").read_text(encoding="utf-8")
