"""How many threads the native backend runs on: RNN_NUM_THREADS, or as many as there are cores; set_num_threads overrules both.

OMP_NUM_THREADS and a container's quota of CPU time lower the number of cores that count.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import numpy as np


def set_num_threads(count: int | None) -> None:
    """Set how many threads the native backend uses from now on, in this process.

    count   at least 1; None returns to the default: RNN_NUM_THREADS, or one for each core that the process may use

    The results are the same bits for any count. Raises ValueError for anything else.

    >>> from rnn_from_scratch import backends
    >>> backends.set_num_threads(2)
    >>> backends.num_threads()
    2
    >>> backends.set_num_threads(None)
    """
    if count is not None and (not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1):
        raise ValueError(f"count: expected an integer of at least 1, or None, got {count!r}")
    chosen.value = int(count or 0)


def num_threads() -> int:
    """How many threads a call of the native backend may use; small calls use fewer.

    Takes nothing: what set_num_threads was told, else the default. Raises ValueError if RNN_NUM_THREADS or OMP_NUM_THREADS is no
    number of at least 1.
    """
    return chosen.value or default_threads()


chosen = ctypes.c_int64(0)  # 0: the default; the kernels read it where TensorFlow calls them


@cache
def default_threads() -> int:
    wanted = {name: os.environ.get(name, "").split(",")[0].strip() for name in ("RNN_NUM_THREADS", "OMP_NUM_THREADS")}
    for name, text in wanted.items():
        if text and (not text.isdecimal() or int(text) < 1):
            raise ValueError(f"{name}: expected an integer of at least 1, got {text!r}")
    if wanted["RNN_NUM_THREADS"]:
        return int(wanted["RNN_NUM_THREADS"])
    return max(1, min(cores(), quota(), int(wanted["OMP_NUM_THREADS"] or cores())))


def use_team(library: ctypes.CDLL, openmp: ctypes.CDLL | None) -> None:
    """Run the kernels of `library` on the threads of an OpenMP runtime with GNU's entry points; None: on their own again."""
    functions = [getattr(openmp, name) for name in ("GOMP_parallel", "omp_get_num_threads")] if openmp is not None else [None, None]
    library.rnn_use_team(*(ctypes.cast(function, ctypes.c_void_p) if function is not None else None for function in functions))


def cores() -> int:
    """Physical cores that this process may use: two threads on one core only get in each other's way."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len({read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in allowed})


def quota() -> int:
    """The cores' worth of CPU time that a Linux control group (version 2, else 1) grants a container, rounded up."""
    time, period = (read("/sys/fs/cgroup/cpu.max") or "max 1").split()[:2]
    if time == "max":
        time, period = (read(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us") or "-1" for name in ("quota", "period"))
    return -(-int(time) // int(period)) if int(time) > 0 else 1 << 20


def read(file: str | Path) -> str:
    """The text of a small file, empty if there is none."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
