"""Dates as people write them, and as ISO 8601 has them: pairs to learn translation from, without a file."""

from __future__ import annotations

import datetime
import hashlib

import numpy as np

from .pairs import Pair, Split

FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
TRAINING, VALIDATION, TEST = 20_000, 500, 1_000
SEED = 0  # of the dates: they are the same in every run
MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def load(count: int = TRAINING) -> Split:
    """`count` dates for training and others for validation and test, each in one of eight forms; no date is in two parts."""
    rng = np.random.default_rng(SEED)
    drawn = rng.choice((LAST - FIRST).days + 1, count + VALIDATION + TEST, replace=False)
    pairs: list[Pair] = []
    for day, form in zip(drawn.tolist(), rng.integers(0, 8, len(drawn)).tolist()):
        date = FIRST + datetime.timedelta(days=day)
        pairs.append((written(date, form), date.isoformat()))
    text = "\n".join("\t".join(pair) for pair in pairs)
    parts = pairs[:count], pairs[count : count + VALIDATION], pairs[count + VALIDATION :]
    return Split(*parts, "dates in eight written forms", hashlib.sha256(text.encode("utf-8")).hexdigest())


def written(date: datetime.date, form: int) -> str:
    """The date in one of eight forms."""
    d, y, month = date.day, date.year, MONTHS[date.month - 1]
    nth = f"{d}{'th' if 10 < d < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(d % 10, 'th')}"
    return (
        f"{month} {nth}, {y}",
        f"{d} {month} {y}",
        f"{nth} of {month} {y}",
        f"{month[:3]} {d}, {y}",
        f"{d}.{date.month}.{y}",
        f"{y}/{date.month:02}/{d:02}",
        f"{DAYS[date.weekday()]}, {month} {d}, {y}",
        f"{DAYS[date.weekday()][:3]} {d} {month[:3]} {y}",
    )[form]
