"""Numbers as people and programs write them: 1301.5, 1,301.5 or 1.301,5. A whole column decides which."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from . import InputError

MISSING = frozenset(("", "?", "-", "--", ".", "na", "n/a", "nan", "null", "none", "#n/a"))  # in lower case
MARKS = {".": "point", ",": "comma"}
SPACES = " '\u00a0\u202f\u2019"  # beside the other mark, what may stand between thousands


def pattern(decimal: str) -> re.Pattern[str]:
    """A number in which `decimal` stands before the fraction, and the other mark, spaces or apostrophes between thousands."""
    other = {".": ",", ",": "."}[decimal]
    grouped = rf"[1-9]\d{{0,2}}(?P<mark>[{other}{SPACES}])\d{{3}}((?P=mark)\d{{3}})*([{decimal}]\d*)?"
    plain = rf"(\d+([{decimal}]\d*)?|[{decimal}]\d+)(e[+-]?\d+)?"
    return re.compile(rf"[+-]?({grouped}|{plain})", re.ASCII | re.IGNORECASE)


PATTERNS = {decimal: pattern(decimal) for decimal in MARKS}


class Numbers(NamedTuple):
    """values: float64 [N], NaN where the text says that there is none; notes: how it was read, for people."""

    values: Array
    notes: list[str]


def value(text: str, decimal: str) -> float:
    """The number that PATTERNS[decimal] has matched."""
    return float("".join("." if c == decimal else "" if c in f",.{SPACES}" else c for c in text))


def read_numbers(texts: list[str], where: Any, decimal: str, point: bool) -> Numbers:
    """The numbers of a column; where(n) names the place of text n in messages.

    decimal: "." or ",", or "" to find it. point: may "1.250" alone be read as 1.25, and told? Raises InputError for what is
    no number, and where both marks fit and give other numbers.
    """
    first = {text: n for n, text in reversed(list(enumerate(texts)))}  # each text once, with the first place that it stands in
    there = sorted((text for text in first if text.lower() not in MISSING), key=first.__getitem__)
    misfits = {mark: [text for text in there if not fits(text, mark)] for mark in ([decimal] if decimal else MARKS)}
    mark = min(misfits, key=lambda mark: len(misfits[mark]))
    for text in misfits[mark][:1]:
        kind = f"a number with a decimal {MARKS[mark]}" if any(fits(text, m) for m in MARKS) else "a number"
        raise InputError(f"{where(first[text])}: expected {kind}, got {text!r}; correct it, or leave it empty for a gap")
    value_of = {text: value(text, mark) for text in there}
    for text in there:
        if not math.isfinite(value_of[text]):
            raise InputError(f"{where(first[text])}: expected a number that float64 can hold, got {text!r}")
    notes = []
    if not decimal:
        differ = [] if any(misfits.values()) else [text for text in there if value(text, ".") != value(text, ",")]
        refuse_two_readings(differ, first, where, point)
        refuse_two_styles(there, first, where, mark)
        notes = told(there, mark)
        notes += [f"reads {text} as {value_of[text]:.15g}; --decimal , if it is {value(text, ','):.15g}" for text in differ[:1]]
    return Numbers(np.array([value_of.get(text, np.nan) for text in texts]), notes)


def refuse_two_readings(differ: list[str], first: dict[str, int], where: Any, point: bool) -> None:
    """Raise InputError for texts that the two marks read differently, unless they have points alone, and a point begins a fraction."""
    if differ and (not point or any("," in text for text in differ)):
        text, (one, other) = differ[0], (f"{value(differ[0], mark):.15g}" for mark in MARKS)
        raise InputError(
            f"{where(first[text])}: {text!r} can be {one} or {other}, and no other row decides; say with --decimal . or --decimal , "
            "which mark stands before a fraction"
        )


def refuse_two_styles(texts: list[str], first: dict[str, int], where: Any, mark: str) -> None:
    """Raise InputError if some numbers have a mark between thousands and others another or none: one of them may be a fraction."""
    matches = {text: PATTERNS[mark].fullmatch(text) for text in texts}
    styles: dict[str, str] = {}  # the mark between thousands, "" for none, and an example
    for text, match in matches.items():
        if match and (match["mark"] or re.match(r"[+-]?\d{4}", text)):
            styles.setdefault(match["mark"] or "", text)
    if len(styles) > 1:
        one, other = list(styles.values())[:2]
        raise InputError(
            f"{where(first[other])}: {other!r} and {one!r} (in another line) mark thousands in two ways; write all alike, or say with "
            "--decimal . or --decimal , which mark stands before a fraction"
        )


def fits(text: str, decimal: str) -> bool:
    return PATTERNS[decimal].fullmatch(text) is not None


def told(texts: list[str], mark: str) -> list[str]:
    """What is not plain about the numbers, each with its first example."""
    kinds: dict[str, str] = {}
    for text in texts:
        match = PATTERNS[mark].fullmatch(text)
        if match and match["mark"]:
            kinds.setdefault("thousands separators", text)
        if mark == "," and "," in text:
            kinds.setdefault("decimal comma; --decimal . if not", text)
    return [f"reads {text} as {value(text, mark):.15g}: {kind}" for kind, text in kinds.items()]
