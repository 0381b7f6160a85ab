r"""Tunes in ABC notation: cut a text into tunes, and judge whether a tune is well formed.

A tune is a header of lines "X:...", ends its header with "K:...", and goes on with lines of music. Music is read token by token;
what is no token, and what stands where it cannot stand, is a fault:

    grace     {gef}             chord    [ceg]2          "Am"  a chord's name, or a remark
    note      ^c'3/2            rest     z2              (3    a triplet, before a note
    bars      | || |: :| [1     > <      between two notes, as -, a tie, before a note
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

HEADER = re.compile(
    r"X:\s*\d+\s*$|T:.*\S|M:\s*(C\|?|\d+(\+\d+)*/\d+|none)\s*$|L:\s*\d+/\d+\s*$|Q:.*\d|[ABCDFGHNORSZPWmrUVIs]:"
    r"|K:\s*([A-G][#b]?\s*(m|min|maj|mix|dor|phr|lyd|loc|aeo|ion)?[a-z]*|H[Pp]|none)?(\s.*)?$",
    re.IGNORECASE,
)
LENGTH = r"(\d+/\d+|\d+/+|\d+|/\d+|/+)?"
NOTE = rf"(\^\^|\^|__|_|=)?[A-Ga-g]['`,]*{LENGTH}"
TOKENS = re.compile(
    rf"""(?P<note>{NOTE}|[zxZ]{LENGTH})
    |(?P<chord>\[([(.~H-Wh-w]*({NOTE}|z{LENGTH})[\s)]*)+\]{LENGTH})
    |(?P<grace>\{{/?({NOTE}|[\s()`<>~.H-Wh-w-])*\}})
    |(?P<field>\[[KLMPQVIr]:[^\]]*\])
    |(?P<text>"[^"]*"|![^!|\s]*!|\+[^+|\s]*\+)
    |(?P<bar>\[?:*\|+:*\]?:*([1-9](?=[^\d/])([,-]\d)*)?|\[[1-9]|:+(?=\s)|::+|:?\[\|\]|\|?\[\||:\|?\]|\[\|)
    |(?P<tuplet>\([2-9](:\d?(:\d?)?)?)
    |(?P<broken>[<>]{{1,3}})
    |(?P<tie>-)
    |(?P<decoration>[.~H-Wh-w])
    |(?P<open>\()|(?P<close>\))
    |(?P<space>[ \t`\\y&*]+|!|=(20)?$)""",
    re.VERBOSE,
)
SOUND = ("note", "chord")


def tunes_of(text: str) -> list[str]:
    """The tunes of a text: each begins at a line "X:" and ends before the next one or an empty line."""
    found: list[list[str]] = []
    inside = False
    for line in text.split("\n"):
        if line.startswith("X:"):
            found.append([])
        inside = line.startswith("X:") or (inside and bool(line.strip()))
        if inside:
            found[-1].append(line)
    return ["\n".join(lines) for lines in found]


def fault(tune: str) -> str:
    """What is wrong with a tune, with its line, or "" if nothing is."""
    lines = [line for line in tune.split("\n") if line.strip()]
    key = next((n for n, line in enumerate(lines) if line.startswith("K:")), None)
    if key is None:
        return "no line K: ends the header"
    for n, line in enumerate(lines[: key + 1], 1):
        if not HEADER.match(line):
            return f"line {n}: no header line: {line!r}"
    if not lines[0].startswith("X:"):
        return f"line 1: expected X:, got {lines[0]!r}"
    notes = bars = 0
    for n, line in enumerate(lines[key + 1 :], key + 2):
        if re.match(r"[A-Zmrsw]:", line) and HEADER.match(line):
            continue  # a field between lines of music
        kinds, wrong = tokens(line)
        if wrong:
            return f"line {n}: {wrong}"
        notes, bars = notes + sum(kind in SOUND for kind in kinds), bars + kinds.count("bar")
    if notes < 8 or bars < 2:
        return f"{notes} notes and {bars} bar lines; expected at least 8 and 2"
    return ""


def tokens(line: str) -> tuple[list[str], str]:
    """The kinds of a line's tokens without spaces, and what is wrong with it, or ""."""
    kinds: list[str] = []
    place = 0
    while place < len(line):
        match = TOKENS.match(line, place)
        if match is None:
            return kinds, f"no note, bar or sign at {line[place : place + 8]!r}"
        kind = match.lastgroup or ""
        before = kinds[-1] if kinds else ""
        if kind == "broken" and before not in (*SOUND, "close", "tie"):
            return kinds, f"{match.group()!r} does not follow a note"
        if before == "tuplet" and kind in ("bar", "broken", "close"):
            return kinds, f"{match.group()!r} follows a {before}"
        if kind != "space":
            kinds.append(kind)
        place = match.end()
    if kinds.count("bar") == 0 and len(kinds) > 16:
        return kinds, "no bar line"
    return kinds, ""


def shuffled(tune: str, seed: int) -> str:
    """The tune with the characters of each line in random order."""
    rng = random.Random(seed)
    return "\n".join("".join(rng.sample(line, len(line))) for line in tune.split("\n"))


def shuffled_music(tune: str, seed: int) -> str:
    """The same with the header left as it is: harder to tell."""
    head, mark, body = tune.partition("\nK:")
    key, newline, music = body.partition("\n")
    return head + mark + key + newline + shuffled(music, seed)


def accepted(tunes: Iterable[str]) -> float:
    """The share of tunes without a fault; 0 of none."""
    judged = [not fault(tune) for tune in tunes]
    return sum(judged) / max(1, len(judged))
