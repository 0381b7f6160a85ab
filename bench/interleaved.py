"""Starts time_one.py in processes of their own, ours and theirs in turn, one at work and the other asleep, and keeps their clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from . import machine, steady
from .cases import CELLS, TRAIN, gates, sizes
from .parity import RefusedError

Job = tuple[str, str, str]  # cell, shape, pass
ROOT = Path(__file__).parent.parent
MOST_SHARE = 2.0
OVER = subprocess.TimeoutExpired


class Clock:
    """A timer for pytest-benchmark that moves by what the processes measured, not by how long they took to start."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def play(self, milliseconds: list[float]) -> Callable[[], None]:
        """A call that moves the clock on by the first of them, the next call by the next."""
        left = iter(milliseconds)

        def move() -> None:
            self.seconds += next(left) / 1e3

        return move


clock = Clock()
deadline: float | None = None  # time.monotonic() at which a process is stopped


def seconds_left() -> float | None:
    return None if deadline is None else max(1.0, deadline - time.monotonic())


def command(impl: str, jobs: tuple[Job, ...], seconds: float, folder: Path | None, *options: str) -> dict[str, Any]:
    """What starts time_one.py: this one, or that of another checkout of the project."""
    module, path = f"{__package__}.time_one", sys.path
    if folder is not None:
        module, path = "bench.time_one", [str(folder), *(entry for entry in sys.path if entry not in ("", str(ROOT)))]
    words = [sys.executable, "-m", module, "--impl", impl, "--seconds", str(seconds), *options, *(":".join(job) for job in jobs)]
    env = {**os.environ, **machine.thread_settings(), "PYTHONPATH": os.pathsep.join(filter(None, path))}
    env.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    if impl in ("torch", "keras", "keras-xla", "blocklstm"):
        env["CUDA_VISIBLE_DEVICES"] = ""  # they are peers on the CPU
    if "--memory" in options:
        env.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_TRIM_THRESHOLD_="65536")  # what is freed goes back at once
    return {"args": words, "env": env, "text": True, "cwd": folder}


def process(impl: str, jobs: tuple[Job, ...], seconds: float, memory: bool = False) -> list[dict[str, Any]]:
    """Run the jobs of one implementation in one new process; one dict per job, as time_one.py prints it.

    Raises RefusedError for a job that fails parity, or that the implementation cannot do; RuntimeError if the process fails;
    subprocess.TimeoutExpired at the deadline.
    """
    start = command(impl, jobs, seconds, None, *["--memory"] * memory)
    done = subprocess.run(**start, capture_output=True, check=False, timeout=seconds_left())
    if done.returncode:
        raise RuntimeError(f"{impl}: {last_line(done.stderr)}")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for job, result in zip(jobs, found, strict=True):
        check_timed(impl, job, result)
    return found


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def check_timed(impl: str, job: Job, result: dict[str, Any]) -> None:
    if reason := result.get("refused") or result.get("cannot"):
        raise RefusedError(reason if "refused" in result else f"{impl}, {' '.join(job)}: {reason}")


def paired_ratio(theirs: list[float], ours: list[float]) -> float:
    """The median over the pairs of their time by ours: above 1 we are faster."""
    return median(t / o for t, o in zip(theirs, ours, strict=True))


