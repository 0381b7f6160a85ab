"""gpu-check runs to its end, and can fail: on the stand-in for CuPy, in small."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import count
from types import SimpleNamespace

import pytest

from bench import gpu_check, gpu_model, gpu_parity, gpu_sections, gpu_timing
from bench.cases import PLAIN
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator.program import Program
from rnn_from_scratch.backends.gpu import call, cuda
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS

from ..conftest import ROOT
from ..helpers import cupy_stand_in

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture
def small(monkeypatch):
    """Three cells, two situations, one small shape, timed once."""
    cuda.handles.clear()
    cuda.module.cache_clear()
    cuda.kernel.cache_clear()
    cupy_stand_in.install(monkeypatch)
    fibres = cuda.limits(0)._replace(threads=(32,))
    monkeypatch.setattr(cuda, "limits", lambda device: fibres)
    names = ("PeepholeLSTM", "GRU reset before", "GRU reset after")
    monkeypatch.setattr(gpu_parity, "CELLS", {name: CELLS[name] for name in names})
    monkeypatch.setattr(gpu_parity, "SITUATIONS", {k: SITUATIONS[k] for k in ("any mask", "any mask, reversed, zeroed")})
    monkeypatch.setattr(gpu_parity, "RUNS", 2)
    monkeypatch.setattr(gpu_parity, "RUN_SIZES", (3, 2, 2, 4))
    monkeypatch.setattr(gpu_parity, "WAITING", ("GRU reset after",))
    monkeypatch.setattr(gpu_parity, "REPEATS", 2)
    monkeypatch.setattr(gpu_parity, "NARROW_SHAPES", ("load",))
    monkeypatch.setattr(gpu_parity, "NARROW_CELLS", ("LSTM",))
    monkeypatch.setattr(gpu_sections, "SANITIZER_SECONDS", 0)
    for name in ("BESIDE_TORCH", "MORE", "CROSSOVER", "TILED"):
        monkeypatch.setattr(gpu_timing, name, ("load",))
    monkeypatch.setattr(gpu_timing, "micro_costs", lambda cupy: MICRO(cupy, 3))
    monkeypatch.setattr(gpu_timing, "BARRIER_BLOCKS", (2, 4))
    monkeypatch.setattr(gpu_timing, "median_ms", lambda run, wait, seconds=0: (run(), wait(), 1.0)[2])
    yield
    cuda.handles.clear()
    cuda.module.cache_clear()
    cuda.kernel.cache_clear()


MICRO = gpu_timing.micro_costs


@pytest.mark.check
def test_it_writes_a_report(small, tmp_path, capsys):
    assert gpu_check.main(["--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    assert {row["state"] for row in report["sections"].values()} == {"done"}
    assert list(report["sections"]) == [section.name for section in gpu_sections.SECTIONS]
    assert len(report["parity"]) == 2 * (3 * 2 * 2 + 3 * 2 + 3)
    assert len(report["many blocks"]) == 2 * 4
    met = [row["situation"].removeprefix("any mask, ") for row in report["many blocks"][-4:]]
    assert [where.split(" blocks")[0] for where in met] == ["4 x 1", "4 x 1", "2 x 3", "2 x 3"]
    assert [where.endswith("registers") for where in met] == [False, True, False, True]
    assert report["limits"]["multiprocessors"] == 6
    assert report["same bits"] == {"step": True, "sequence": True}
    assert all(report["planted"].values())
    assert len(report["planted"]) == 9
    assert {"launch", "product of 32 x 32", "barrier of 4 blocks", "compile sequence.cu, first"} <= set(report["micro"])
    kinds = ["float32", "float16", "bfloat16"]
    assert [row["kind"] for row in report["narrow"]] == [*kinds, *(f"{kind}, tensor cores" for kind in kinds)]
    assert ["refused" in row for row in report["narrow"]] == [False, False, False, True, True, True]  # an sm_75 of 32 threads
    assert 1e-3 > report["narrow"][1]["error"] > 100 * report["narrow"][0]["error"] > 0
    shown = (tmp_path / "gpu_report.md").read_text()
    first = "# no H100 but a stand-in\n\n50 comparisons with the reference.\n2 runs in the step and sequence tier: the same bits.\n"
    assert shown.startswith(first + "Planted bugs: 9 of 9 seen.")
    assert "\nNothing wrong was found.\n" in shown
    assert "| load | LSTM | step | 1 (" in shown
    assert "The planner took the quicker tier in 3 of 3 cases where both can run." in shown
    said = capsys.readouterr()
    assert said.out == shown + "\n"
    assert said.err.startswith("  0.0 min  parity ")
    assert gpu_model.Costs(**report["costs"]) != gpu_model.Costs()
    gpu_model.main(["--fit", str(tmp_path / "gpu_report.json")])
    assert capsys.readouterr().out.startswith("Costs(call=")


def test_tensor_cores_are_judged_by_what_rounded_factors_cost(small, monkeypatch):
    two_warps = cuda.limits(0)._replace(threads=(64,))
    monkeypatch.setattr(cuda, "limits", lambda device: two_warps)
    monkeypatch.delenv("RNN_GPU_TIER")
    monkeypatch.setattr(gpu_parity, "NARROW", {kind: o for kind, o in gpu_parity.NARROW.items() if kind.startswith("float16")})
    plain, tensor = gpu_parity.narrow(sys.modules["cupy"])
    assert tensor["kind"] == "float16, tensor cores" and tensor["error"] <= tensor["allowed"]
    assert tensor["allowed"] != plain["allowed"] and tensor["error"] != plain["error"]


def test_one_section_can_be_chosen(small, tmp_path, capsys):
    assert gpu_check.main(["--out", str(tmp_path), "--only", "narrow numbers"]) == 0
    assert list(json.loads((tmp_path / "gpu_report.json").read_text())["sections"]) == ["narrow numbers"]
    assert gpu_check.main(["--only", "speed"]) == 2
    assert capsys.readouterr().err.endswith("more shapes, got 'speed'\n")
    assert gpu_check.main(["--minutes", "0"]) == 2
    assert capsys.readouterr().err == "gpu-check: --minutes: expected a number above 0, got 0.0\n"


def test_it_fails_if_something_is_wrong(small, monkeypatch):
    real = call.step_text
    monkeypatch.setattr(gpu_parity, "TIERS", ("step",))
    assert gpu_check.main(["--tiny"]) == 0
    monkeypatch.setattr(call, "step_text", lambda *a: real(*a).replace("1 - y * y", "1 - y"))
    assert gpu_check.main(["--tiny"]) == 1


def test_runs_that_differ_are_seen(small, monkeypatch):
    assert gpu_parity.same_bits("cuda", 2)
    solve, bits = gpu_parity.solve, iter(range(2))
    monkeypatch.setattr(gpu_parity, "solve", lambda p, backend: {"y": solve(p, backend)["y"] + next(bits) * 1e-7})
    assert not gpu_parity.same_bits("cuda", 2)


@pytest.mark.check
def test_blocks_that_meet_and_are_wrong_are_seen(small, monkeypatch):
    real, solve, shifts = gpu_parity.sequence.sequence_text, gpu_parity.solve, count()
    assert all(row["error"] <= row["allowed"] for row in gpu_parity.many_blocks())
    other = gpu_parity.PLANTED["sequence"]["weights of the next unit"]
    monkeypatch.setattr(gpu_parity.sequence, "sequence_text", lambda *args: real(*args).replace(*other))
    assert all(row["error"] > row["allowed"] for row in gpu_parity.many_blocks())
    monkeypatch.setattr(gpu_parity.sequence, "sequence_text", real)
    monkeypatch.setattr(gpu_parity, "solve", lambda p, *a: {k: v + next(shifts) * 1e-15 * bool(a) for k, v in solve(p, *a).items()})
    assert {row["array"] for row in gpu_parity.many_blocks() if row["kind"] == "float64"} == {"the bits of one run and another"}


@pytest.mark.parametrize(
    ("script", "says", "left"),
    [
        ("exit 0", "clean", 9),
        ("echo ERROR SUMMARY: 1 error; exit 9", "exit code 9: ERROR SUMMARY: 1 error\n", 9),
        ("exec sleep 9", "skipped: no end in 0.5 s", 9),
        ("exec sleep 9", "skipped: no end in 0.25 s", 0.25),
    ],
)
def test_what_compute_sanitizer_says_is_passed_on(monkeypatch, tmp_path, script, says, left):
    monkeypatch.setattr(gpu_sections, "SANITIZER_SECONDS", 0.5)
    tool = tmp_path / "compute-sanitizer"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{script}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    run = SimpleNamespace(report={}, left=lambda: left)
    assert len(list(gpu_sections.sanitizer(run))) == 2
    assert run.report["sanitizer"] == {"memcheck": says, "racecheck": says}
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.partition(" --error")[0] for line in asked] == ["--tool memcheck", "--tool racecheck"]
    assert all(line.endswith("-m bench.gpu_check --tiny") for line in asked)


def test_layers_are_held_to_keras(small, monkeypatch):
    tf = pytest.importorskip("tensorflow")
    from rnn_from_scratch.layers import cuda_bridge

    assert gpu_sections.bridge() == "skipped: TensorFlow sees no GPU"
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a stand-in"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on)))
    monkeypatch.setattr(cuda_bridge, "check_memory_growth", lambda: None)
    monkeypatch.setattr(cuda_bridge, "is_on_gpu", lambda tensor: True)
    cuda_bridge.stream.cache_clear()
    assert gpu_sections.bridge() == ""
    assert grown == [("a stand-in", True)]
    real = call.step_text
    monkeypatch.setattr(call, "step_text", lambda *a: real(*a).replace("1 - y * y", "1 - y"))
    assert gpu_sections.bridge().startswith("off by ")
    cuda_bridge.stream.cache_clear()


@pytest.mark.check
def test_torch_is_timed_on_the_same_problem(monkeypatch):
    """On the CPU, with the calls that need a GPU taken away."""
    torch = pytest.importorskip("torch")
    assert gpu_timing.torch_ms(gpu_timing.problem("PeepholeLSTM", "load")) is None
    assert torch.cuda.is_available() or gpu_timing.torch_ms(gpu_timing.problem("GRU", "load")) is None
    tensor, ran = torch.tensor, []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: ran.append("wait"))
    monkeypatch.setattr(torch.nn.Module, "cuda", lambda self: self)
    monkeypatch.setattr(torch, "tensor", lambda a, device=None, **options: tensor(a, **options))

    def timed(run, wait, seconds=0):
        assert torch.backends.cudnn.enabled
        assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is False
        run()
        wait()
        return 1.0

    monkeypatch.setattr(gpu_timing, "median_ms", timed)
    for cell in PLAIN:
        assert gpu_timing.torch_ms(gpu_timing.problem(cell, "load")) == (1.0, 1.0)
    assert ran == ["wait"] * 2 * len(PLAIN)


@pytest.mark.skipif(cuda.available()[0] or not shutil.which("make"), reason="needs make, and no GPU")
def test_make_gpu_check_without_a_gpu_is_one_line():
    done = subprocess.run(["make", "gpu-check", f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first == f"gpu-check: {cuda.available()[1]}"
    assert "Traceback" not in done.stderr


def test_without_a_gpu_it_says_so(capsys, monkeypatch):
    monkeypatch.setattr(cuda, "available", lambda: (False, "needs CuPy"))
    assert gpu_check.main([]) == 2
    assert capsys.readouterr().err == "gpu-check: needs CuPy\n"


def test_the_model_says_what_to_expect_of_a_gpu():
    found = gpu_timing.predicted(gpu_model.DEVICES["H100"], "LSTM", "mid")
    assert 0.3 < found["sequence"][0] < 0.8 < found["sequence"][1] < 1.7 < found["step"][0] < 2.5 < found["step"][1] < 5.5
    assert gpu_timing.predicted(gpu_model.DEVICES["T4"], "LSTM", "big")["sequence"] is None


def test_blocks_that_meet():
    Program(gpu_timing.micro_text())
