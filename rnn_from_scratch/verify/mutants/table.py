"""python -m rnn_from_scratch.verify.mutants.table FILE    plants every bug, of both lists; writes the scores into FILE, ../README.md."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..table import rewrite
from . import PLANTED, WEAK, Verdict
from .sweep import generate, sweep


def markdown(lists: dict[str, Sequence[Verdict]]) -> str:
    """One line for each list of bugs: how many, how many of them we catch, how many each weak check does."""
    lines = [f"| bugs | planted | caught here | {' | '.join(WEAK)} |", "|---|--:|--:|--:|--:|"]
    for name, verdicts in lists.items():
        ours = sum(bool(v.check) for v in verdicts)
        others = [str(sum(weak in v.weak for v in verdicts)) for weak in WEAK]
        lines.append(f"| {name} | {len(verdicts)} | {ours} | {' | '.join(others)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    named, made = sweep(PLANTED), sweep(list(generate()))
    text = markdown({"by name": named, "every operator, sign, index and factor": made})
    rewrite(Path(sys.argv[1]), "mutants", text)
