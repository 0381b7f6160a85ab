"""The console script begins without typer and rich, to say that they are missing."""

import importlib.util

import pytest

from rnn_from_scratch import __main__ as script


@pytest.mark.parametrize("lost", [("typer",), ("rich",), ("typer", "rich")])
def test_a_missing_package_is_one_line(lost, monkeypatch, capsys):
    monkeypatch.setattr(script, "find_spec", lambda name: None if name in lost else importlib.util.find_spec(name))
    assert script.main(["doctor"]) == 2
    names = " ".join(lost)
    assert capsys.readouterr().err == f"error: rnn-from-scratch needs {' and '.join(lost)}: pip install {names}\n"


def test_nothing_is_missing_here(capsys):
    assert script.main(["--version"]) == 0
