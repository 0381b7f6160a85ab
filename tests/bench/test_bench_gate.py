"""What stands before the report: the gate, the cases, the processes that time, and one row from end to end."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from bench import cases, interleaved, parity, peers, report, time_one
from rnn_from_scratch import backends, bptt

from ..conftest import ROOT

TRAIN = cases.TRAIN


# the gate


@pytest.mark.parametrize("fault", ["y", "dx", "nan", "tape"])
def test_a_wrong_backend_is_not_timed(monkeypatch, fault):
    right = backends.load("reference")

    def forward(cell, params, x, *arguments):
        y, state, tape = bptt.forward(cell, params, x, *arguments, backend="wrong")
        if fault == "y":
            y = y * np.float32(1.0001)
        if fault == "tape" and tape is None:  # wrong in inference alone
            y = y * np.float32(1.0001)
        return y, state, tape

    def backward(tape, dy, dstate, wrt):
        grads = right.backward(tape, dy, dstate, wrt)
        if fault in ("dx", "nan"):
            grads.x[0, 0, 0] = np.nan if fault == "nan" else grads.x[0, 0, 0] + 0.01
        return grads

    wrong = SimpleNamespace(available=lambda: (True, ""), forward=forward, backward=backward)
    monkeypatch.setattr(backends, "BACKENDS", (*backends.BACKENDS, "wrong"))
    monkeypatch.setattr(backends, "load", lambda name: wrong if name == "wrong" else right)
    parity.check("GRU", "load", "plain", "reference")
    parity.check.cache_clear()
    found = {"y": "y", "dx": "dx", "nan": "dx", "tape": "y without a tape"}[fault]
    with pytest.raises(parity.RefusedError, match=f"wrong, GRU at load, plain: {found} is off by"):
        parity.check("GRU", "load", "plain", "wrong")
    parity.check.cache_clear()


def test_a_peer_that_computes_something_else_is_not_timed():
    p = cases.problem("LSTM", "load")
    y, dx = cases.runner(p, TRAIN, "reference")()
    parity.check_peer("peer", "LSTM", "load", y, dx)
    swapped = {**p.params, "b": np.roll(p.params["b"], 5)}
    other, _ = cases.runner(p._replace(params=swapped), TRAIN, "reference")()
    for wrong in ((other, dx), (y, -dx), (y * np.nan, dx), (y[:, 1:], dx)):
        with pytest.raises(parity.RefusedError, match="not timed"):
            parity.check_peer("peer", "LSTM", "load", *wrong)


def test_a_refused_job_has_no_time(monkeypatch):
    monkeypatch.setattr(parity, "SAME", 0.0)
    monkeypatch.setitem(peers.PEERS, "peer", peers.own("reference")._replace(build=slightly_off))
    found = time_one.time_job("peer", ("LSTM", "load", TRAIN), 0.0)
    assert list(found) == ["refused"]


def slightly_off(p, what):
    y, dx = cases.runner(p, what, "reference")()
    return (lambda: (y * np.float32(1.0001), dx)), lambda found: found


# cases and processes


def test_problems_are_the_same_in_every_process_and_hostile():
    for cell in cases.CELLS:
        a, b = (cases.problem(cell, "load", "any mask") for _ in range(2))
        assert all(np.array_equal(a.params[name], b.params[name]) for name in a.params)
        assert all(value.dtype == np.float32 and np.count_nonzero(value) for value in a.params.values())
        assert not a.options["mask"].all()


def test_flops_are_those_of_the_products():
    assert cases.flops("LSTM", "mid", "inference") == 2 * 64 * 100 * 4 * 256 * 512
    assert cases.flops("GRU", "1,2,3,5", TRAIN) == 3 * 2 * 2 * 15 * 8
    tape = cases.runner(cases.problem("LSTM", "load"), "forward", "reference")
    assert tape()[1] is None
    _, _, kept = backends.forward(*cases.problem("LSTM", "load")[:3])
    assert cases.tape_bytes("LSTM", "load") == kept.nbytes


def test_processes_report_time_memory_and_reasons():
    jobs = (("LSTM", "1,2,3,4", TRAIN), ("GRU", "2,5,3,4", "inference"))
    assert all(0 < result["min_ms"] <= result["ms"] for result in interleaved.process("gemm", jobs, 0.0))
    if sys.platform == "linux":
        (result,) = interleaved.process("reference", (("LSTM", "32,200,64,64", TRAIN),), 0.0, memory=True)
        tape = cases.tape_bytes("LSTM", "32,200,64,64")
        assert tape < result["peak_bytes"] < 10 * tape
    with pytest.raises(RuntimeError, match="invalid choice: 'nobody'"):
        interleaved.process("nobody", jobs, 0.0)


def test_the_clock_moves_by_what_processes_measure():
    before, move = interleaved.clock(), interleaved.clock.play([1500.0, 500.0])
    for seconds in (1.5, 2.0):
        move()
        assert interleaved.clock() - before == pytest.approx(seconds)
    assert interleaved.paired_ratio([2.0, 9.0, 8.0], [1.0, 3.0, 8.0]) == 2.0


def test_two_processes_take_turns_and_pass_on_why_they_cannot():
    job = ("LSTM", "2,5,3,4", TRAIN)
    pairs = interleaved.in_turn(*[lambda: interleaved.Waiting("reference", job, 0.0)] * 2, rounds=2, turns=2)
    assert len(pairs.ours) == len(pairs.theirs) == len(pairs.waited) == 4 and all(0 < ms < 1000 for ms in pairs.ours + pairs.theirs)
    assert all(0 <= waited < 1 for waited in pairs.waited)
    with pytest.raises(parity.RefusedError, match="onnxruntime, LSTM 2,5,3,4 forward.backward: its recurrent operators are for inference"):
        interleaved.Waiting("onnxruntime", job, 0.0)
    with pytest.raises(RuntimeError, match="invalid choice: 'nobody'"):
        interleaved.Waiting("nobody", job, 0.0)


def test_a_process_that_is_asked_is_ended_at_the_deadline(monkeypatch):
    with interleaved.Waiting("reference", ("LSTM", "load", TRAIN), 60.0) as slow:
        monkeypatch.setattr(interleaved, "deadline", time.monotonic())
        with pytest.raises(subprocess.TimeoutExpired):
            slow.turn()


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert peers.missing("onnxruntime") == "needs onnx and onnxruntime: pip install onnx onnxruntime"
    assert peers.missing("gemm") == ""


@pytest.mark.check
def test_a_row_from_end_to_end(tmp_path):
    """pytest on the suites, its JSON, the report."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench/test_sequence.py"), "-q", "-k", "reference-LSTM-load-forward"]
    command += ["--seconds=0", "--benchmark-max-time=0.01", f"--benchmark-json={tmp_path}/bench.json", "-p", "no:cacheprovider"]
    # pytest-benchmark times nothing in a worker of pytest-xdist; this process is none, whatever runs this test
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, done.stdout
    results = report.load(tmp_path / "bench.json")
    found = {row["pass"]: row for row in results.rows}
    assert set(found) == {"forward", TRAIN}
    timed = found[TRAIN]
    assert timed["gflops"] == pytest.approx(cases.flops("LSTM", "load", TRAIN) / timed["ms"] / 1e6)
    assert timed["share"] == pytest.approx(timed["bound_ms"] / timed["ms"])
    assert timed["threads"] >= 1 and timed["versions"]["numpy"] == np.__version__ and timed["isa"]
    assert "node" not in results.machine and "load" in results.machine
    assert timed["spread"] >= 0 and 0 <= timed["waited"] < 1 and timed["unsteady"] in (True, False)
    again = tmp_path / "again.json"
    again.write_bytes((tmp_path / "bench.json").read_bytes())
    both = [sys.executable, "-m", "pytest_benchmark", "compare", str(tmp_path / "bench.json"), str(again)]
    done = subprocess.run(both, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0 and done.stdout.count("reference-LSTM-load-forward+backward") == 2, done.stderr


@pytest.mark.check
@pytest.mark.parametrize("peer", [name for name in peers.PEERS if name not in backends.BACKENDS])
def test_every_peer_computes_what_we_compute(peer):
    """Each cell and pass that the peer knows, through the gate, in the peer's own process."""
    if reason := peers.missing(peer):
        pytest.skip(reason)
    jobs = [
        (cell, "3,7,2,5", what)
        for cell in cases.CELLS
        for what in ("inference", TRAIN)
        if not peers.PEERS[peer].cannot(cases.problem(cell, "load"), what)
    ]
    jobs = jobs[:4] if peer == "keras-xla" else jobs  # it compiles each for seconds
    assert len(jobs) >= 3
    assert all("ms" in result for result in interleaved.process(peer, tuple(jobs), 0.0))
