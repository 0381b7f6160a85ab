"""python -m rnn_from_scratch.verify.functions.score FILE    scores the checker and writes the table into FILE, ../../README.md."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from ...table import rewrite
from . import KINDS, PLANTS, SEEDS, Score, scores_of

RIGHT = ("right gradients", "called right", "undecided", "called wrong")
PLANTED = ("planted errors that count", "caught", "undecided", "passed")


def counts(scores: Iterable[Score]) -> list[int]:
    """How many right gradients there are and what is said of them; how many planted errors that count, and what is said of those."""
    right, wrong = Counter[str](), Counter[str]()
    for s in scores:
        (wrong if s.plant else right)[s.verdict] += 1
    caught = (wrong["wrong"], wrong["undecided"], wrong["right"])
    return [right.total(), right["right"], right["undecided"], right["wrong"], sum(caught), *caught]


def table(first: str, headings: Sequence[str], rows: dict[str, list[int]]) -> list[str]:
    lines = [f"| {first} | {' | '.join(headings)} |", "|---" + "|--:" * len(headings) + "|"]
    return lines + [f"| {name} | {' | '.join(map(str, numbers))} |" for name, numbers in rows.items()]


def markdown(scores: Sequence[Score]) -> str:
    """A line for each kind of function, then one for each planted error."""
    kinds = {name: counts(s for s in scores if s.kind == name) for name in KINDS}
    plants = {name: counts(s for s in scores if s.plant == name)[len(RIGHT) :] for name in PLANTS}
    return "\n".join(
        [
            *table("function", RIGHT + PLANTED, {**kinds, "all": counts(scores)}),
            "",
            *table("planted error", ("that count", *PLANTED[1:]), plants),
        ]
    )


if __name__ == "__main__":
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = [s for scores in pool.map(scores_of, product(KINDS, range(SEEDS))) for s in scores]
    rewrite(Path(sys.argv[1]), "score", markdown(found))
    for s in found:
        if s.mistake:
            print(f"{s.kind}, {s.plant or 'right'}, seed {s.seed}: {s.verdict}\n{s.text}")
    sys.exit(any(s.mistake for s in found))
