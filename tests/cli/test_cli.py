"""The command line: exit codes, one line for every mistake of the user, a traceback for ours, and files only when asked."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from rnn_from_scratch import __version__, cells, cli, doctor
from rnn_from_scratch.measure import Row
from rnn_from_scratch.tasks import PRESETS, commands
from rnn_from_scratch.verify import books, suite

from ..helpers.digit_runs import KERAS_SAVES, write_digits

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)

PASS = Row("gradcheck", "LSTM", "plain", "float64", 1e-15, 1e-12, "dWx")
FAIL = Row("tf.keras", "GRU [reset after]", "any mask", "float64", 0.25, 1e-12, "dWh: gate r\nunit 3")
LOST = Row("tf.keras", "GRU [reset after]", "lengths", "float32", float("inf"), 1e-6, "y: another shape")
SKIP = Row("torch.nn", "LSTM", "plain", "float64", None, None, "needs torch: pip install torch")


@pytest.fixture
def rows(monkeypatch):
    """Sets the rows that `verify` gets, and notes what it asked for."""
    asked = []

    def set_rows(*given):
        monkeypatch.setattr(suite, "rows", lambda cell, backend: asked.append((cell, backend)) or iter(given))
        return asked

    return set_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("cli") / "digits", 60, 20)


def python(*args, **options):
    return subprocess.Popen([sys.executable, *args], **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options})


MISTAKES = {
    "command": (["juggle"], "No such command 'juggle'"),
    "near command": (["trian"], "No such command 'trian'. Did you mean 'train'?"),
    "near option": (["train", "mnist", "--batchsize", "9"], "--batch-size"),
    "near task": (["train", "mnsit"], "got 'mnsit'; did you mean mnist?"),
    "near preset": (["train", "deep_series"], "got 'deep_series'; did you mean deep-series?"),
    "near cell": (["verify", "--cell", "lsmt"], "got 'lsmt'; did you mean lstm?"),
    "near train cell": (["train", "mnist", "--cell", "peepholelstn"], "got 'peepholelstn'; did you mean peephole_lstm?"),
    "near choice": (["train", "mnist", "--optimizer", "addam"], "got addam; did you mean adam?"),
    "option": (["doctor", "--wings"], "No such option"),
    "cell": (["verify", "--cell", "x"], f"--cell: expected one of {', '.join(cells.CELLS)}, got 'x'"),
    "backend": (["books", "--backend", "abacus"], "--backend: expected auto or one of "),
    "json": (["verify", "--json", "no/such/folder.json"], "--json no/such/folder.json: no such folder: no/such"),
    "no task": (["train"], "Missing argument"),
    "task": (["train", "weather"], "task: expected mnist, mnist-rnn, mnist-deep-rnn"),
    "number": (["train", "mnist", "--units", "many"], "Invalid value for '--units'"),
    "range": (["train", "mnist", "--units", "0"], "--units: expected a whole number of at least 1, got 0"),
    "train cell": (["train", "mnist", "--cell", "x"], "--cell: expected one of simple_rnn"),
    "data": (["train", "mnist", "--data", "nowhere"], "--data nowhere: no such folder; expected one with train-images-idx3-ubyte"),
    "resume": (["train", "mnist", "--out", "nowhere", "--resume"], "nowhere: no such run directory"),
    "predict": (["predict", "nowhere"], "nowhere: no such run directory"),
    "generate": (["generate", "nowhere"], "nowhere: no such run directory"),
    "setting of another task": (["train", "series", "--bptt", "9"], "--bptt: series has no such setting; it has --cell, --layers"),
    "text": (["train", "char", "--data", "nowhere.txt"], "nowhere.txt: cannot be read: No such file or directory"),
    "client": (["train", "load", "--client", "MT_001"], "--client MT_001: the embedded data has one house alone"),
    "limit": (["predict", "nowhere", "--limit", "0"], "Invalid value for '--limit'"),
}


@pytest.mark.parametrize(("args", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_with_one_line_and_2(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_bug_keeps_its_traceback(monkeypatch):
    def bug(*_):
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(suite, "rows", bug)
    with pytest.raises(ValueError, match="broadcast"):
        cli.main(["verify"])


@pytest.mark.parametrize("args", [["train", "mnist"], ["predict", "run"]])
def test_a_missing_extra_is_named(args, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("tensorflow", "matplotlib") else find(name))
    assert cli.main(args) == 2
    assert capsys.readouterr().err == 'error: needs tensorflow, matplotlib: pip install "rnn_from_scratch[tensorflow]"\n'


def test_doctor_version_and_help_load_nothing_heavy():
    code = "import sys; from rnn_from_scratch import cli; code = [cli.main([a]) for a in ('doctor', '--version', '--help')]; "
    code += "print(code, sorted({'tensorflow', 'keras', 'torch', 'matplotlib'} & set(sys.modules)))"
    out, err = python("-c", code).communicate(timeout=60)
    assert err == ""
    assert out.splitlines()[-1] == "[0, 0, 0] []"
    assert __version__ in out.splitlines()
    for word in ("numpy", np.__version__, "tensorflow", "cupy", "onnx", "reference", "CPUs"):
        assert word in out
    for command in ("doctor", "verify", "books", "train", "predict"):
        assert command in out


def test_doctor_says_what_to_install(monkeypatch, capsys):
    lacks = ("tensorflow", "keras", "torch")
    monkeypatch.setattr(doctor, "installed", lambda names: (names[0], "" if names[0] in lacks else "1.0"))
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'to get tensorflow, keras: pip install "rnn_from_scratch[tensorflow]"' in lines
    assert 'to get torch: pip install "rnn_from_scratch[torch]"' in lines


def test_the_module_runs_as_a_program():
    out, err = python("-m", "rnn_from_scratch", "--version").communicate(timeout=60)
    assert (out, err) == (f"{__version__}\n", "")


def test_help_shows_the_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for name in commands.known_settings():
        assert "--" + name.replace("_", "-") in text
    for value in ("3", "auto", "none", "by task, see presets", "runs/TASK"):
        assert f"[default: {value}]" in text


def test_presets_shows_every_setting(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    assert cli.main(["presets"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(PRESETS) < set(lines)
    assert "--cell lstm --layers 1 --units 5 " in lines["load"]
    assert "--learning-rate 1e-05" in lines["deep-series"]


def test_verify_passes(rows, capsys):
    asked = rows(PASS, PASS, SKIP)
    assert cli.main(["verify", "--cell", "LSTM"]) == 0
    assert asked == [("LSTM", "reference")]
    out = capsys.readouterr().out
    assert "reference: 2 passed, 0 failed, 1 skipped" in out
    assert "skipped 1 x torch.nn: needs torch: pip install torch" in out
    assert "1e-15 / 1e-12" in out


def test_verify_says_what_is_not_covered(rows, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for cell, line in (("peephole_lstm", "oracle tf.keras PeepholeLSTM"), ("gru", "weights of tf1 GRU reset after")):
        rows(PASS)
        assert cli.main(["verify", "--cell", cell]) == 0
        told = capsys.readouterr().out.split("not covered by")[1]
        assert line in [" ".join(words.split()) for words in told.splitlines()]
        assert "weights of onnx" not in told


@pytest.mark.parametrize("given", [[PASS, FAIL], [PASS, LOST], [SKIP], []], ids=["fail", "inf", "all skipped", "none"])
def test_verify_fails(rows, given, capsys):
    rows(*given)
    assert cli.main(["verify"]) == 1
    if FAIL in given:
        out = capsys.readouterr().out
        assert "failed tf.keras, GRU [reset after], any mask, float64: error 2.5e-01, allowed 1.0e-12\ndWh: gate r\nunit 3\n" in out
        assert "1 passed, 1 failed, 0 skipped" in out


def test_strict_verify_fails_on_skipped_rows(rows):
    rows(PASS, SKIP)
    assert cli.main(["verify", "--strict"]) == 1
    rows(PASS)
    assert cli.main(["verify", "--strict"]) == 0


def test_verify_writes_every_row_as_json(rows, tmp_path):
    rows(PASS, FAIL, LOST, SKIP)
    assert cli.main(["verify", "--json", str(tmp_path / "rows.json")]) == 1
    report = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert (report["pass"], report["fail"], report["skipped"], report["version"]) == (1, 2, 1, __version__)
    assert [row["status"] for row in report["rows"]] == ["pass", "fail", "fail", "skipped"]
    assert [row["error"] for row in report["rows"]] == [1e-15, 0.25, "inf", None]
    assert report["rows"][1]["text"] == FAIL.text
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]


def test_books_prints_and_judges(capsys, monkeypatch):
    assert cli.main(["books"]) == 0
    assert "dynamic" in capsys.readouterr().out
    monkeypatch.setattr(books, "report", lambda console, backend: False)
    assert cli.main(["books"]) == 1


def test_train_then_predict(folder, tmp_path, capsys):
    run = str(tmp_path / "run")
    options = ["--cell", "Peephole-LSTM", "--units", "5", "--epochs", "1", "--batch-size", "25"]
    options += ["--data", str(folder), "--out", run]
    assert cli.main(["train", "mnist", *options]) == 0
    out = capsys.readouterr().out
    assert f"{folder} (60 + 20 digits)\n50 training, 10 validation, 20 test\n" in out
    assert "epoch 1/1: loss " in out
    assert "left" in out
    assert "\ntest accuracy  " in out
    settings = json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["cell"], settings["units"], settings["learning_rate"]) == ("peephole_lstm", 5, 1e-3)
    assert cli.main(["train", "mnist", *options]) == 2
    assert "exists already" in capsys.readouterr().err
    assert cli.main(["predict", run, "--data", str(folder), "--limit", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"20 from the test digits of {folder} (60 + 20 digits)"
    assert lines[1].split() == ["image", "read", "as", "sure", "truly"]
    assert len(lines) == 6
    assert lines[-1].startswith("accuracy ")
    assert lines[-1].endswith("% of 20")


def test_ctrl_c_is_130_and_one_line(folder, tmp_path, capsys, monkeypatch):
    from rnn_from_scratch.tasks import training

    def stopped(*_, **__):
        raise KeyboardInterrupt("interrupted in epoch 2 of 3, batch 5; --resume goes on from there")

    monkeypatch.setattr(training, "train", stopped)
    assert cli.main(["train", "mnist"]) == 130
    assert capsys.readouterr().err == "interrupted in epoch 2 of 3, batch 5; --resume goes on from there\n"
