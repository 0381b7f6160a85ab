"""BLEU: by hand, and as sacrebleu has it where that is installed."""

import numpy as np
import pytest

from rnn_from_scratch.tasks import bleu


def test_bleu_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs sacrebleu to compare with")
    rng = np.random.default_rng(0)
    texts = ["The cat, 3.5 kg (or 7-8 lb), isn't \"here\".", "A <b>&amp; c</b> on the mat: yes!", "one two three four five", "x"]
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
