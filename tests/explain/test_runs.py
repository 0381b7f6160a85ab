"""rnn-from-scratch explain RUN_DIR: pages of training runs, whose head says what the Keras model says."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from rnn_from_scratch import cli
from rnn_from_scratch.explain import pages
from rnn_from_scratch.explain.arrays import array_of
from rnn_from_scratch.explain.runs import document_of
from rnn_from_scratch.tasks import training

from ..conftest import ROOT
from ..helpers.browser import Tab, chromium
from ..helpers.digit_runs import KERAS_SAVES, write_digits

pytestmark = [pytest.mark.filterwarnings(KERAS_SAVES), pytest.mark.check]
TABLE = "Load\n" + "".join(f"{3 + n % 4}.5\n" for n in range(600))
SMALL = {"epochs": 1, "batch_size": 10}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A small run of every kind of task."""
    home = tmp_path_factory.mktemp("runs")
    write_digits(home / "digits", 60, 20)
    (home / "table.csv").write_text(TABLE, encoding="utf-8")
    (home / "text.txt").write_text("abc <cab> </script>bca\n" * 100, encoding="utf-8")
    digits = {"data": str(home / "digits"), **SMALL}
    training.train("mnist-rnn", home / "mnist-rnn", units=4, **digits)
    training.train("mnist-deep-rnn", home / "mnist-deep-rnn", units=3, **digits)
    training.train("mnist-lstm-proj", home / "mnist-lstm-proj", units=3, layers=2, projection=5, **digits)
    training.train("load", home / "load", data=str(home / "table.csv"), cell="gru", epochs=1, period=4, horizon=4)
    training.train("char", home / "char", data=str(home / "text.txt"), cell="coupled_lstm", epochs=1, units=4, batch_size=4, bptt=9)
    training.train("series", home / "series", cell="peephole_lstm", epochs=1, units=4, batch_size=2)
    return home


KINDS = {"mnist-rnn": "rows", "mnist-deep-rnn": "rows", "mnist-lstm-proj": "rows", "load": "series", "char": "text", "series": "series"}


def said_by_keras(run_dir, doc):
    """The outputs of the run's own model on the document's input."""
    _, model = training.load_model(run_dir, *("char", "mnist", "series", "load"))
    if doc["kind"] == "text":
        states = [np.zeros((1, state.shape[-1]), "float32") for state in model.inputs[1:]]
        out = np.asarray(model([np.array([doc["input"]["codes"]]), *states])[0])[0]
    else:
        out = np.atleast_2d(np.asarray(model(array_of(doc["input"]["x"])[None]))[0])
    out = out.astype("float64")
    return out if doc["kind"] == "series" else out - np.log(np.exp(out).sum(axis=1, keepdims=True))


@pytest.mark.parametrize("name", KINDS)
def test_the_document_says_what_the_model_says(runs, name):
    doc = document_of(runs / name)
    assert doc["kind"] == KINDS[name] and doc["run"]["settings"]["units"] == doc["layers"][0]["units"]
    said = said_by_keras(runs / name, doc)
    if name == "char":
        codes = doc["input"]["codes"]
        ours, said = np.array(doc["check"]["log_p"]), said[np.arange(len(codes) - 1), codes[1:]]
    else:
        ours = array_of(doc["check"]["outputs"])
    assert np.abs(ours - said.reshape(ours.shape)).max() <= 1e-5
    weights = sum(np.prod(a["shape"]) for layer in doc["layers"] for a in layer["params"].values())
    assert len(pages.render(doc)) <= 1.34 * 4 * weights + 100_000 + 7 * len(json.dumps([doc["before"], doc["head"]])) / 8


def test_the_command_runs_by_itself(runs, tmp_path):
    """In a process that has imported nothing before."""
    command = [sys.executable, "-m", "rnn_from_scratch", "explain", str(runs / "char"), "--out", "page.html"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("page.html: "), done.stderr


@pytest.mark.parametrize("name", KINDS)
def test_the_command_writes_a_page_that_proves_itself(runs, name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", str(runs / name)]) == 0
    assert capsys.readouterr().out.startswith(f"{name}.html: ")
    with chromium() as browser:
        for scheme in ("light", "dark"):
            tab = Tab(browser, tmp_path / f"{name}.html", scheme=scheme)
            assert (tab.selftest, tab.errors, len(tab.requests)) == ("ok", [], 1)
            assert tab.violations() == []


def test_what_is_read_can_be_chosen(runs):
    assert document_of(runs / "char", text="</script>")["input"]["codes"][0] == document_of(runs / "char", text="<a")["input"]["codes"][0]
    assert document_of(runs / "mnist-rnn", digit=3)["input"] != document_of(runs / "mnist-rnn")["input"]
    for name in ("series", "load"):
        assert document_of(runs / name, start=2)["input"] != document_of(runs / name)["input"]
    load = document_of(runs / "load", start=2)
    values = array_of(load["input"]["x"])[:, 0] * load["scale"]["divide"] + load["scale"]["mean"]
    assert np.allclose(values, [5.5, 6.5, 3.5, 4.5, 5.5])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("char --text aZ", "--text: character 2 is 'Z', which the text of the training never had"),
        ("char --text a", "--text: expected at least 2 characters, got 1"),
        ("char --digit 1", "--digit: a run of char has --text instead; leave it out"),
        ("mnist-rnn --digit 20", "--digit: expected 0 to 19, the test digits of "),
        ("series --start 281", "--start: expected 0 to 280, since the span has 300 rows and a window 20, got 281"),
        ("load --start 600", "--start: expected 0 to 595, since "),
        ("char --units 3", "--units: a run has its own model; leave it out"),
    ],
)
def test_wrong_use_is_one_line(runs, line, said, capsys):
    name, *more = line.split()
    assert cli.main(["explain", str(runs / name), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1


def test_a_text_that_has_changed_is_not_taken_for_the_runs_own(runs, capsys):
    (runs / "text.txt").write_text("abc\n" * 900, encoding="utf-8")
    assert cli.main(["explain", str(runs / "char")]) == 2
    assert "not the text that" in capsys.readouterr().err
