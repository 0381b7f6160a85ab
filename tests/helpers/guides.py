"""The pages of the project: README.md, the guides of the rooms, CONTRIBUTING.md; and what is written in them."""

import re

from ..conftest import ROOT

ROOMS = ("rnn_from_scratch", "kernels", "bench", "tests")
PAGES = sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *(p for room in ROOMS for p in (ROOT / room).rglob("*.md"))])


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str = "python") -> list[str]:
    """The fenced blocks of this language on a page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(page), re.S | re.M)


def section(page: str, title: str) -> str:
    """What stands under a heading of the second level."""
    return text(page).split(f"\n## {title}\n")[1].split("\n## ")[0]
