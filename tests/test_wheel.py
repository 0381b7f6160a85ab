"""The wheel, in a bare environment with nothing but what it depends on."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.check

TRY = """
import numpy as np, sys
from rnn_from_scratch import backends, backward, cells, forward, gradcheck, init_params
for cell in (cells.SimpleRNN(), cells.LSTM(), cells.PeepholeLSTM(), cells.GRU(), cells.GRU(reset_after=False)):
    y, _, tape = forward(cell, init_params(cell, 3, 5), np.ones((2, 4, 3), "float32"))
    assert np.isfinite(backward(tape, np.ones_like(y)).x).all()
    assert gradcheck(cell).ok
print(tape.backend, sorted({"tensorflow", "torch", "cupy"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built into $RNN_DIST (`make wheel`) or a temporary folder."""
    folder = Path(os.environ.get("RNN_DIST") or tmp_path_factory.mktemp("dist"))
    for old in folder.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_holds_what_it_needs_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("py.typed", "cells/lstm.py", "verify/book_rnn.json", "kernels/__init__.py"):
        assert f"rnn_from_scratch/{name}" in names
    assert any(name.startswith("rnn_from_scratch/data/embedded/") for name in names)
    assert not [name for name in names if name.startswith("tests/")]
    assert wheel.stat().st_size < 8e6


def test_runs_with_what_it_depends_on_alone(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    binaries = tmp_path / "bare/bin"
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    bare = {"PATH": str(binaries), "HOME": str(tmp_path)}  # no compiler
    done = subprocess.run([binaries / "python", "-W", "error", "-c", TRY], env=bare, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")
    for command in (["doctor"], ["books"]):
        done = subprocess.run([binaries / "rnn-from-scratch", *command], env=bare, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    train = [binaries / "rnn-from-scratch", "train", "mnist"]
    refused = subprocess.run(train, env=bare, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "rnn_from_scratch[tensorflow]" in refused.stderr
    assert "Traceback" not in refused.stderr
