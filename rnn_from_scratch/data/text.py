"""Text as numbers, one for each character: any file, the embedded Shakespeare, or the folk tunes of an installed music21."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..typing import Array
from . import InputError
from .files import text_pieces

EMBEDDED = Path(__file__).parent / "embedded/shakespeare.txt.xz"
TUNES = ("airdsAirs", "oneills1850", "ryansMammoth")  # folders of music21's corpus: fiddle tunes in ABC notation
BLOCK = 1 << 24  # characters
KEPT = "XTMLK"  # fields of a tune's header that are kept, in this order


class Text(NamedTuple):
    """codes: uint8 or uint32 [N], places in `characters`, which is sorted; source and sha256 of the text."""

    codes: Array
    characters: list[str]
    source: str
    sha256: str


def load(data: str | Path | None = None) -> Text:
    """The text of `data`: None, the embedded Shakespeare; "music21", its tunes; else a file. Raises InputError."""
    if data is None:
        return encode(text_pieces(EMBEDDED), "the embedded plays of Shakespeare (1 MB)")
    if str(data) == "music21":
        return encode(iter(music21_tunes()), "the ABC tunes of music21's corpus")
    return encode(text_pieces(Path(data)), str(data))


def encode(pieces: Iterable[str], source: str) -> Text:
    """Numbers for the characters of a text that comes in pieces: one byte each, up to 256 different ones, four beyond."""
    numbers: dict[str, int] = {}  # in order of appearance
    number_of = np.zeros(sys.maxunicode + 1, np.uint32)  # the same by code point
    dtype: Any = np.dtype(np.uint8)
    content, digest = bytearray(), hashlib.sha256()
    for text in pieces:
        digest.update(text.encode("utf-8"))
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        for point in np.flatnonzero(np.bincount(points)):
            number_of[point] = numbers.setdefault(chr(point), len(numbers))
        if len(numbers) > 256 and dtype.itemsize == 1:
            content, dtype = bytearray(np.frombuffer(content, dtype).astype(np.uint32).tobytes()), np.dtype(np.uint32)
        content += number_of[points].astype(dtype).tobytes()
    characters, codes = sorted(numbers), np.frombuffer(content, dtype)
    rank = {character: n for n, character in enumerate(characters)}
    order = np.array([rank[character] for character in numbers], dtype)
    for start in range(0, len(codes), BLOCK):  # in place: a text of gigabytes is there only once
        codes[start : start + BLOCK] = order[codes[start : start + BLOCK]]
    return Text(codes, characters, source, digest.hexdigest())


def decode(codes: Iterable[int], characters: list[str]) -> str:
    return "".join(characters[code] for code in codes)


def numbers_of(text: str, characters: list[str], what: str) -> Array:
    """The codes of `text`. Raises InputError, which names the first character that is not in the vocabulary."""
    rank = {character: n for n, character in enumerate(characters)}
    for place, character in enumerate(text, 1):
        if character not in rank:
            raise InputError(f"{what}: character {place} is {character!r}, which the text of the training never had")
    return np.array([rank[character] for character in text], np.int32)


def music21_tunes() -> list[str]:
    """The tunes, each with its header's fields KEPT and an empty line after it. Raises InputError unless music21 is installed."""
    found = importlib.util.find_spec("music21")  # looked up, not imported
    if found is None or found.origin is None:
        raise InputError("--data music21: needs music21: pip install music21; or give a file of ABC tunes")
    corpus = Path(found.origin).parent / "corpus"
    files = sorted(itertools.chain.from_iterable((corpus / folder).glob("*.abc") for folder in TUNES))
    if not files:
        raise InputError(f"{corpus}: holds none of {', '.join(TUNES)}; give a file of ABC tunes")
    tunes: list[list[str]] = []
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        for line in (line.split("%")[0].rstrip() for line in text.split("\n")):
            if line.startswith("X:"):
                tunes.append([line])
            elif line and tunes and (line[1:2] != ":" or line[0] in KEPT or line[0] == "|"):
                tunes[-1].append(line)
    return ["\n".join(tune) + "\n\n\n" for tune in tunes]
