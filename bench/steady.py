"""Can a number be trusted? How far its samples lie apart, and how long its threads waited while other programs ran.

A number is unsteady if its threads waited for more than WAITED of the time in which they could have run, or if its samples lie
further apart than SPREAD. An unsteady number is marked with ~ in every table, and no verdict rests on it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import comb, isfinite
from pathlib import Path
from statistics import median, quantiles

SPREAD, WAITED = 0.15, 0.1
MARK = "~"
LEGEND = f"{MARK}: unsteady, no verdict: other programs ran, or the samples lie more than {SPREAD:.0%} apart."


def ran_and_waited() -> tuple[float, float]:
    """Seconds in which threads of this process have run, and in which they could have and another program did. Linux alone tells."""
    ran = waited = 0
    for thread in Path("/proc/self/task").glob("*/schedstat"):
        try:
            run, wait, _ = map(int, thread.read_text(encoding="ascii").split())
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            continue
        ran, waited = ran + run, waited + wait
    return ran / 1e9, waited / 1e9


class Watch:
    """Watches this process from here on."""

    def __init__(self) -> None:
        self.start = ran_and_waited()

    def waited(self) -> float:
        """The share of the time since then that its threads waited: half, if another program ran for as long as they did."""
        ran, waited = (max(0.0, now - then) for now, then in zip(ran_and_waited(), self.start))
        return waited / (ran + waited) if waited else 0.0


def load() -> str:
    """'load 2.1 on 2 processors': the programs that wanted to run in the last minute. '' where the system does not tell."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors" if hasattr(os, "getloadavg") else ""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Where the median of such values lies, in 95 of 100 cases: two of the values; with fewer than 6 the least and the greatest."""
    n, out = len(values), 0  # so many are left out at each end
    while sum(comb(n, i) for i in range(out + 2)) <= 0.025 * 2**n:
        out += 1
    return sorted(values)[out], sorted(values)[-1 - out]


def spread_of_ratios(ratios: Sequence[float]) -> float:
    """How far the median of the ratios may be off, as a share of it."""
    (low, high), middle = interval(ratios), median(ratios)
    return max(high / middle, middle / low) - 1


def spread_of_times(times: Sequence[float]) -> float:
    """How far the middle half of the times lies apart, as a share of the median."""
    if len(times) < 2:
        return 0.0
    low, middle, high = quantiles(times, n=4, method="inclusive")
    return (high - low) / middle


def verdict_fields(spread: float, waited: float) -> dict[str, float | bool]:
    """What a row says of itself."""
    steady = spread <= SPREAD and waited <= WAITED  # NaN is not
    return {"spread": spread, "waited": waited, "unsteady": not steady}


def slowed(waited: float) -> float:
    """How many times longer a pass may take whose threads waited for this share of the time.

    Twice as long for half of it, and twice again where the threads wait for each other too.
    """
    return 1 / max(1 - waited, 0.1) ** 2


def marked(text: str, row: dict[str, object]) -> str:
    """'~1.50' for a row that is unsteady. A row of an old file, which says nothing, is taken as it is."""
    return MARK + text if row.get("unsteady") else text


def plus_minus(row: dict[str, float]) -> str:
    """'±3%', or '' for a row of an old file."""
    spread = row.get("spread")
    return "" if spread is None else f"±{spread:.0%}" if isfinite(spread) else "±?"
