"""bench.words: the loop that word2vec is held against computes the same."""

import numpy as np
import pytest

from bench import words
from rnn_from_scratch.tasks import PRESETS, word2vec
from rnn_from_scratch.tasks.lazy_adam import LazyAdam
from rnn_from_scratch.tasks.negatives import Negatives


def test_both_loops_compute_the_same():
    settings = {**PRESETS["word2vec"][1], "vocabulary": 60, "embedding": 8, "negatives": 9, "batch_size": 20, "batches": 50}
    V, model = 60, word2vec.Model(settings, 60)
    optimizer, plain = LazyAdam(settings["learning_rate"], model.tables), words.bare_loop(settings, V)
    codes = np.random.default_rng(0).integers(0, V, 3000).astype(np.int32)
    for batch in word2vec.batches(codes, Negatives(V, 9, "--negatives"), settings, 1):
        loss, _ = word2vec.step(model.tables, optimizer, *batch)
        assert float(loss) == pytest.approx(plain(*batch), rel=1e-4)


def test_the_tables(monkeypatch, capsys):
    monkeypatch.setattr(words, "words", lambda rounds: iter([(128, 200_000.0, 300_000.0)]))
    monkeypatch.setattr(words, "translate", lambda rounds: iter([("a", 10.0, 15.0)]))
    monkeypatch.setattr("sys.argv", ["words"])
    words.main()
    lines = capsys.readouterr().out.splitlines()
    assert "| 128 | 200,000 | 300,000 | 1.50 |" in lines and "| a | 10.0 ms | 15.0 ms | 1.50 |" in lines
