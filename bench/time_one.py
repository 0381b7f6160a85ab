"""Time one implementation, alone in its process: the thread pools of two libraries in one process slow each other many times over.

    python -m bench.time_one --impl torch --seconds 0.6 LSTM:mnist:forward+backward GRU:1,100,64,128:inference

Prints one JSON line per job: ms (median), min_ms, samples, waited (steady.py); or refused, or cannot, with the reason.
--memory measures no time but peak_bytes: how much more this pass takes than a process that only loaded the library.
--turns gets one job ready, prints which package it runs, and then times it once more for each line of its input.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rnn_from_scratch
from rnn_from_scratch import backends

from . import parity, steady
from .cases import STEP, problem
from .peers import PEERS

SAMPLE = 0.02  # seconds: a sample is as many calls as fill this


def measure(run: Callable[[], Any], seconds: float, least: int) -> dict[str, Any]:
    """Milliseconds of one call, from at least so many samples, for at least `seconds`, after a call to warm up."""
    run()
    samples: list[float] = []
    watch, start = steady.Watch(), time.perf_counter()
    while len(samples) < least or time.perf_counter() - start < seconds:
        calls, began = 0, time.perf_counter()
        while not calls or time.perf_counter() - began < SAMPLE:
            run()
            calls += 1
        samples.append((time.perf_counter() - began) / calls * 1e3)
    samples.sort()
    return {"ms": samples[len(samples) // 2], "min_ms": samples[0], "samples": len(samples), "waited": watch.waited()}


def ready(impl: str, job: tuple[str, str, str]) -> tuple[Callable[[], Any] | None, dict[str, Any]]:
    """The pass as a call without arguments, or None and why it is not timed."""
    cell, shape, what = job
    p = problem(cell, shape)
    if reason := PEERS[impl].cannot(p, what):
        return None, {"cannot": reason}
    run, arrays = PEERS[impl].build(p, what)
    try:
        if impl in backends.BACKENDS and what != STEP:
            parity.check(cell, shape, "plain", impl)
        elif arrays is not None:
            parity.check_peer(impl, cell, shape, *arrays(run()))
    except parity.RefusedError as refusal:
        return None, {"refused": str(refusal)}
    return run, {"package": str(Path(rnn_from_scratch.__file__).parent)}


def time_job(impl: str, job: tuple[str, str, str], seconds: float) -> dict[str, Any]:
    run, found = ready(impl, job)
    if run is None:
        return found
    time.sleep(0.1)  # NumPy's threads, which the check woke, spin for some milliseconds before they sleep
    return measure(run, seconds, least=3)


def take_turns(impl: str, job: tuple[str, str, str], seconds: float) -> None:
    """Time the job once more for each line of the input."""
    run, found = ready(impl, job)
    print(json.dumps(found), flush=True)
    for _ in sys.stdin if run is not None else ():
        time.sleep(0.02)  # the threads of the other process spin before they sleep
        assert run is not None
        print(json.dumps(measure(run, seconds, least=1)), flush=True)


def resident(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (the most since the mark was cleared)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def memory_jobs(impl: str, jobs: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """The peak of each pass over what the process held after the same pass on one row of two steps. Linux alone tells."""
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        return [{"cannot": "peak memory: only Linux tells it"} for _ in jobs]
    cell, shape, what = jobs[0]
    I, H = map(int, shape.split(",")[2:])
    PEERS[impl].build(problem(cell, f"1,2,{I},{H}"), what)[0]()
    floor, found = resident("VmRSS"), []
    for cell, shape, what in jobs:
        run, _ = PEERS[impl].build(problem(cell, shape), what)
        clear.write_text("5", encoding="utf-8")  # starts VmHWM again
        run()
        found.append({"peak_bytes": resident("VmHWM") - floor})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--impl", choices=sorted(PEERS), required=True)
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--turns", action="store_true")
    parser.add_argument("jobs", nargs="+", metavar="CELL:SHAPE:PASS")
    given = parser.parse_args()
    jobs: list[Any] = [tuple(job.split(":")) for job in given.jobs]
    if given.turns:
        take_turns(given.impl, jobs[0], given.seconds)
        return
    found = memory_jobs(given.impl, jobs) if given.memory else (time_job(given.impl, job, given.seconds) for job in jobs)
    for result in found:
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
