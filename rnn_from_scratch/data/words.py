"""A text as numbers, one for each word: the commonest word is 0. Any file, or the embedded Shakespeare."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..typing import Array
from . import InputError
from .files import text_pieces
from .text import EMBEDDED

UNKNOWN = "<unk>"  # stands for all words that the vocabulary leaves out
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
LONGEST_WORD = 100  # characters

# Words that stand in the same places: their vectors should be near each other.
GROUPS: dict[str, str] = {
    "numbers": "two three four five six seven eight nine ten twelve twenty thirty forty fifty hundred thousand",
    "kin": "father mother brother sister son daughter wife husband uncle cousin",
    "months": "january february march april june july august september october november december",
    "days": "monday tuesday wednesday thursday friday saturday sunday",
    "countries": "france germany england spain italy russia china japan mexico canada",
    "colours": "red blue green white black yellow brown grey gray pink",
    "pronouns": "he she they we you i",
    "body": "hand head arm leg eye face heart mouth foot finger",
    "modals": "will would can could may might must shall should",
    "states": "texas california virginia georgia ohio pennsylvania florida kentucky tennessee massachusetts",
    "directions": "north south east west northern southern eastern western",
    "speech": "said says replied cried asked answered exclaimed told",
}


class Words(NamedTuple):
    """codes: int32 [N], places in `words`, of which the commonest is the first; counts [V]; types: different words found."""

    codes: Array
    words: list[str]
    counts: Array
    types: int
    source: str
    sha256: str


def load(data: str | Path | None, vocabulary: int) -> Words:
    """The words of `data`, in lower case: None is the embedded Shakespeare. All but the `vocabulary` commonest become UNKNOWN.

    Raises InputError.
    """
    if data is None:
        return encode(text_pieces(EMBEDDED), "the embedded plays of Shakespeare (1 MB)", vocabulary)
    return encode(text_pieces(Path(data)), str(data), vocabulary)


def encode(pieces: Iterable[str], source: str, vocabulary: int) -> Words:
    """Numbers for the words of a text that comes in pieces. Words as common as each other stand in the order of appearance."""
    numbers: dict[str, int] = {}  # in order of appearance
    digest, parts = hashlib.sha256(), [np.zeros(0, np.int32)]
    for text in whole_words(pieces):
        digest.update(text.encode("utf-8"))
        found = [numbers.setdefault(word[:LONGEST_WORD], len(numbers)) for word in WORD.findall(text.lower())]
        parts.append(np.array(found, np.int32))
    if not numbers:
        raise InputError(f"{source}: holds no word")
    names, codes = list(numbers), np.concatenate(parts)
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    if vocabulary < len(order):
        kept, left_out = order[: max(vocabulary - 1, 1)], order[max(vocabulary - 1, 1) :]
        rest = int(counts[left_out].sum())
        place = int((counts[kept] >= rest).sum())
        rank = np.full(len(names), place, np.int32)  # UNKNOWN has its place by its count, as every word has
        rank[kept] = np.where(np.arange(len(kept)) < place, np.arange(len(kept)), np.arange(len(kept)) + 1)
        words, kept_counts = [names[n] for n in kept], counts[kept].tolist()
        words.insert(place, UNKNOWN)
        kept_counts.insert(place, rest)
    else:
        rank = np.zeros(len(names), np.int32)
        rank[order] = np.arange(len(names))
        words, kept_counts = [names[n] for n in order], counts[order].tolist()
    return Words(rank[codes], words, np.array(kept_counts), len(names), source, digest.hexdigest())


def whole_words(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in pieces that end at a space, so that no word is cut."""
    rest = ""
    for piece in pieces:
        text = rest + piece
        cut = max(text.rfind(" "), text.rfind("\n"), len(text) - (1 << 20) if len(text) > 2 << 20 else -1) + 1
        rest = text[cut:]
        yield text[:cut]
    yield rest
