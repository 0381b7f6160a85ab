"""The sequence tier on tensor cores, in the emulator, and what it may be off: the reference rounded at the same places."""

from __future__ import annotations

import numpy as np

from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.gpu.planner import Tiles
from rnn_from_scratch.backends.gpu.storage import storage_dtype
from rnn_from_scratch.measure import budget, compare, error
from rnn_from_scratch.verify.cases import cast, solve, solve_rounded

from .sequence_cases import on_device

STORAGES = ("float16", "bfloat16", None)  # None: float32, in three products of TF32
SMALL = Tiles(own=2, rows=8, threads=32, chunk=16, held=False)  # three blocks for 5 units
VARIANTS = {
    "in registers": SMALL._replace(chunk=512, held=True),
    "layers of warps": Tiles(3, 8, 96, 512, False),
    "layers of warps, in registers": Tiles(5, 8, 96, 512, True),
    "two chunks, two warps": Tiles(3, 16, 64, 16, False),
    "one block, no barrier": Tiles(24, 8, 32, 32, False),
    "several passes": Tiles(20, 16, 64, 16, False),
    "several passes, in registers": Tiles(20, 24, 64, 2048, True),
}


def measured(p, tiles, storage, seed=0):
    """(the worst array, its error, what it may be off), beside the reference in float64."""
    truth = solve(cast(p, "float64"))
    own = solve_rounded(p, storage_dtype(storage), factors=True) if storage else solve(p)
    ours, _ = on_device(p, emulated.EmulatedDevice(seed, tiles=tiles), storage, "tensor")
    budgets = {name: budget(name, error(own[name], truth[name])) for name in truth}
    return compare({n: np.asarray(a, np.float64) for n, a in ours.items()}, truth, budgets)


def check(p, tiles, storage):
    worst, e, allowed = measured(p, tiles, storage)
    assert e <= allowed, f"{worst} is off by {e:.2g}, allowed {allowed:.2g}"
