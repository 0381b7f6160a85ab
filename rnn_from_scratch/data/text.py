"""Text as numbers, one for each character: any file, the embedded Shakespeare, or the folk tunes of an installed music21."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import InputError
from .files import text_pieces

Array = Any
EMBEDDED = Path(__file__).parent / "embedded/shakespeare.txt.xz"
TUNES = ("airdsAirs", "oneills1850", "ryansMammoth")  # folders of music21's corpus: fiddle tunes in ABC notation
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
    """Numbers for the characters of a text that comes in pieces: one byte each, up to 256 different ones."""
    numbers: dict[str, int] = {}  # in order of appearance
    parts, digest = [], hashlib.sha256()
    for text in pieces:
        digest.update(text.encode("utf-8"))
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        found, places = np.unique(points, return_inverse=True)
        for point in found:
            numbers.setdefault(chr(point), len(numbers))
        codes = np.array([numbers[chr(point)] for point in found], np.uint32)[places]
        parts.append(codes.astype(np.uint8) if len(numbers) <= 256 else codes)
    characters = sorted(numbers)
    rank = {character: n for n, character in enumerate(characters)}
    order = np.array([rank[character] for character in numbers], np.uint8 if len(numbers) <= 256 else np.uint32)
    return Text(np.concatenate([order[part] for part in parts]), characters, source, digest.hexdigest())


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
