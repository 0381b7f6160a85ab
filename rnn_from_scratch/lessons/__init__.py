"""The lessons: scripts NN_name.py that ask a question, answer it by running, and end in asserts of what they claim.

run.py has the command `lesson`, render.py makes pages and notebooks of a script, exercises/ has the command `exercise`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

HEAD = re.compile(r"# # (\d+)\. (.+)\n(?:.*\n)*?# \*\*(\d+) minutes")


class Lesson(NamedTuple):
    """What the head of a script says: # # NUMBER. QUESTION, and below it **MINUTES minutes."""

    number: int
    name: str
    question: str
    minutes: int
    path: Path
    needs_gxx: bool  # "You need: ..." names it


def lessons() -> list[Lesson]:
    """Every lesson, in the order of the path."""
    return [read(path) for path in sorted(Path(__file__).parent.glob("[0-9][0-9]_*.py"))]


def read(path: Path) -> Lesson:
    """The lesson in a script. Raises ValueError if its head does not say what a lesson has to."""
    text = path.read_text(encoding="utf-8")
    found = HEAD.search(text)
    if not found:
        raise ValueError(f"{path}: expected '# # NUMBER. QUESTION' and '# **MINUTES minutes' in its first block")
    return Lesson(int(found[1]), path.stem[3:], found[2], int(found[3]), path, bool(re.search(r"You need: .*g\+\+", text)))
