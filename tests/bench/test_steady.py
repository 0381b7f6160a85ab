"""Which numbers the benchmarks trust: on a busy machine an unsteady one is marked, and a commit is never slower than itself."""

import re
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from bench import compare, report, run, steady

from ..conftest import ROOT

BUSY = "while True: pass"
SMALL = "8,20,16,32"  # B,T,I,H


@contextmanager
def hogs(count):
    """So many programs that never wait."""
    started = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_the_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for n, out in ((1, 0), (5, 0), (7, 0), (9, 1), (15, 3), (60, 21)):
        assert steady.interval(range(n)) == (out, n - 1 - out)
    for n in (7, 9, 15, 60):
        samples = rng.standard_exponential((2000, n))
        held = [low <= np.log(2) <= high for low, high in map(steady.interval, samples)]
        assert 0.94 < np.mean(held) <= 1


def test_a_row_is_steady_only_if_nothing_speaks_against_it():
    for spread, waited, unsteady in ((0.05, 0.0, False), (0.2, 0.0, True), (0.05, 0.3, True), (float("nan"), 0.0, True)):
        fields = steady.verdict_fields(spread, waited)
        assert fields["unsteady"] == unsteady and steady.marked("1.50", fields) == "~" * unsteady + "1.50"
    assert steady.spread_of_ratios([1.0, 2.0, 4.0]) == 1 and steady.spread_of_times([1, 2, 3, 4, 5]) == pytest.approx(2 / 3)
    assert steady.slowed(0.0) == 1 and steady.slowed(0.5) == 4 and steady.slowed(1.0) == pytest.approx(100)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells how long a thread waited")
def test_a_thread_that_waits_for_others_is_seen():
    """On one processor beside two programs that never wait, a loop of ours runs for a third of the time."""
    told = (
        "import os, time\nfrom bench import steady\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        f"children = [os.spawnlp(os.P_NOWAIT, {sys.executable!r}, 'python', '-c', {BUSY!r}) for _ in range(2)]\n"
        "watch, end = steady.Watch(), time.monotonic() + 0.8\nwhile time.monotonic() < end: pass\nprint(watch.waited())\n"
        "[os.kill(child, 9) for child in children]"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT, check=True)
    assert 0.3 < float(done.stdout) < 1


@pytest.mark.check
def test_two_runs_on_a_busy_machine_give_no_unmarked_wrong_verdict(tmp_path, monkeypatch, capsys):
    """Two rows of `bench --quick`, twice: what is not marked says the same both times."""
    monkeypatch.setenv("COLUMNS", "80")
    found, marks = [], 0
    for number in range(2):
        with hogs(2):
            assert run.main(True, tmp_path / str(number), cell="lstm", shape=SMALL, peer="gemm", within=200) == 0
        found.append({row["name"]: row for row in report.load(tmp_path / str(number) / "bench.json").rows})
        out = capsys.readouterr().out
        ratios = re.findall(r"(~?)\d+\.?\d* *\n.*±", out)
        assert ratios and max(map(len, out.split("\nwrote")[0].splitlines())) <= 80
        assert sum(map(bool, ratios)) == sum(row["unsteady"] for row in found[-1].values())
        marks += sum(map(bool, ratios))
    assert found[0] and set(found[0]) == set(found[1])
    for name, row in found[0].items():
        again = found[1][name]
        if not row["unsteady"] and not again["unsteady"]:
            (low, high), (low_again, high_again) = row["interval"], again["interval"]
            assert not (low > 1 > high_again or low_again > 1 > high), (row, again)
    if len(steady.os.sched_getaffinity(0)) <= 2:
        assert marks, "two programs took two processors, and no row says so"


@pytest.mark.check
def test_a_commit_is_not_slower_than_itself_on_a_busy_machine(capsys):
    """Ten times of ten; and the same with one of the two made slower is seen."""
    job = [("LSTM", SMALL, "forward+backward")]
    with hogs(2):
        slower = [compare.with_folder(ROOT, job, (0.1, 1, 9), compare.THRESHOLD, run.Console(width=80)) for _ in range(10)]
    assert slower == [False] * 10, capsys.readouterr().out


@pytest.mark.check
def test_a_slower_commit_is_seen_on_a_busy_machine(capsys, monkeypatch):
    """Ours takes four times as long: the new one runs forward+backward where the old one runs forward alone."""
    waiting = compare.interleaved.Waiting

    def swapped(impl, job, seconds, folder=None):
        return waiting(impl, (*job[:2], "inference") if folder else job, seconds, folder)

    monkeypatch.setattr(compare.interleaved, "Waiting", swapped)
    job = [("LSTM", SMALL, "forward+backward")]
    with hogs(2):  # a try that other programs spoilt gives no verdict
        assert any(compare.with_folder(ROOT, job, (0.1, 1, 9), compare.THRESHOLD, run.Console(width=80)) for _ in range(4))
    assert "slower by" in capsys.readouterr().out
