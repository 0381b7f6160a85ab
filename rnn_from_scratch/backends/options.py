"""Checks of those options of forward that only some backends have."""

from __future__ import annotations

import numpy as np

from ..typing import Array

STORAGES = ("float16", "bfloat16")


def check_storage(storage: str | None, name: str, x: Array) -> None:
    """Raise ValueError or TypeError unless the backend can keep 16 bits of this x."""
    if storage is None:
        return
    if storage not in STORAGES:
        raise ValueError(f"storage: expected None or one of {', '.join(STORAGES)}, got {storage!r}")
    if name not in ("cuda", "emulated"):
        raise ValueError(f"storage: only the backends cuda and emulated keep 16 bits, got backend={name!r}")
    if x.dtype != np.float32:
        raise TypeError(f"storage: 16 bits are kept of float32 arithmetic, got x of {x.dtype}")


def check_recompute(every: int | None, name: str, save: bool) -> None:
    """Raise ValueError unless the backend can keep the states of every so many steps only."""
    if every is None:
        return
    if not isinstance(every, (int, np.integer)) or isinstance(every, bool) or every < 1:
        raise ValueError(f"recompute_every: expected None or an integer of at least 1, got {every!r}")
    if name not in ("native", "reference"):
        raise ValueError(f"recompute_every: only the backends native and reference recompute, got backend={name!r}")
    if not save:
        raise ValueError("recompute_every: there is no tape with save=False; leave one of the two out")
