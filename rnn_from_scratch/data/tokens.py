"""Sentences as numbers: characters, words, or pieces of words by byte pair encoding (Sennrich et al. 2016), and back without loss.

A word carries the space before it, so that joining the tokens gives the sentence again. Token 0 is padding; the others are sorted
by how often they come.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from . import InputError

PAD, UNKNOWN, GO, EOS = range(4)
SPECIAL = ["<pad>", "<unk>", "<go>", "<eos>"]
KINDS = ("bpe", "words", "characters")
CHUNK = re.compile(r" ?[^\W\d_]+| ?\d| ?[^\w\s]+| ?_+|\s")


class Tokens:
    """The vocabulary of both sides: kind is one of KINDS, tokens the texts of the numbers, merges those of BPE in order."""

    def __init__(self, kind: str, tokens: list[str], merges: Iterable[Iterable[str]] = ()):
        self.kind, self.tokens, self.merges = kind, tokens, [tuple(pair) for pair in merges]
        self.number = {token: n for n, token in enumerate(tokens) if n >= len(SPECIAL)}
        self.rank = {pair: n for n, pair in enumerate(self.merges)}
        self.known: dict[str, list[int]] = {}  # chunk -> numbers: most chunks come again

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text; UNKNOWN for what the training text never had."""
        codes: list[int] = []
        for chunk in chunks(text, self.kind):
            if chunk not in self.known:
                self.known[chunk] = [self.number.get(part, UNKNOWN) for part in self.split(chunk)]
            codes += self.known[chunk]
        return codes

    def split(self, chunk: str) -> list[str]:
        parts = [chunk] if self.kind != "bpe" else list(chunk)
        while len(parts) > 1:
            n = min(range(len(parts) - 1), key=lambda n: self.rank.get((parts[n], parts[n + 1]), len(self.rank)))
            if (parts[n], parts[n + 1]) not in self.rank:
                break
            parts = joined(parts, (parts[n], parts[n + 1]))
        return parts

    def decode(self, codes: Iterable[int]) -> str:
        """The text up to the first EOS; padding and GO are nothing, UNKNOWN is shown."""
        text = ""
        for code in codes:
            if code == EOS:
                break
            text += "" if code in (PAD, GO) else self.tokens[code]
        return text

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokens": self.tokens, "merges": [list(pair) for pair in self.merges]}


def from_json(value: Any) -> Tokens:
    """Undoes as_json. Raises KeyError, TypeError or ValueError for anything else."""
    tokens = Tokens(value["kind"], value["tokens"], value["merges"])
    if tokens.kind not in KINDS or tokens.tokens[: len(SPECIAL)] != SPECIAL or any(len(pair) != 2 for pair in tokens.merges):
        raise ValueError("not a vocabulary")
    return tokens


def chunks(text: str, kind: str) -> list[str]:
    return list(text) if kind == "characters" else CHUNK.findall(text)


def learn(texts: Iterable[str], kind: str, vocabulary: int) -> Tokens:
    """The tokens of the texts, at most `vocabulary` with the four special ones. Raises InputError if that is too few for BPE."""
    counts = Counter(chunk for text in texts for chunk in chunks(text, kind))
    merges: list[tuple[str, str]] = []
    if kind == "bpe":
        letters = {letter for chunk in counts for letter in chunk}
        if len(letters) + len(SPECIAL) > vocabulary:
            least = len(letters) + len(SPECIAL)
            raise InputError(f"--vocabulary: expected at least {least:,}, one token for each character, got {vocabulary:,}")
        merges, counts = learn_merges(counts, vocabulary - len(letters) - len(SPECIAL))
    kept = [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return Tokens(kind, [*SPECIAL, *kept[: vocabulary - len(SPECIAL)]], merges)


def learn_merges(counts: Counter[str], most: int) -> tuple[list[tuple[str, str]], Counter[str]]:
    """The pairs to join, the commonest first, `most` of them; and how often each token comes then, 0 for what is always joined."""
    words = [(list(chunk), n) for chunk, n in counts.items()]
    pairs: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], set[int]] = {}  # pair -> words that may have it
    for place, (parts, n) in enumerate(words):
        for pair in itertools.pairwise(parts):
            pairs[pair] += n
            places.setdefault(pair, set()).add(place)
    heap = [(-n, pair) for pair, n in pairs.items()]
    heapq.heapify(heap)
    merges: list[tuple[str, str]] = []
    while len(merges) < most and heap:
        negative, best = heapq.heappop(heap)
        now = pairs[best]
        if now != -negative:
            if 0 < now < -negative:  # it became rarer since it was put here
                heapq.heappush(heap, (-now, best))
            continue
        if now < 2:
            break
        merges.append(best)
        made, new = best[0] + best[1], set()
        for place in places.pop(best, ()):
            parts, n = words[place]
            for pair in itertools.pairwise(parts):
                pairs[pair] -= n
            parts = joined(parts, best)
            words[place] = parts, n
            for pair in itertools.pairwise(parts):
                pairs[pair] += n
                if made in pair:
                    places.setdefault(pair, set()).add(place)
                    new.add(pair)
        for pair in new:
            heapq.heappush(heap, (-pairs[pair], pair))
    found = Counter({letter: 0 for chunk in counts for letter in chunk})
    found.update({one + other: 0 for one, other in merges})
    for parts, n in words:
        for part in parts:
            found[part] += n
    return merges, found


def joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """`parts` with every such pair made one."""
    made, n = [], 0
    while n < len(parts):
        both = n + 1 < len(parts) and (parts[n], parts[n + 1]) == pair
        made.append(parts[n] + parts[n + 1] if both else parts[n])
        n += 2 if both else 1
    return made
