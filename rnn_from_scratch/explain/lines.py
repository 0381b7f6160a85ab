"""The lines of a cell as the page has them: what each sets, in which phase, and which lines it undoes."""

from __future__ import annotations

import re
from typing import Any

from ..typing import Cell
from .equations import latex
from .steps import Steps
from .watch import Line


def source_of(cell: Cell, steps: Steps) -> dict[str, list[dict[str, Any]]]:
    """{"forward": [...], "backward": [...]}: the lines that ran at a live step, in the order in which they ran."""
    live = steps.tape.live
    t = 0 if live is None or not live.any() else int(live[0].argmax())
    forward = [row(cell, line, told.phase) for told in steps.forward[t] for line in told.lines]
    backward = []
    for told in steps.backward[t]:
        for line in told.lines:
            undone = undoes(line.comment, forward, cell)
            backward.append({**row(cell, line, told.phase), "undoes": line.comment, "undoes_lines": undone})
    return {"forward": forward, "backward": backward}


def row(cell: Cell, line: Line, phase: int) -> dict[str, Any]:
    says = [f"{a.name} = {a.text}" for a in line.assignments]
    written = [latex(cell, phase, a.name, a.text).replace("&", "") for a in line.assignments]
    sets = [a.name for a in line.assignments]
    return {"line": line.code, "number": line.number, "phase": phase, "sets": sets, "says": says, "latex": written}


def undoes(comment: str, forward: list[dict[str, Any]], cell: Cell) -> list[int]:
    """The forward lines that a comment like "c = f * c_prev + i * g, i = sigma(ai)" speaks of.

    A pre-activation that has no line of its own is made in its gate's line: an in that of n.
    """
    found = []
    for part in re.findall(r"(\w+) = ", comment):
        name = part[1:] if part[0] == "a" and part[1:] in cell.gates and not any(part in line["sets"] for line in forward) else part
        name = "operand" if name == "m" and not any("m" in line["sets"] for line in forward) else name
        found += [n for n, line in enumerate(forward) if name in line["sets"] and n not in found]
    return found
