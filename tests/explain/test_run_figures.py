"""The figures that a run of one kind alone has; attention is drawn in test_translation_pages.py."""

import numpy as np
import pytest

from rnn_from_scratch import cli
from rnn_from_scratch.tasks import FAST, PRESETS, rundir

from .test_plot import table


def test_the_plane_of_words(tmp_path, capsys):
    words = [*["two", "three", "father", "mother", "red", "blue", "he", "she", "will", "would", "may", "said", "told"], "<unk>"]
    rundir.write_json(tmp_path / "run.json", {"program": "rnn_from_scratch", "task": "word2vec", "settings": {}, "versions": {}})
    rundir.write_json(tmp_path / "vocabulary.json", words)
    np.save(tmp_path / "embeddings.npy", np.random.default_rng(0).standard_normal((len(words), 6)).astype("float32"))
    for n in range(2):
        args = ["--out", str(tmp_path / f"{n}.svg"), "--csv", str(tmp_path / f"{n}.csv")]
        assert cli.main(["plot", "embedding", str(tmp_path), *args]) == 0
    rows = table(tmp_path / "0.csv")
    assert rows[0] == ["word", "group", "x", "y"] and [row[0] for row in rows[1:]] == words[:-1] and rows[1][1] == "numbers"
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "1.csv").read_bytes()
    assert "father" in (tmp_path / "0.svg").read_text(encoding="utf-8")


@pytest.mark.check
def test_sharpness_along_a_run_on_digits(tmp_path, capsys, folder, monkeypatch):
    """The run is trained once more, from its own settings: the first row is the loss at its start."""
    from rnn_from_scratch.tasks import sharpness

    monkeypatch.setattr(sharpness, "ITERATIONS", 1)
    digits = {"data": str(folder)}
    settings = {**PRESETS["mnist-rnn"][1], **FAST["mnist-rnn"], **digits, "epochs": 1, "units": 4, "batch_size": 50}
    rundir.write_json(tmp_path / "run.json", {"program": "rnn_from_scratch", "task": "mnist-rnn", "settings": settings, "versions": {}})
    args = ["--out", str(tmp_path / "a.svg"), "--csv", str(tmp_path / "a.csv")]
    assert cli.main(["plot", "sharpness", str(tmp_path), *args]) == 0
    head, first, *more = table(tmp_path / "a.csv")
    assert head == ["step", "loss", "sharpness"] and first[0] == "0" and 2 < float(first[1]) < 3 and len(more) >= 3
    assert "training step" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    rundir.write_json(tmp_path / "run.json", {"program": "rnn_from_scratch", "task": "series", "settings": {}, "versions": {}})
    capsys.readouterr()
    assert cli.main(["plot", "sharpness", str(tmp_path)]) == 2
    assert "is a run of series; expected a run on digits" in capsys.readouterr().err
    assert cli.main(["plot", "sharpness", str(tmp_path), "--seed", "1"]) == 2
    assert "sharpness draws nothing at random" in capsys.readouterr().err
