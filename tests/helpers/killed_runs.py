"""Real processes that train, are killed, and go on."""

import os
import random
import signal
import subprocess
import sys
import time

# small, but minutes of the book's kinds: carried states, dropout, a mid-epoch checkpoint after every batch
RUNS = {
    "char": ["--units", "16", "--batch-size", "100", "--epochs", "2", "--dropout", "0.1"],
    "mnist-rnn": ["--units", "20", "--epochs", "8", "--batch-size", "25"],
    "word2vec": ["--vocabulary", "2000", "--embedding", "20", "--batches", "6000", "--epochs", "2"],
    "translate": ["--units", "16", "--epochs", "2", "--dropout", "0.1"],
}


def program(task, out, *args):
    command = [sys.executable, "-m", "rnn_from_scratch", "train", task, "--quiet", "--out", str(out), *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(task, out, *args):
    out_text, err = (process := program(task, out, *args)).communicate(timeout=600)
    assert (process.returncode, out_text, err) == (0, "", "")


rng = random.Random(0)


def kill_at_random(task, out, times):
    """Begin or resume, and kill -9 at a random moment of the training, so many times. Returns how many did strike."""
    struck = 0
    for _ in range(times):
        resume = (out / "checkpoint.npz").exists()
        process = program(task, out, *(["--resume"] if resume else RUNS[task]), "--save-every", "0.2")
        before = (out / "checkpoint.npz").stat().st_mtime_ns if resume else 0
        while process.poll() is None and (not (out / "checkpoint.npz").exists() or (out / "checkpoint.npz").stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            struck += 1
        process.communicate(timeout=60)
    return struck
