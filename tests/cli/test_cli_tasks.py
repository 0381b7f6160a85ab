"""The commands that train and use models, as a user types them."""

import json
import os
import subprocess
import sys

import pytest

from rnn_from_scratch import cli

from ..helpers.digit_runs import KERAS_SAVES

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)


def test_quiet_and_json(tmp_path, capsys):
    args = ["--units", "5", "--epochs", "2", "--batch-size", "2", "--out", str(tmp_path / "run")]
    assert cli.main(["train", "series", "--quiet", *args]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main(["train", "series", "--json", "--overwrite", *args]) == 0
    first, second, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["epoch"], second["epoch"], last["status"]) == (1, 2, "done")
    assert cli.main(["generate", str(tmp_path / "run"), "--length", "4", "--out", str(tmp_path / "new.png")]) == 0
    assert capsys.readouterr().out.startswith("from zeros: 4 new values from ")
    assert (tmp_path / "new.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["generate", str(tmp_path / "run"), "--out", "new.xyz"]) == 2
    assert capsys.readouterr().err.startswith("error: --out new.xyz: expected a name that ends in one of ")
    assert cli.main(["generate", str(tmp_path / "run"), "--length", "4", "--json"]) == 0
    assert {name: len(values) for name, values in json.loads(capsys.readouterr().out).items()} == {"zeros": 24, "a real window": 24}
    assert cli.main(["predict", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'run'}: a run of series; expected a run of mnist or load\n"


def test_generate_writes_text(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a b\n" * 300, encoding="utf-8")
    run, args = str(tmp_path / "run"), ["--units", "4", "--epochs", "1", "--batch-size", "4", "--bptt", "9"]
    assert cli.main(["train", "char", "--quiet", "--data", str(tmp_path / "a.txt"), "--out", run, *args]) == 0
    assert cli.main(["generate", run, "--prime", "b\\na", "--length", "20", "--argmax"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("b\na")
    assert len(text) == 3 + 20 + 1
    assert cli.main(["generate", run, "--prime", "b\\na", "--length", "20", "--argmax", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) + "\n" == text
    assert cli.main(["generate", run, "--length", "20"]) == 0
    assert capsys.readouterr().out.startswith("\n")
    assert cli.main(["generate", run, "--prime", "abc"]) == 2
    assert capsys.readouterr().err == "error: --prime: character 3 is 'c', which the text of the training never had\n"


def test_predict_forecasts_the_load(tmp_path, capsys):
    lines = ["Load", *(str(3 + n % 4) for n in range(400))]
    (tmp_path / "load.csv").write_text("\n".join(lines), encoding="utf-8")
    run, data = str(tmp_path / "run"), ["--data", str(tmp_path / "load.csv")]
    args = ["--epochs", "1", "--period", "4", "--horizon", "8", "--out", run]
    assert cli.main(["train", "load", "--quiet", *data, *args]) == 0
    assert cli.main(["predict", run, *data, "--limit", "3"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"after the last row of {tmp_path / 'load.csv'}"
    assert len(out) == 5
    assert cli.main(["predict", run, *data, "--limit", "3", "--json"]) == 0
    forecast = json.loads(capsys.readouterr().out)["forecast"]
    assert [f"{value:,.4g}" for value in forecast] == [line.split()[1] for line in out[2:]]


@pytest.mark.check
@pytest.mark.parametrize(("text", "first"), [("ACGTTGCA" * 300, "A"), ("a–b c’d " * 300, " ")], ids=["no line break", "no ASCII"])
def test_generate_begins_and_ends_on_any_text_and_terminal(text, first, tmp_path, capsys):
    """Without --prime it begins with what the text has; what a terminal's encoding lacks is escaped."""
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    run, args = str(tmp_path / "run"), ["--units", "4", "--epochs", "1", "--batch-size", "4", "--bptt", "9"]
    assert cli.main(["train", "char", "--quiet", "--data", str(tmp_path / "a.txt"), "--out", run, *args]) == 0
    assert cli.main(["generate", run, "--length", "20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(first) and len(out) == 1 + 20 + 1
    for encoding in ("ascii", "cp1252"):
        command = [sys.executable, "-m", "rnn_from_scratch", "generate", run, "--length", "40", "--temperature", "5"]
        done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, timeout=120)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
        assert (b"\\u2019" in done.stdout) == ("’" in text and encoding == "ascii")
