"""What the tests of pages share: the browser, and a page of every form."""

import pytest

from rnn_from_scratch import cells
from rnn_from_scratch.explain import page
from rnn_from_scratch.explain.example import example

from ..helpers.browser import chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Form -> its page."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for name, cell in cells.forms().items():
        e = example(cell, units=3, steps=7)
        found[name] = page([(cell, e.params)], e.x, loss=e.loss, out=folder / f"{name.replace(' ', '_')}.html")
    return found
