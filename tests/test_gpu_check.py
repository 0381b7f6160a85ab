"""gpu-check runs to its end, and can fail: on the stand-in for CuPy, in small."""

from __future__ import annotations

import json

import pytest

from bench import gpu_check, gpu_timing
from rnn_from_scratch.backends import cuda, emulated
from rnn_from_scratch.backends.emulator import Program
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS

from . import cupy_stand_in

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture
def small(monkeypatch):
    """One cell, two situations, one small shape, timed once."""
    cuda.handles.clear()
    cuda.module.cache_clear()
    cuda.kernel.cache_clear()
    cupy_stand_in.install(monkeypatch)
    names = ("PeepholeLSTM", "GRU reset before")
    monkeypatch.setattr(gpu_check, "CELLS", {name: CELLS[name] for name in names})
    monkeypatch.setattr(gpu_check, "SITUATIONS", {k: SITUATIONS[k] for k in ("any mask", "any mask, reversed, zeroed")})
    monkeypatch.setattr(gpu_check, "RUNS", 2)
    monkeypatch.setattr(gpu_check, "same_bits", lambda backend, runs: True)
    monkeypatch.setattr(gpu_check, "sanitizer", dict)
    monkeypatch.setattr(gpu_check.gpu_timing, "timings", lambda cupy, gpu: list(TIMINGS(cupy, gpu, ("load",))))
    monkeypatch.setattr(gpu_check.gpu_timing, "micro_costs", lambda cupy: MICRO(cupy, 3))
    monkeypatch.setattr(gpu_timing, "BARRIER_BLOCKS", (2, 4))
    monkeypatch.setattr(gpu_timing, "median_ms", lambda run, wait, seconds=0: (run(), wait(), 1.0)[2])
    yield
    cuda.handles.clear()
    cuda.module.cache_clear()
    cuda.kernel.cache_clear()


TIMINGS, MICRO = gpu_timing.timings, gpu_timing.micro_costs


@pytest.mark.check
def test_it_writes_a_report(small, tmp_path, capsys):
    assert gpu_check.main(["--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    assert len(report["parity"]) == 2 * 2 * 2 + 2 * 2
    assert all(report["planted"].values())
    assert len(report["planted"]) == 4
    assert {"launch", "product of 32 x 32", "barrier of 4 blocks"} <= set(report["micro"])
    shown = (tmp_path / "gpu_report.md").read_text()
    assert shown.startswith("# no H100 but a stand-in\n\n12 comparisons with the reference, 0 failed.\nPlanted bugs: 4 of 4 seen.")
    assert "| load | LSTM | 1 | " in shown
    assert capsys.readouterr().out == shown + "\n"


def test_it_fails_if_something_is_wrong(small, monkeypatch):
    real = cuda.steps.step_text
    assert gpu_check.main(["--tiny"]) == 0
    monkeypatch.setattr(cuda.steps, "step_text", lambda *a: real(*a).replace("1 - y * y", "1 - y"))
    assert gpu_check.main(["--tiny"]) == 1


def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(cuda, "available", lambda: (False, "needs CuPy"))
    assert gpu_check.main([]) == 2
    assert capsys.readouterr().err == "gpu-check: needs CuPy\n"


def test_the_model_knows_three_gpus_and_says_so():
    assert gpu_timing.predicted("NVIDIA GeForce", "LSTM", "mnist") is None
    forward, train = gpu_timing.predicted("NVIDIA H100 80GB HBM3", "LSTM", "mid")
    assert 1.5 < forward < 2.5 < train < 5.5


def test_blocks_that_meet():
    Program(gpu_timing.micro_text())
