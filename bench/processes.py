"""Libraries timed beside each other: each in a process of its own, in turn, the best of several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from . import machine

SECONDS = 1.0  # of timing of a pass


def fastest(run: Callable[[], Any]) -> float:
    """Milliseconds of the fastest call within SECONDS, after one that is not counted."""
    times: list[float] = []
    run()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def process(module: str, library: str, case: str) -> dict[str, float]:
    """What `python -m MODULE --one LIBRARY --cases CASE` prints last: name -> milliseconds. Raises RuntimeError with its last line."""
    command = [sys.executable, "-m", module, "--one", library, "--cases", case]
    env = {**os.environ, **machine.thread_settings(), "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"{library}, {case}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def best(module: str, libraries: list[str], case: str, rounds: int) -> dict[str, dict[str, float]]:
    """Library -> what `process` gives, the least of so many rounds; every other round they come the other way round."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in libraries}
    for k in range(rounds):
        for name in libraries[:: 1 if k % 2 == 0 else -1]:
            found[name].append(process(module, name, case))
    return {name: {what: min(times[what] for times in all_times) for what in all_times[0]} for name, all_times in found.items()}
