"""Stopped by Ctrl-C, killed at random moments, on a full disk: a run goes on to the same bits.

RNN_KILLS: how often it is killed, 2 unless set.
"""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ..helpers.digit_runs import bits, record
from ..helpers.killed_runs import RUNS, finish, kill_at_random, program

pytestmark = pytest.mark.check
# python -m rnn_from_scratch ARGUMENTS, which may write no file larger than so many bytes. It limits itself: a function run after the fork
# would meet JAX's warning about forks, where another test of the process has imported it
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv[1:] = sys.argv[2:]
runpy.run_module("rnn_from_scratch", run_name="__main__", alter_sys=True)
"""
KILLS = int(os.environ.get("RNN_KILLS", "2"))


@pytest.mark.parametrize("task", RUNS)
def test_a_run_that_was_stopped_in_every_way_ends_with_the_same_bits(task, tmp_path):
    """One run meets all of it, one after the other: every start of a process costs as much as its training."""
    whole, out = tmp_path / "whole", tmp_path / "run"
    finish(task, whole, *RUNS[task])
    stop_by_ctrl_c(task, out)
    struck = kill_at_random(task, out, KILLS)
    print(f"{task}: {struck} kills struck")
    assert struck >= 1
    assert record(out)["status"] == "running"
    fill_the_disk(task, out)
    finish(task, out, "--resume", "--save-every", "60")
    assert bits(out) == bits(whole)
    assert np.isfinite(record(out)["results"]["best_epoch"])


def stop_by_ctrl_c(task, out):
    """One line, and nothing is lost."""
    process = program(task, out, *RUNS[task], "--save-every", "0.2")
    while not (out / "checkpoint.npz").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (130, 1)
    assert "--resume goes on from there" in err


def fill_the_disk(task, out):
    """One line, and the last checkpoint stays: the largest file that the process may write is too small for another."""
    before = (out / "checkpoint.npz").read_bytes()
    args = ["train", task, "--quiet", "--out", str(out), "--resume", "--save-every", "0"]
    command = [sys.executable, "-c", LIMITED, str(len(before) // 2), *args]
    full = subprocess.run(command, capture_output=True, text=True)
    assert (full.returncode, full.stderr.count("\n")) == (2, 1)
    assert "checkpoint.npz: cannot be written: File too large" in full.stderr
    assert (out / "checkpoint.npz").read_bytes() == before
    assert not list(out.glob("*.tmp*"))
