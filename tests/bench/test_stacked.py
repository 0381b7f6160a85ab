"""bench.stacked: what it times computes the same, and its table is well-formed."""

import re

import keras
import numpy as np
import pytest

from bench import stacked
from rnn_from_scratch import layers


def test_every_part_has_the_same_first_gradient():
    for names in (["LSTMCell", "GRUCell"], ["SimpleRNNCell"]):
        steps = [
            stacked.train_step(rnn, cells, names, 4)
            for rnn, cells in ((keras.layers.RNN, keras.layers), (keras.layers.RNN, layers), (layers.RNN, layers))
        ]
        theirs, *ours = [step() for step in steps]
        for found in ours:
            assert np.abs(found - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.check
def test_the_table_has_a_row_for_each_size_and_goes_into_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(stacked, "STEPS", 3)
    text = stacked.table(["LSTMCell"], [2, 3], 2)
    rows = text.splitlines()[2:4]
    for row, H in zip(rows, (2, 3), strict=True):
        assert re.fullmatch(rf"\| LSTMCell \| {H} \| [\d.]+ ms \| [\d.]+ ms \([\d.]+\) \| [\d.]+ ms \([\d.]+\) \|", row)
    file = tmp_path / "guide.md"
    file.write_text("<!-- stacked: begin -->\n<!-- stacked: end -->\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["stacked", "--stacks", "LSTMCell", "--units", "2", "--rounds", "2", "--readme", str(file)])
    stacked.main()
    assert "| LSTMCell | 2 |" in file.read_text(encoding="utf-8")


def test_an_unknown_stack_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stacked", "--stacks", "Perceptron"])
    with pytest.raises(SystemExit):
        stacked.main()
    assert "invalid choice: 'Perceptron'" in capsys.readouterr().err
