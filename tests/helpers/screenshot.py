"""The picture of a cell's page that README.md shows: python -m tests.helpers.screenshot rnn_from_scratch/explain/page.png"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image  # comes with matplotlib

from rnn_from_scratch import cells
from rnn_from_scratch.explain import page
from rnn_from_scratch.explain.example import example

from .browser import Tab, chromium


def main(out: Path) -> None:
    """An LSTM's page, with a gradient chosen: the table, its line and the line that this one undoes."""
    e = example(cells.LSTM())
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        path = page([(e.cell, e.params)], e.x, loss=e.loss, out=Path(folder, "lstm.html"))
        tab = Tab(browser, path, "row=backward.daf&t=8", size=(1000, 1300))
        assert tab.selftest == "ok"
        tab.page.screenshot(path=out)
    Image.open(out).quantize(48).save(out, optimize=True)
    assert out.stat().st_size <= 150_000, f"{out}: {out.stat().st_size} bytes"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
