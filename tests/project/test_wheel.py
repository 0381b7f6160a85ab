"""The wheel, in a bare environment with nothing but what it depends on."""

import os
import platform
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from rnn_from_scratch import __version__
from rnn_from_scratch.backends import emulator as emulated

from ..conftest import ROOT
from ..helpers.guides import PAGES

pytestmark = pytest.mark.check

TRY = """
import numpy as np, sys
from rnn_from_scratch import backends, backward, cells, forward, gradcheck, init_params
for cell in cells.forms().values():
    y, _, tape = forward(cell, init_params(cell, 3, 5), np.ones((2, 4, 3), "float32"))
    assert np.isfinite(backward(tape, np.ones_like(y)).x).all()
    assert gradcheck(cell).ok
print(tape.backend, sorted({"tensorflow", "torch", "cupy"} & set(sys.modules)))
"""


# a test with the fixture, which fails
USERS_TEST = """
import numpy as np

def test_wrong(assert_gradients):
    assert_gradients(np.tanh, lambda a, dy: dy * (1 - np.tanh(a) * 2), [np.ones((2, 3))], names=["a"])
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
    for guide in (page for page in PAGES if "/" in page and not page.startswith("tests/")):
        assert f"rnn_from_scratch/{guide.removeprefix('rnn_from_scratch/')}" in names
    assert any(name.startswith("rnn_from_scratch/data/embedded/") for name in names)
    web = [path.name for path in (ROOT / "rnn_from_scratch/explain/web").iterdir()]
    assert len(web) > 10 and {f"rnn_from_scratch/explain/web/{name}" for name in web} <= set(names)
    assert "rnn_from_scratch/explain/schema.json" in names
    lessons = [path.relative_to(ROOT) for path in (ROOT / "rnn_from_scratch/lessons").rglob("*") if path.suffix in (".py", ".css")]
    assert len(lessons) > 40 and {str(path) for path in lessons} <= set(names)
    assert not [name for name in names if name.startswith("tests/")]
    assert wheel.stat().st_size < 8e6


def test_says_what_it_is(wheel):
    metadata = zipfile.ZipFile(wheel).read(f"rnn_from_scratch-{__version__}.dist-info/METADATA").decode()
    assert "\nLicense-Expression: MIT\n" in metadata
    assert "\nLicense-File: LICENSE\n" in metadata
    assert "\nClassifier: Programming Language :: Python :: 3.11\n" in metadata


@pytest.mark.skipif(platform.system() != "Linux" or not find_spec("auditwheel"), reason="needs auditwheel, on Linux")
def test_the_tag_is_what_auditwheel_reports(wheel):
    done = subprocess.run([sys.executable, "-m", "auditwheel", "show", wheel], capture_output=True, text=True, check=True)
    (reported,) = re.findall(r'following platform tag:\s+"(\w+)"', done.stdout)
    assert reported.startswith("manylinux_2_")
    assert wheel.name.endswith(f"-py3-none-{reported}.whl")


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


def test_the_page_of_a_cell_is_made_from_the_wheel(binaries, tmp_path):
    done = subprocess.run([binaries / "rnn-from-scratch", "explain", "gru"], env=outside(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("gru.html: "), done.stderr
    assert "function forwardLayer" in (tmp_path / "gru.html").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("conftest", ["", 'pytest_plugins = ["rnn_from_scratch.verify.plugin"]'], ids=["installed", "named in conftest"])
def test_pytest_has_the_fixture(conftest, binaries, tmp_path):
    subprocess.run([binaries / "python", "-m", "pip", "install", "--quiet", "pytest>=8"], env=outside(), check=True)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_users.py").write_text(USERS_TEST)
    command = [binaries / "python", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, env=outside(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "AssertionError: gradients are WRONG" in done.stdout


def test_the_command_says_that_typer_is_missing(wheel, tmp_path):
    """A wheel without the packages it depends on, but for NumPy."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "poor"], check=True)
    for what in (["--no-deps", wheel], ["numpy"]):
        subprocess.run([tmp_path / "poor/bin/python", "-m", "pip", "install", "--quiet", *what], env=outside(), check=True)
    done = subprocess.run([tmp_path / "poor/bin/rnn-from-scratch", "doctor"], env=outside(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: rnn-from-scratch needs typer and rich: pip install typer rich\n"
