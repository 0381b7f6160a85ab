"""Which words lie near a word: by the cosine of their vectors. NumPy alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..data import InputError
from ..data.words import GROUPS, UNKNOWN
from ..typing import Array

LONGEST = 40  # characters of a word that a message shows
AMONG = 10_000  # the commonest words, among which neighbours are looked for


def directions(vectors: Array) -> Array:
    """Rows of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


Near = dict[str, list[tuple[str, float]]]  # word -> its neighbours, each with the cosine


def neighbours(vectors: Array, words: list[str], asked: Iterable[str], limit: int, among: int = AMONG) -> Near:
    """For each word asked, the `limit` nearest of the `among` commonest others, with the cosine. Raises InputError for an unknown word."""
    place, unit = {word: n for n, word in enumerate(words)}, directions(vectors)
    found = {}
    for word in asked:
        if word not in place:
            close = get_close_matches(word, words, n=3)
            hint = f"; close to it: {', '.join(close)}" if close else ""
            shown = repr(word if len(word) <= LONGEST else word[:LONGEST] + "…")
            raise InputError(f"--words: {shown} is not in the vocabulary of {len(words):,} words{hint}")
        cosines = unit[:among] @ unit[place[word]]
        best = [n for n in np.argsort(-cosines, kind="stable") if words[n] not in (word, UNKNOWN)][:limit]
        found[word] = [(words[n], float(cosines[n])) for n in best]
    return found


def predict(run_dir: str | Path, asked: str | None, limit: int, among: int = AMONG) -> Near:
    """neighbours() of the words of a run; asked: words with commas between them, in any case. Raises InputError."""
    wanted = [word.strip().lower() for word in (asked or "").split(",")]
    if not all(wanted):
        raise InputError(f"--words: expected words with commas between them, like three,king, got {asked!r}")
    return neighbours(*load(run_dir), wanted, limit, among)


def load(run_dir: str | Path) -> tuple[Array, list[str]]:
    """The vectors [V,D] of a run of word2vec and its words. Raises InputError."""
    vectors_file, words_file = Path(run_dir) / "embeddings.npy", Path(run_dir) / "vocabulary.json"
    try:
        vectors = np.load(vectors_file, allow_pickle=False)
        words = json.loads(words_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{run_dir}: embeddings.npy or vocabulary.json is missing or damaged; a run has both when it is done") from error
    if vectors.ndim != 2 or not isinstance(words, list) or len(words) != len(vectors):
        raise InputError(f"{words_file}: damaged: expected a list of {len(vectors)} words")
    return vectors, words


def judge(vectors: Array, words: list[str]) -> dict[str, float]:
    """What share of words has a nearest neighbour of its own group; for English texts that have the groups.

    number_words    of the numbers in words, among the commonest words
    closed_groups   of all groups, among the words of the groups
    """
    place = {word: n for n, word in enumerate(words)}
    groups = {name: [word for word in members.split() if word in place] for name, members in GROUPS.items()}
    groups = {name: members for name, members in groups.items() if len(members) >= 2}
    results = {}
    if numbers := groups.get("numbers"):
        nearest = neighbours(vectors, words, numbers, 1)
        results["number_words"] = float(np.mean([best[0][0] in numbers for best in nearest.values() if best]))
    if len(groups) >= 2:
        labels = [(word, name) for name, members in groups.items() for word in members]
        unit = directions(vectors[[place[word] for word, _ in labels]])
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -2)
        results["closed_groups"] = float(np.mean([labels[n][1] == labels[m][1] for n, m in enumerate(cosines.argmax(axis=1))]))
    return results
