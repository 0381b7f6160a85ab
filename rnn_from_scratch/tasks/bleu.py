"""BLEU (Papineni et al. 2002) and chrF (Popovic 2015) as sacrebleu computes them by default, without dependency.

BLEU is of words: the 13a tokens, cased, exponential smoothing. chrF is of characters: up to six in a row, recall counts twice.
"""

from __future__ import annotations

import math
import re
from collections import Counter

N, CHARACTERS, BETA = 4, 6, 2  # the longest n-gram of words, of characters; how much more recall counts than precision
ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
RULES = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),  # punctuation, but for . , - and the apostrophe
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def words(text: str) -> list[str]:
    """mteval-13a's tokens."""
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in ENTITIES.items():
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, made in RULES:
        text = pattern.sub(made, text)
    return text.split()


def bleu(outputs: list[str], references: list[str]) -> float:
    """From 0 to 100, of all sentences together; one reference each."""
    right, total, ours, theirs = [0] * N, [0] * N, 0, 0
    for output, reference in zip(outputs, references):
        a, b = words(output), words(reference)
        ours, theirs = ours + len(a), theirs + len(b)
        for n in range(1, N + 1):
            grams = Counter(zip(*(a[k:] for k in range(n))))
            wanted = Counter(zip(*(b[k:] for k in range(n))))
            right[n - 1] += sum(min(count, wanted[gram]) for gram, count in grams.items())
            total[n - 1] += sum(grams.values())
    if not all(total) or not any(right):
        return 0.0
    smooth, logs = 1.0, 0.0
    for correct, count in zip(right, total):
        if not correct:
            smooth *= 2
        logs += math.log(100 * correct / count if correct else 100 / (smooth * count))
    return math.exp(min(0.0, 1 - theirs / ours) + logs / N)


def chrf(outputs: list[str], references: list[str]) -> float:
    """From 0 to 100, of all sentences together; one reference each. Spaces do not count."""
    right, ours, theirs = ([0] * CHARACTERS for _ in range(3))
    for output, reference in zip(outputs, references):
        a, b = ("".join(text.split()) for text in (output, reference))
        for n in range(CHARACTERS):
            grams, wanted = (Counter(text[k : k + n + 1] for k in range(len(text) - n)) for text in (a, b))
            right[n] += (grams & wanted).total()
            ours[n] += grams.total() if wanted else 0  # a reference without such a run of characters judges none
            theirs[n] += wanted.total()
    there = [n for n in range(CHARACTERS) if ours[n] and theirs[n]]
    if not there or not any(right):
        return 0.0
    precision, recall = (sum(right[n] / total[n] for n in there) / len(there) for total in (ours, theirs))
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def exact(outputs: list[str], references: list[str]) -> float:
    """The share of outputs that are their reference."""
    return sum(a == b for a, b in zip(outputs, references)) / max(len(outputs), 1)
