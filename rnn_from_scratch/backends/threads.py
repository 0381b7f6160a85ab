"""How many threads the native backend runs on: RNN_NUM_THREADS, or as many as there are cores; set_num_threads overrules both.

OMP_NUM_THREADS and a container's quota of CPU time lower the number of cores that count.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np

def set_num_threads(count: int | None) -> None:
    """The number of threads of the native backend from now on; None returns to the default. Raises ValueError."""
    if count is not None and (not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1):
        raise ValueError(f"count: expected an integer of at least 1, or None, got {count!r}")
    chosen[:] = [] if count is None else [int(count)]


def num_threads() -> int:
    """How many threads a call may use; small calls use fewer."""
    return chosen[0] if chosen else default_threads()


chosen: list[int] = []


@cache
def default_threads() -> int:
    for name in ("RNN_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text and (not text.isdecimal() or int(text) < 1):
            raise ValueError(f"{name}: expected an integer of at least 1, got {text!r}")
        if text and name == "RNN_NUM_THREADS":
            return int(text)
        if text:
            return min(int(text), cores())
    return cores()


def cores() -> int:
    """Physical cores that this process may use, at most the container's quota of CPU time."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    siblings = {read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in allowed}
    quota, period = (read("/sys/fs/cgroup/cpu.max") or "max 0").split()[:2]
    if quota == "max":
        quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") or "-1"
        period = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us") or "0"
    if int(quota) > 0 and int(period) > 0:
        return max(1, min(len(siblings), -(-int(quota) // int(period))))
    return len(siblings)


def read(file: str | Path) -> str:
    """The text of a small file, empty if there is none."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
