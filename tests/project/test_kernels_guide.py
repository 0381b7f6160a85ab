"""The guide kernels/README.md, "The CUDA kernels, without a GPU": its commands are run, and say what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from rnn_from_scratch.backends import emulator as emulated

from ..conftest import ROOT
from ..helpers.guides import blocks, section

usable, why_not = emulated.available()
pytestmark = [pytest.mark.check, pytest.mark.skipif(not usable, reason=why_not)]

SECTION = section("kernels/README.md", "The CUDA kernels, without a GPU")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def shown(beginning):
    """The lines of the indented block that begins so, without what stands for the rest."""
    block = next(b for b in re.findall(r"(?:^    .*\n)+", SECTION, re.M) if b.startswith(f"    {beginning}"))
    return [line[4:] for line in block.splitlines() if line.strip() != "..."]


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=200, **options)


def test_it_says_that_no_gpu_has_run_them():
    reports = [p for p in ROOT.glob("**/gpu_report.json") if not {".venv", "build"} & set(p.parts)]
    assert bool(reports) != ("No GPU has run these kernels yet." in SECTION)


def test_the_trace():
    command, *lines = shown("$ python -m")
    done = run([sys.executable, *command.split()[2:]], check=True)
    told = iter(done.stdout.splitlines())
    assert [line for line in lines if line not in told] == []  # each behind the one before


def test_the_race():
    code = next(code for code in blocks("kernels/README.md") if "column_sum_text" in code)
    done = run([sys.executable, "-c", code])
    said = done.stderr.splitlines()[-1]
    assert said.startswith("rnn_from_scratch.backends.emulator.gxx.EmulatorError: column_sum, seed 10: ")
    assert re.search(r"race on shared part\[\d+\]|uninitialised", said)
    assert re.search(r"race on shared part\[\d+\]: thread .* wrote it \(column_sum.cu:15\)", " ".join(shown("rnn_from_scratch.back")))
    assert run([sys.executable, "-c", code.replace('.replace("__syncthreads();", "")', "")]).returncode == 0


@pytest.mark.skipif(not shutil.which("gdb"), reason="needs gdb: apt-get install gdb")
def test_the_steps_in_gdb(tmp_path):
    start, *lines = shown("$ gdb")
    commands = ["handle SIGSTOP SIGCONT nostop noprint", *(line[6:] for line in lines if line.startswith("(gdb) "))]
    (tmp_path / "commands").write_text("\n".join(commands) + "\n")
    words = start.split()[1:]
    words[words.index("python")] = sys.executable
    told = run([*words[:2], "-batch", "-x", tmp_path / "commands", *words[2:]], stdin=subprocess.DEVNULL).stdout
    assert "step.cu:69" in told
    assert re.search(r"^LSTM<Tanh, Sigmoid>::forward<0, double> \(.*\) at cells/lstm.h:13$", told, re.M), told[-2000:]
    for line in lines[-2:] + [line for line in lines if line.startswith("16")]:
        assert line in told.splitlines()
