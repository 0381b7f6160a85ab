"""Starts time_one.py in processes of their own, one at a time, ours and theirs in turn, and keeps the clock that they report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import cache
from statistics import median
from typing import Any

from . import machine
from .cases import CELLS, TRAIN, gates, sizes
from .parity import RefusedError

Job = tuple[str, str, str]  # cell, shape, pass


class Clock:
    """A timer for pytest-benchmark that moves by what the processes measured, not by how long they took to start."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


clock = Clock()
deadline: float | None = None  # time.monotonic() at which a process is stopped


def process(impl: str, jobs: tuple[Job, ...], seconds: float, memory: bool = False) -> list[dict[str, Any]]:
    """Run the jobs of one implementation in one new process; one dict per job, as time_one.py prints it.

    Raises RefusedError for a job that fails parity, or that the implementation cannot do; RuntimeError if the process fails;
    subprocess.TimeoutExpired at the deadline.
    """
    command = [sys.executable, "-m", f"{__package__}.time_one", "--impl", impl, "--seconds", str(seconds)]
    command += ["--memory"] * memory + [":".join(job) for job in jobs]
    env = {**os.environ, **machine.thread_settings(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    env.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    if impl in ("torch", "keras", "keras-xla", "blocklstm"):
        env["CUDA_VISIBLE_DEVICES"] = ""  # they are peers on the CPU
    if memory:
        env.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")  # what is freed goes back at once
    left = None if deadline is None else max(1.0, deadline - time.monotonic())
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=left)
    if done.returncode:
        raise RuntimeError(f"{impl}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for job, result in zip(jobs, found, strict=True):
        if reason := result.get("refused") or result.get("cannot"):
            raise RefusedError(reason if "refused" in result else f"{impl}, {' '.join(job)}: {reason}")
    return found


def turn(impl: str, job: Job, seconds: float) -> float:
    """One turn of one implementation: milliseconds (median). Moves the clock."""
    ms = process(impl, (job,), seconds)[0]["ms"]
    clock.seconds += ms / 1e3
    return ms


@cache
def together(impl: str, jobs: tuple[Job, ...], seconds: float, memory: bool = False) -> dict[Job, dict[str, Any]]:
    """All jobs of one implementation in one process, run when the first of them is asked for."""
    return dict(zip(jobs, process(impl, jobs, seconds, memory)))


def bound(job: Job, seconds: float) -> float:
    """Milliseconds of the matrix products that a job cannot avoid."""
    cell, shape, what = job
    return products(gates(cell), sizes(shape), what == TRAIN, seconds)


@cache
def products(G: int, shape: tuple[int, int, int, int], train: bool, seconds: float) -> float:
    """The bound depends on this much: cells with as many gates share it, and so do the passes that run forward alone."""
    cell = next(name for name in CELLS if gates(name) == G)
    job = (cell, ",".join(map(str, shape)), TRAIN if train else "forward")
    return process("gemm", (job,), seconds)[0]["ms"]


def paired_ratio(theirs: list[float], ours: list[float]) -> float:
    """The median over the rounds of their time by ours: above 1 we are faster."""
    return median(t / o for t, o in zip(theirs, ours, strict=True))
