"""How good is check_function itself? Right gradients and planted errors in many kinds of functions, and what it says of each.

A wrong gradient that passes is the worst that a checker can do, a right one called wrong the next. A plant counts where it moves a
gradient by more than 10 times the tolerance. __main__.py writes the scores into the guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import check_function
from .kinds import BLOCKS, KINDS, NAMES, Case, case, kind_of
from .plants import PLANTS, moves, planted

__all__ = ["KINDS", "PLANTS", "SEEDS", "Score", "score"]
SEEDS = 20
COUNTS = 10  # times the tolerance
TOLERANCE = {"float64": 1e-7, "float32": 2e-5}  # the widest that check_function has by default


class Score(NamedTuple):
    """What the checker says of one function with one plant, "" for none."""

    kind: str
    plant: str
    seed: int
    verdict: str  # right, wrong, undecided; "not counted" where the plant moves no gradient
    corner: bool
    text: str

    @property
    def mistake(self) -> bool:
        """A wrong gradient passed, a right one was called wrong, or what is at no corner was left undecided."""
        return self.verdict == ("right" if self.plant else "wrong") or (self.verdict == "undecided" and not self.corner)


def score(name: str, seed: int, directions: int | str = 8, plants: Iterable[str] = tuple(PLANTS)) -> Iterator[Score]:
    """One kind at one seed, right and then with every plant."""
    kind = kind_of(name, seed)
    right = case(kind, seed)

    def verdict(tried: Case, plant: str) -> Score:
        report = check_function(*tried, names=NAMES, blocks=BLOCKS, seed=seed, directions=directions)
        return Score(name, plant, seed, report.verdict, kind.corner, str(report))

    yield verdict(right, "")
    for plant in plants:
        wrong = planted(kind, seed, plant)
        if moves(right, wrong, seed) > COUNTS * TOLERANCE[kind.dtype]:
            yield verdict(wrong, plant)
        else:
            yield Score(name, plant, seed, "not counted", kind.corner, "")


def scores_of(task: tuple[str, int]) -> list[Score]:
    """score() for a pool of processes, which takes one argument and gives a list."""
    return list(score(*task))
