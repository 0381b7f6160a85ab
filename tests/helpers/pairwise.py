"""Pairwise tables: every value of every factor together with every value of every other factor, in few rows."""

from __future__ import annotations

from itertools import combinations, product


def table(factors: dict[str, tuple], tries: int = 40) -> list[dict]:
    """Rows that cover every pair, greedily: each row begins with an open pair, and takes what closes most others."""
    names = list(factors)
    open_pairs = {
        ((a, x), (b, y)) for a, b in combinations(names, 2) for x, y in product(range(len(factors[a])), range(len(factors[b])))
    }
    rows = []
    while open_pairs:
        best, closed = None, set()
        for seed in sorted(open_pairs)[:tries]:
            row = dict(seed)
            for name in names:
                if name not in row:
                    row[name] = max(range(len(factors[name])), key=lambda i: len(closes({**row, name: i}, names) & open_pairs))
            found = closes(row, names) & open_pairs
            if len(found) > len(closed):
                best, closed = row, found
        open_pairs -= closed
        rows.append({name: factors[name][best[name]] for name in names})
    return rows


def closes(row: dict, names: list[str]) -> set:
    here = [(name, row[name]) for name in names if name in row]
    return set(combinations(here, 2))
