"""The pytest fixture, in a pytest of its own: what a user sees."""

import os
import subprocess
import sys

from ..conftest import ROOT

USERS_TEST = """
import numpy as np

def test_right(assert_gradients):
    assert_gradients(np.tanh, lambda a, dy: dy * (1 - np.tanh(a) ** 2), [np.ones((2, 3))], names=["a"])

def test_wrong(assert_gradients):
    assert_gradients(np.tanh, lambda a, dy: dy * (1 - np.tanh(a) * 2), [np.ones((2, 3))], names=["a"], blocks={"a": ("i", "f", "g")})
"""


def test_the_fixture_and_its_message(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["rnn_from_scratch.verify.plugin"]\n')
    (tmp_path / "test_users.py").write_text(USERS_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=junit.xml", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    lines = done.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("E       AssertionError: gradients are WRONG"))
    assert lines[start - 1].startswith(">       assert_gradients(np.tanh"), done.stdout  # the user's line, not one of ours
    assert lines[start + 1].startswith("E         culprit: a, block "), done.stdout
    assert "ours / expected = -1.2457" in done.stdout  # (1 - 2 tanh 1) / (1 - tanh^2 1)
    assert "gradient of          block       error  allowed    floor" in done.stdout
    assert "functions/__init__.py" not in done.stdout
    assert "culprit: a, block" in (tmp_path / "junit.xml").read_text()
