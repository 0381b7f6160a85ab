"""Chromium for tests of pages, driven by playwright; the browser itself is installed by the system, never downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..conftest import ROOT
from .javascript import need

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
MISSING = "needs a browser: apt install chromium fonts-dejavu-core, and pip install playwright"
AXE = Path(os.environ.get("AXE", ROOT / "build/axe/node_modules/axe-core/axe.min.js")).resolve()
NO_AXE = f"needs axe-core: npm install --prefix build/axe axe-core, or AXE as the path of axe.min.js ({AXE} is missing)"


@contextmanager
def chromium() -> Iterator[Any]:
    """The running browser; the test is skipped with the reason where there is none."""
    need(CHROMIUM and find_spec("playwright"), MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page that is open, with what it asked for and what it complained of."""

    def __init__(
        self,
        browser: Any,
        path: Path,
        hash: str = "",
        scheme: str = "light",
        size: tuple[int, int] = (1200, 900),
        ready: str = "body[data-selftest]",
    ):
        self.page = browser.new_page(color_scheme=scheme, viewport={"width": size[0], "height": size[1]})
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.resolve().as_uri() + (f"#{hash}" if hash else ""))
        self.page.wait_for_selector(ready)

    @property
    def selftest(self) -> str:
        return self.page.evaluate("document.body.dataset.selftest")

    def text(self, id: str) -> str:
        return self.page.evaluate(f"document.getElementById({id!r}).textContent")

    def grid(self) -> dict[str, list[float]]:
        """Row -> its numbers, to the last digit."""
        cells = self.page.evaluate("[...document.querySelectorAll('td.value')].map((td) => [td.dataset.row, td.dataset.value])")
        rows: dict[str, list[float]] = {}
        for row, value in cells:
            rows.setdefault(row, []).append(float(value))
        return rows

    def chosen(self) -> tuple[str, int]:
        """Row and step of the chosen number."""
        row, t = self.page.evaluate("(({ row, t }) => [row, t])(document.querySelector('td[aria-selected=true]').dataset)")
        return row, int(t)

    def violations(self) -> list[str]:
        """What axe-core finds."""
        need(AXE.exists(), NO_AXE)
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        rules = "{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }"
        found = self.page.evaluate(f"axe.run(document, {rules})")
        return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found["violations"]]
