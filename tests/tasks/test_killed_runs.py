"""Killed at random moments, stopped by Ctrl-C, on a full disk: a run goes on to the same bits. RNN_KILLS: how often, 2 unless set."""

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


@pytest.fixture(scope="module", params=RUNS)
def task(request):
    return request.param


@pytest.fixture(scope="module")
def whole(task, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / task
    finish(task, out, *RUNS[task])
    return out


def test_killed_at_random_moments(task, whole, tmp_path):
    out = tmp_path / "run"
    struck = kill_at_random(task, out, KILLS)
    print(f"{task}: {struck} kills struck")
    assert struck >= 1
    assert record(out)["status"] == "running"
    finish(task, out, "--resume", "--save-every", "60")
    ours, expected = bits(out), bits(whole)
    assert ours == expected


def test_ctrl_c_is_one_line_and_loses_nothing(task, whole, tmp_path):
    out = tmp_path / "run"
    process = program(task, out, *RUNS[task])
    while not (out / "checkpoint.npz").exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (130, 1)
    assert "--resume goes on from there" in err
    finish(task, out, "--resume")
    assert bits(out) == bits(whole)


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stays(task, whole, tmp_path):
    """The largest file that the process may write is made too small for a checkpoint, in the middle of a run."""
    out = tmp_path / "run"
    kill_at_random(task, out, 1)
    before = (out / "checkpoint.npz").read_bytes()
    args = ["train", task, "--quiet", "--out", str(out), "--resume", "--save-every", "0"]
    command = [sys.executable, "-c", LIMITED, str(len(before) // 2), *args]
    full = subprocess.run(command, capture_output=True, text=True)
    assert (full.returncode, full.stderr.count("\n")) == (2, 1)
    assert "checkpoint.npz: cannot be written: File too large" in full.stderr
    assert (out / "checkpoint.npz").read_bytes() == before
    assert not list(out.glob("*.tmp*"))
    finish(task, out, "--resume", "--save-every", "60")
    assert bits(out) == bits(whole)
    assert np.isfinite(record(out)["results"]["best_epoch"])
