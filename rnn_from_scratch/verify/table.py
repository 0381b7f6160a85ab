"""The rows of `rnn-from-scratch verify` as a table that a person can read, as JSON, and as the table in README.md.

python -m rnn_from_scratch.verify.table FILE    runs every row and writes the table between the markers of FILE, README.md beside this
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .. import cells
from ..measure import Row
from .cases import CELLS


def counts(rows: list[Row]) -> dict[str, int]:
    """How many rows have each status: pass, fail, skipped."""
    found = Counter(row.status for row in rows)
    return {status: found[status] for status in ("pass", "fail", "skipped")}


def groups(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows by check and cell, in the order in which they came."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.check, row.cell), []).append(row)
    return found


def nearness(row: Row) -> float:
    """Error over budget: how near a row is to failing; -1 if it was not run."""
    if row.error is None or row.budget is None:
        return -1.0
    return row.error / row.budget if row.budget else (math.inf if row.error else 0.0)


def worst(rows: list[Row]) -> str:
    """Error and budget of the row nearest to failing; empty if none was run."""
    row = max(rows, key=nearness, default=None)
    return "" if row is None or row.error is None else f"{row.error:.0e} / {row.budget:.0e}"


def report(rows: list[Row], console: Console) -> None:
    """Print one line for each check and cell, then every failing row in full, then why rows were skipped."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("cell")
    for heading in ("pass", "fail", "skip", "float64 worst\n/ allowed", "float32 worst\n/ allowed"):
        table.add_column(heading, justify="right")
    before = ""
    for (check, cell), members in groups(rows).items():
        n, numbers = counts(members), [worst([row for row in members if row.dtype == dtype]) for dtype in ("float64", "float32")]
        style = "red" if n["fail"] else ("dim" if n["skipped"] == len(members) else "")
        table.add_row("" if check == before else check, escape(cell), *(str(v or "") for v in n.values()), *numbers, style=style)
        before = check
    console.print(table)
    for row in rows:
        if row.status == "fail":
            what = f"{row.check}, {row.cell}, {row.situation}, {row.dtype}: error {row.error:.1e}, allowed {row.budget:.1e}"
            console.print(f"\n[bold red]failed[/bold red] {escape(what)}", highlight=False, soft_wrap=True)
            console.out(row.text, highlight=False)
    reasons = Counter((row.check, row.text) for row in rows if row.status == "skipped")
    for (check, reason), count in reasons.items():
        console.print(f"[yellow]skipped[/yellow] {count} x {escape(f'{check}: {reason}')}", highlight=False, soft_wrap=True)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows as plain dicts with their status; an error that is not finite, which JSON lacks, as the text "inf" or "nan"."""
    plain = []
    for row in rows:
        error = row.error if row.error is None or math.isfinite(row.error) else str(row.error)
        plain.append({**row._asdict(), "error": error, "status": row.status})
    return plain


def markdown(rows: list[Row]) -> str:
    """One line for each check and form of cell: its rows, how many passed, and the worst errors beside what is allowed."""
    lines = ["| check | cell, all its options | rows | passed | float64: worst / allowed | float32: worst / allowed |"]
    lines.append("|---|---|--:|--:|--:|--:|")
    for check in dict.fromkeys(row.check for row in rows):
        for form in cells.forms():
            members = [row for row in rows if row.check == check and cells.form_name(CELLS[row.cell]) == form]
            if members:
                numbers = [worst([row for row in members if row.dtype == dtype]) or "-" for dtype in ("float64", "float32")]
                lines.append(f"| {check} | {form} | {len(members)} | {counts(members)['pass']} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def rewrite(path: Path, name: str, text: str) -> None:
    """Put `text` between <!-- name: begin --> and <!-- name: end -->. Raises ValueError unless both are there once."""
    begin, end, old = f"<!-- {name}: begin -->", f"<!-- {name}: end -->", path.read_text(encoding="utf-8")
    if old.count(begin) != 1 or old.count(end) != 1:
        raise ValueError(f"{path}: expected {begin} and {end} once each")
    head, tail = old.split(begin)[0], old.split(end)[1]
    path.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    from .suite import rows

    rewrite(Path(sys.argv[1]), "verify", markdown(list(rows())))
