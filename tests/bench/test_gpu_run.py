"""However gpu-check ends, what it has found is kept and told: with sections made up for it, no GPU and no CuPy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from bench import gpu_check, gpu_report, gpu_sections

from ..conftest import ROOT


def test_the_plan_says_what_eight_minutes_are_enough_for(capsys):
    assert gpu_check.main(["--plan", "--minutes", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    order = ["parity", "determinism", "constants", "six shapes", "narrow numbers", "compute-sanitizer", "planted bugs", "layers"]
    order.append("more shapes")
    assert [line[11:29].strip() for line in lines[:-1]] == order
    assert [line.rpartition("   ")[2].startswith("may") for line in lines[:-1]] == [False] * 5 + [True] * 4
    assert "may" not in gpu_sections.schedule(gpu_sections.SECTIONS, float("inf"))


def carried_out(tmp_path, *sections, seconds=60.0):
    """The report on disk of a run of some sections: (name, generator of the run)."""
    run = gpu_check.Run(None, {"facts": {"gpu": "none"}}, tmp_path, seconds)
    gpu_check.carry_out(run, tuple(gpu_sections.Section(name, 1, "", work) for name, work in sections))
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    assert (tmp_path / "gpu_report.md").read_text() == gpu_report.markdown(report)
    assert not list(tmp_path.glob("*.draft"))
    return report


def good(run):
    run.report["bridge"] = ""
    yield


def pieces(end):
    """A section that finds three things, then does what ends it."""

    def work(run):
        run.report["parity"] = []
        for n in range(3):
            run.report["parity"].append({"error": n, "allowed": n})
            yield
        end()
        yield

    return work


def wait():
    time.sleep(30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_found(tmp_path, number):
    before = signal.getsignal(number)
    report = carried_out(tmp_path, ("first", pieces(lambda: os.kill(os.getpid(), number))), ("second", good))
    assert [row["state"] for row in report["sections"].values()] == [f"cut short: stopped by {number.name}", "not reached"]
    assert len(report["parity"]) == 3
    assert gpu_report.verdict(report) == 3
    assert "| second | not reached | 0 | 1 |" in gpu_report.markdown(report)
    assert signal.getsignal(number) is before


def test_the_time_is_up_in_the_middle_of_a_piece(tmp_path):
    began = time.perf_counter()
    report = carried_out(tmp_path, ("first", pieces(wait)), ("second", good), seconds=0.3)
    assert time.perf_counter() - began < 10
    assert [row["state"] for row in report["sections"].values()] == ["cut short: the time was up", "not reached"]
    assert len(report["parity"]) == 3 and gpu_report.verdict(report) == 3
    alarm = signal.getitimer(signal.ITIMER_REAL)
    assert alarm == (0, 0)


def test_a_signal_that_something_swallowed_still_ends_the_run(tmp_path):
    def deaf():
        with suppress(BaseException):  # as a callback of a C library does
            os.kill(os.getpid(), signal.SIGTERM)

    report = carried_out(tmp_path, ("first", pieces(deaf)), ("second", good))
    assert [row["state"] for row in report["sections"].values()] == ["cut short: stopped by SIGTERM", "not reached"]


def test_a_section_that_crashes_is_a_fault_and_the_next_ones_run(tmp_path):
    report = carried_out(tmp_path, ("first", pieces(lambda: 1 / 0)), ("second", good))
    assert [row["state"] for row in report["sections"].values()] == ["crashed: ZeroDivisionError: division by zero", "done"]
    assert len(report["parity"]) == 3 and report["bridge"] == ""
    assert gpu_report.verdict(report) == 1
    assert "Wrong: 1.\n- first crashed: ZeroDivisionError" in gpu_report.markdown(report)


def test_a_process_that_dies_leaves_its_report(tmp_path):
    script = f"""
import os, pathlib
from bench import gpu_check, gpu_sections
def work(run):
    for n in range(3):
        run.report["parity"] = [dict(error=0, allowed=n)] * (n + 1)
        yield
    os._exit(9)
gpu_check.BETWEEN_WRITES = 0
run = gpu_check.Run(None, dict(facts=dict(gpu="none")), pathlib.Path({str(tmp_path)!r}), 60)
gpu_check.carry_out(run, (gpu_sections.Section("first", 1, "", work), gpu_sections.Section("second", 1, "", work)))
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 9
    report = json.loads((tmp_path / "gpu_report.json").read_text())
    assert [row["state"] for row in report["sections"].values()] == ["begun", "not reached"]
    assert len(report["parity"]) == 3 and gpu_report.verdict(report) == 3


def test_every_kind_of_fault_is_told():
    row = {"tier": "step", "cell": "LSTM", "situation": "plain", "kind": "float32", "array": "dWh", "shape": "mid"}
    report = {"facts": {"gpu": "none"}, "runs": 2, "sections": {"parity": {"state": "done", "seconds": 1.0, "expected": 1}}}
    assert gpu_report.verdict(report) == 0
    wrong = {
        "parity": [{**row, "error": float("nan"), "allowed": 1e-6}],
        "many blocks": [{**row, "error": float("inf"), "allowed": 1e-6}],
        "narrow": [{**row, "error": 1.0, "allowed": 1e-3, "ms": (1.0, 2.0)}],
        "same bits": {"step": False},
        "planted": {"step: masks ignored": False},
        "bridge": "off by 1",
        "sanitizer": {"memcheck": "exit code 9: ERROR"},
    }
    for name, found in wrong.items():
        assert gpu_report.verdict({**report, name: found}) == 1, name
        assert "\nWrong: 1.\n- " in gpu_report.markdown({**report, name: found}), name
    skipped = {"bridge": "skipped: no TensorFlow", "sanitizer": {"memcheck": "skipped: no end in 2 s"}}
    assert gpu_report.verdict({**report, **skipped}) == 0
