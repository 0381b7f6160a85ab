"""BLEU: by hand, and as sacrebleu has it where that is installed."""

import numpy as np
import pytest

from rnn_from_scratch.tasks import bleu


def test_bleu_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs sacrebleu to compare with")
    rng = np.random.default_rng(0)
    texts = ['The cat, 3.5 kg (or 7-8 lb), isn\'t "here".', "A <b>&amp; c</b> on the mat: yes!", "one two three four five", "x"]
    for _ in range(100):
        references = [texts[n] for n in rng.integers(0, 4, 3)]
        outputs = [" ".join(rng.permutation(text.split())[: rng.integers(1, 9)]) for text in references]
        assert bleu.bleu(outputs, references) == pytest.approx(sacrebleu.corpus_bleu(outputs, [references]).score, abs=1e-9)


def test_bleu_by_hand():
    assert bleu.bleu(["the cat sat on the mat"], ["the cat sat on the mat"]) == pytest.approx(100)
    assert bleu.bleu(["a b c d"], ["a b c d e f g h"]) == pytest.approx(100 * np.exp(-1))
    assert bleu.bleu(["a b c d e"], ["a b c d f"]) == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)
    assert bleu.bleu([""], ["a b"]) == bleu.bleu(["x y z w"], ["a b c d"]) == 0
    assert bleu.words("It's 3.5, isn't it? (No)") == ["It's", "3.5", ",", "isn't", "it", "?", "(", "No", ")"]
    assert bleu.exact(["a", "b"], ["a", "c"]) == 0.5


def test_chrf_by_hand():
    assert bleu.chrf(["the cat"], ["the cat"]) == pytest.approx(100)
    assert bleu.chrf(["", "xyz"], ["a", "b"]) == 0
    # one letter of two right, no pair: precision and recall are the means over the two orders
    assert bleu.chrf(["ab"], ["ac"]) == pytest.approx(100 * 0.25)
    # precision (1/2 + 0) / 2, recall (1/3 + 0) / 2; longer grams are not on both sides
    p, r = 0.25, 1 / 6
    assert bleu.chrf(["a b"], ["a cd"]) == pytest.approx(100 * 5 * p * r / (4 * p + r))


def test_chrf_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs sacrebleu to compare with")
    outputs, references = ["the cat sat", "a b  c", "", "héllo"], ["the cat sits", "a c", "x", "hello!"]
    assert bleu.chrf(outputs, references) == pytest.approx(sacrebleu.corpus_chrf(outputs, [references]).score, abs=1e-9)