class Waiting:
    """A process that has a job ready and times it when it is asked; in between it sleeps. Raises what `process` raises."""

    def __init__(self, impl: str, job: Job, seconds: float, folder: Path | None = None) -> None:
        self.impl, self.errors = impl, tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by __exit__
        start = command(impl, (job,), seconds, folder, "--turns")
        self.process = subprocess.Popen(**start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        try:
            check_timed(impl, job, found := self.answer())
            if folder is not None and not Path(found["package"]).is_relative_to(folder.resolve()):
                raise RuntimeError(f"expected the package of {folder}, Python found {found['package']}")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def answer(self) -> dict[str, Any]:
        """The next line of JSON."""
        assert self.process.stdout is not None
        timer = None if (left := seconds_left()) is None else threading.Timer(left, self.process.kill)
        if timer:
            timer.start()
        try:
            while line := self.process.stdout.readline():
                if line.startswith("{"):
                    return json.loads(line)
        finally:
            if timer:
                timer.cancel()
        self.process.wait()
        if deadline is not None and time.monotonic() >= deadline:
            raise subprocess.TimeoutExpired(self.process.args, left or 0.0)
        self.errors.seek(0)
        raise RuntimeError(f"{self.impl}: {last_line(self.errors.read())}")

    def turn(self) -> dict[str, Any]:
        """Time the job once more: ms, waited."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()


class Pairs(NamedTuple):
    """Two implementations, in turn: milliseconds of each, and the share of their time that both waited."""

    ours: list[float]
    theirs: list[float]
    waited: list[float]

    def ratios(self) -> list[float]:
        """Their time by ours, pair by pair: above 1 we are faster."""
        return [t / o for t, o in zip(self.theirs, self.ours, strict=True)]

    def fields(self) -> dict[str, Any]:
        """What a row says of them."""
        ratios = self.ratios()
        more = steady.verdict_fields(steady.spread_of_ratios(ratios), median(self.waited))
        return {"ours_ms": self.ours, "theirs_ms": self.theirs, "ratio": median(ratios), "interval": steady.interval(ratios), **more}


def in_turn(ours: Callable[[], Waiting], theirs: Callable[[], Waiting], rounds: int, turns: int) -> Pairs:
    """`rounds` times a process of each, and `turns` turns of both; once more in the same processes where those were unsteady."""
    every = Pairs([], [], [])
    for _ in range(rounds):
        with ours() as own, theirs() as other:
            found = some_turns(own, other, turns)
            if found.fields()["unsteady"]:
                found = min(found, some_turns(own, other, turns), key=lambda pairs: pairs.fields()["spread"] + median(pairs.waited))
        for kept, new in zip(every, found):
            kept.extend(new)
    return every


def some_turns(own: Waiting, other: Waiting, turns: int) -> Pairs:
    found = [(own.turn(), other.turn()) for _ in range(turns)]
    waited = [(a["waited"] + b["waited"]) / 2 for a, b in found]
    return Pairs([a["ms"] for a, _ in found], [b["ms"] for _, b in found], waited)


@cache
def together(impl: str, jobs: tuple[Job, ...], seconds: float, memory: bool = False) -> dict[Job, dict[str, Any]]:
    """All jobs of one implementation in one process, run when the first of them is asked for."""
    return dict(zip(jobs, process(impl, jobs, seconds, memory)))


def bound(job: Job, seconds: float, again: bool = False) -> float:
    """Milliseconds of the matrix products that a job cannot avoid, by NumPy. `again`: the first time looks wrong."""
    cell, shape, what = job
    return products(gates(cell), sizes(shape), what == TRAIN, seconds, again)


@cache
def products(G: int, shape: tuple[int, int, int, int], train: bool, seconds: float, again: bool) -> float:
    """The bound depends on this much: cells with as many gates share it, and so do the passes that run forward alone."""
    cell = next(name for name in CELLS if gates(name) == G)
    job = (cell, ",".join(map(str, shape)), TRAIN if train else "forward")
    return process("gemm", (job,), seconds)[0]["min_ms"]


def share_of_bound(job: Job, ms: float, seconds: float) -> dict[str, float]:
    """bound_ms, and share = bound_ms / ms; no share where it is nonsense, and stays so when the products are timed again.

    The products alone, by NumPy, take longer than a pass whose products are quicker, but not MOST_SHARE times longer: then one of
    the two times is wrong.
    """
    bound_ms = bound(job, seconds)
    if bound_ms / ms > MOST_SHARE:
        bound_ms = min(bound_ms, bound(job, seconds, again=True))
    return {"bound_ms": bound_ms, **({"share": bound_ms / ms} if bound_ms / ms <= MOST_SHARE else {})}
