"""Pairs of sentences: a file with a tab in every line, or two files with as many lines; parted so that no test sentence is trained on."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import InputError
from .files import text_lines

Pair = tuple[str, str]
VALIDATION, TEST = 0.012, 0.026  # shares
LEAST = 100  # pairs
FAR = 0.5  # a test source is far if it shares less than this of its pairs of words with every training source


class Split(NamedTuple):
    """The pairs by what they are for; source tells where they are from."""

    training: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    source: str
    sha256: str


def load(data: str) -> Split:
    """The pairs of `data`: a file of two columns, or SOURCE,TARGET, two files of Moses' form; also .gz. Raises InputError."""
    pairs = read_two(*data.split(",")) if data.count(",") == 1 and not Path(data).exists() else read_columns(Path(data))
    if len(pairs) < LEAST:
        raise InputError(f"{data}: expected at least {LEAST} pairs, got {len(pairs)}")
    split = divide(pairs, data)
    for part in ("validation", "test"):
        if not getattr(split, part):
            raise InputError(f"{data}: too few pairs: of {len(pairs)} none is left for {part}; a few hundred more are needed")
    return split


def read_columns(path: Path) -> list[Pair]:
    """Raises InputError, with the line."""
    pairs = []
    for n, line in enumerate(text_lines(path), 1):
        columns = line.split("\t")
        if len(columns) != 2:
            kind = "column" if len(columns) == 1 else "columns"
            raise InputError(f"{path}, line {n}: expected two columns with a tab between them, got {len(columns)} {kind}")
        pairs.append(filled(columns[0], columns[1], f"{path}, line {n}"))
    return pairs


def read_two(source: str, target: str) -> list[Pair]:
    """Raises InputError if one has more lines, or an empty one."""
    sides = [list(text_lines(Path(path))) for path in (source, target)]
    if len(sides[0]) != len(sides[1]):
        counts = " and ".join(f"{path} has {len(side):,}" for path, side in zip((source, target), sides))
        raise InputError(f"--data: expected two files with as many lines, but {counts}")
    return [filled(one, other, f"{source} and {target}, line {n}") for n, (one, other) in enumerate(zip(*sides), 1)]


def filled(source: str, target: str, where: str) -> Pair:
    source, target = source.strip(), target.strip()
    if not source or not target:
        raise InputError(f"{where}: the {'second' if source else 'first'} side is empty")
    return source, target


def plain(text: str) -> str:
    """What makes two sentences the same one: the letters, in lower case; every digit is 0."""
    return " ".join(re.sub(r"[\W_]+", " ", re.sub(r"\d", "0", text.lower())).split())


def divide(pairs: Iterable[Pair], source: str) -> Split:
    """By a hash of the plain source: sentences that differ in case, numbers or punctuation alone are all on one side."""
    parts: tuple[list[Pair], list[Pair], list[Pair]] = ([], [], [])
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update("\t".join(pair).encode("utf-8") + b"\n")
        place = int.from_bytes(hashlib.sha256(plain(pair[0]).encode("utf-8")).digest()[:8], "big") / 2**64
        parts[1 if place < VALIDATION else 2 if place < VALIDATION + TEST else 0].append(pair)
    return Split(*parts, source, digest.hexdigest())


def bigrams(text: str) -> set[tuple[str, str]]:
    words = ["", *plain(text).split(), ""]
    return set(itertools.pairwise(words))


class Nearest:
    """The training source that shares most with a sentence: Jaccard index of their pairs of words."""

    def __init__(self, training: list[Pair]):
        self.training = training
        found = [bigrams(source) for source, _ in training]
        self.sizes = np.array([len(each) for each in found])
        places: dict[tuple[str, str], list[int]] = {}
        for n, each in enumerate(found):
            for bigram in each:
                places.setdefault(bigram, []).append(n)
        self.places = {bigram: np.array(ns, np.int32) for bigram, ns in places.items()}
        self.targets = {plain(target) for _, target in training}

    def find(self, source: str) -> tuple[int, float]:
        """The number of the nearest training pair, and how near it is, from 0 to 1."""
        wanted = bigrams(source)
        hits = [self.places[bigram] for bigram in wanted if bigram in self.places]
        if not hits:
            return 0, 0.0
        common = np.bincount(np.concatenate(hits), minlength=len(self.sizes))
        index = common / (self.sizes + len(wanted) - common)
        best = int(index.argmax())
        return best, float(index[best])

    def translation(self, source: str) -> str:
        """The translation of the nearest training source: what a memory without a model would say."""
        return self.training[self.find(source)[0]][1]

    def far(self, pair: Pair) -> bool:
        return self.find(pair[0])[1] < FAR and plain(pair[1]) not in self.targets
