"""The wheel, in a bare environment with nothing but what it depends on."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rnn_from_scratch.backends import emulator as emulated

from ..conftest import ROOT
from ..helpers.guides import PAGES

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


def outside():
    """The environment variables, without a path that leads back to this checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


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
    for path in (p for folder in ("kernels", "bench") for p in (ROOT / folder).rglob("*") if p.suffix in (".cu", ".h", ".cpp", ".py")):
        assert f"rnn_from_scratch/{path.relative_to(ROOT)}" in names
    for guide in (page for page in PAGES if page.endswith("/README.md") and not page.startswith("tests/")):
        assert f"rnn_from_scratch/{guide.removeprefix('rnn_from_scratch/')}" in names
    assert any(name.startswith("rnn_from_scratch/data/embedded/") for name in names)
    assert not [name for name in names if name.startswith("tests/")]
    assert wheel.stat().st_size < 8e6


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory):
    """bin of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", wheel], env=outside(), check=True)
    return folder / "bin"


@pytest.mark.skipif(not emulated.available()[0], reason=emulated.available()[1])
def test_kernels_are_emulated_and_timed_from_the_wheel(binaries, tmp_path):
    python, away = [binaries / "python", "-W", "error"], {"cwd": tmp_path, "env": {**outside(), "XDG_CACHE_HOME": str(tmp_path)}}
    trace = [*python, "-m", "rnn_from_scratch.backends.emulator", "--trace", "simple_rnn_forward"]
    told = subprocess.run(trace, **away, capture_output=True, text=True, check=True).stdout
    assert told.startswith("launch 2: forward")
    check = subprocess.run([*python, "-m", "rnn_from_scratch.bench.gpu_check"], **away, capture_output=True, text=True)
    assert check.returncode == 2 and check.stderr.startswith("gpu-check: needs CuPy")
    subprocess.run([*python, "-c", "from rnn_from_scratch.bench import gpu_timing; gpu_timing.micro_text()"], **away, check=True)


def test_runs_with_what_it_depends_on_alone(binaries, tmp_path):
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
