"""What an exercise is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

STUBS = Path(__file__).with_name("stubs")
SOLUTIONS = Path(__file__).parents[1] / "solutions"


class Exercise(NamedTuple):
    """A row: its kind says how it is judged, `judge` which function does it.

    hints     one after the other, for --hint; the last one also says why
    shapes    of the inputs of forward and backward, in letters; GH are the gates side by side
    told      what to say about a wrong gradient: "Wh[f]", "Wh" or "carry" (right on the first step, wrong later) -> a hint
    variants  for every variant beside 0: pairs (old, new), replaced in stub and solution where they occur
    """

    id: str
    kind: str  # gradient, cell, behaviour, repair, kernel
    title: str
    judge: str
    hints: tuple[str, ...]
    shapes: Mapping[str, str] = {}
    told: Mapping[str, str] = {}
    variants: tuple[tuple[tuple[str, str], ...], ...] = ()

    @property
    def lesson(self) -> int:
        return int(self.id.split(".")[0])

    @property
    def mends(self) -> bool:
        """Is the stub whole, but wrong? Else it has a hole to fill in."""
        return self.kind in ("repair", "kernel")

    @property
    def file(self) -> Path:
        """What the learner's file is called."""
        return Path(f"exercise_{self.id.replace('.', '_')}.py")

    def text(self, folder: Path, variant: int = 0) -> str:
        """The stub or the solution, in a variant. What is to be repaired has many bugs, but one solution."""
        found = (folder / f"{self.id.replace('.', '_')}.py").read_text(encoding="utf-8")
        same = folder == SOLUTIONS and self.mends
        for old, new in self.variants[variant - 1] if variant and not same else ():
            found = found.replace(old, new)
        return found
