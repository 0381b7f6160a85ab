"""Which tier of the CUDA kernels runs a call, and with which tiles: from the numbers of the device and a model of time.

    step        a product and a pointwise kernel for each step (step.cu): every cell, every size, every device
    sequence    the whole time loop in one launch (sequence.cu), if the recurrent weights fit on chip and the model says it wins

RNN_GPU_TIER=step or =sequence decides instead of the model. Sizes below count elements unless they say bytes; times are us.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .model import Costs, at_once, may_be_off, sequence_us, span, step_us, up

TIERS = ("step", "sequence")
ROWS = (1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64)
GAVE_UP = "sequence.cu: a block waited in vain for the others of its row group, and the results are NaN; RNN_GPU_TIER=step avoids it"
CHUNKS = (512, 256, 128, 64, 32)


class Limits(NamedTuple):
    """What a device is, as its attributes say it."""

    name: str
    multiprocessors: int
    shared: int  # bytes that one block may ask for
    clock: float  # GHz
    lanes: int  # float32 fused multiply-adds of a multiprocessor in one clock
    lanes64: int  # float64
    cache: int  # bytes of the level 2 cache
    memory: float  # TB/s of the device's memory
    cooperative: bool = True  # can blocks wait for each other?
    threads: tuple[int, ...] = (256, 512)  # sizes of a block to try
    capability: tuple[int, int] = (0, 0)  # what tensor cores it has: tensor.py


class Tiles(NamedTuple):
    """The macros of sequence.cu: a block owns `own` units of `rows` rows with `threads` threads."""

    own: int
    rows: int
    threads: int
    chunk: int
    held: bool  # weights in registers


class Plan(NamedTuple):
    """How a call runs. us: predicted for a step forward and a step backward, of both tiers (None: that tier cannot); off: the
    factor by which each of these predictions may be wrong, up or down."""

    tier: str
    reason: str
    tiles: Tiles | None
    grid: tuple[int, int]  # blocks of a row group, row groups
    shared: int  # bytes of a block
    us: dict[str, tuple[float, float] | None]
    off: dict[str, float] | None = None

    def __str__(self) -> str:
        if self.tiles is None:
            return f"step tier: {self.reason}"
        (slices, groups), t = self.grid, self.tiles
        weights = "registers" if t.held else "shared memory"
        where = f"{slices} x {groups} blocks of {t.threads} threads, each {t.own} units x {t.rows} rows, weights in {weights}"
        return f"sequence tier: {where}, {self.shared / 1024:.0f} KB; {self.reason}"


class Sizes(NamedTuple):
    """What a Product of product.h takes: elements of shared memory, and of registers in a thread."""

    weights: int
    tile: int
    sums: int
    held: int
    split: int
    passes: int
    chunks: int
    rounds: int = 1  # tiles, one after the other
    loads: int = 1  # groups of four that a thread brings of each tile
    loops: int = 0  # of all warps: 4 k, RM rows and 4 columns for each thread
    rm: int = 1


def product_sizes(parts: int, K: int, columns: int, tiles: Tiles) -> Sizes | None:
    """As product.h computes them; None if it would refuse."""
    width = 4 * up(columns, 4)
    across = width // 4
    rm = 4 if tiles.rows % 4 == 0 else 2 if tiles.rows % 2 == 0 else 1
    groups, kc = tiles.rows // rm, min(tiles.chunk, K)
    chunks = up(K, kc)
    if across > tiles.threads or (tiles.held and chunks > 1):
        return None
    down = 1 if tiles.held else min(groups, tiles.threads // across)
    split = min(tiles.threads // (across * down), K // 4, 64 if tiles.held else 32)
    turns = up(kc // 4, split)
    weights = 0 if tiles.held else parts * K * width
    held = parts * turns * 16 if tiles.held else 0
    sum_line, passes = width + 4 * (width % 8 == 0) + 8 * (width % 32 == 0), up(groups, down)
    rounds = parts * (passes * chunks if chunks > 1 else 1)
    loads = up(tiles.rows * (kc // 4), tiles.threads)
    loops = up(across * down * split, 32) * turns * parts * passes * chunks
    sums = parts * split * tiles.rows * sum_line
    return Sizes(weights, tiles.rows * (kc + 4), sums, held, split, passes, chunks, rounds, loads, loops, rm)


def pass_sizes(cell: Any, H: int, per_gate: bool, tiles: Tiles, backward: bool) -> list[Sizes] | None:
    """Of the products of one pass, one for each phase."""
    padded, sizes = 4 * up(H, 4), []
    for gates in cell.phases:
        parts, joined = (len(gates), 1) if per_gate else (1, len(gates))
        K, columns = (joined * padded, tiles.own) if backward else (padded, joined * tiles.own)
        sizes.append(product_sizes(parts, K, columns, tiles))
    return None if None in sizes else sizes  # type: ignore[return-value]


def shared_bytes(sizes: list[Sizes], item: int) -> int:
    """Dynamic shared memory of a kernel; the phases share the tile and the sums."""
    return item * (sum(s.weights for s in sizes) + max(s.tile for s in sizes) + max(s.sums for s in sizes))


def registers(cell: Any, sizes: list[Sizes], tiles: Tiles, item: int, per_gate: bool) -> int:
    """A careful guess of what a thread needs; the static checks compile the planned shapes and look for spills."""
    pairs = up(tiles.rows * tiles.own, tiles.threads)
    per_pair = 4 * len(cell.states) + 4 * len(cell.gates) + 2 * len(cell.extras) + 10
    parts = 14 * (max(map(len, cell.phases)) - 1) if per_gate else 0  # addresses of the gates' operands, of 32 bits in any dtype
    ahead = max(4 * min(s.loads, at_once(item)) for s in sizes)  # numbers of the next tile
    base = 78 + 5 * item + 24 * (len(sizes) - 1) + parts
    return base + item // 4 * (ahead + sum(s.held for s in sizes) + pairs * per_pair)


def candidates(limits: Limits, cell: Any, B: int, H: int, item: int, per_gate: bool) -> Iterator[tuple[Tiles, int, list, list]]:
    """Every choice of tiles that the device can run: tiles, bytes of shared memory, sizes forward and backward."""
    owns = sorted({up(H, slices) for slices in range(1, min(H, limits.multiprocessors) + 1)})
    for own in owns:
        for rows in ROWS:
            if up(H, own) * up(B, rows) > limits.multiprocessors or (rows > 1 and rows >= 2 * B):
                continue
            for threads in limits.threads:
                for held in (False, True):
                    for chunk in (4 * len(cell.gates) * up(H, 4),) if held else CHUNKS:
                        tiles = Tiles(own, rows, threads, chunk, held)
                        ahead, back = (pass_sizes(cell, H, per_gate, tiles, backward) for backward in (False, True))
                        if ahead is None or back is None:
                            continue
                        shared = max(shared_bytes(ahead, item), shared_bytes(back, item))
                        most = max(registers(cell, sizes, tiles, item, per_gate) for sizes in (ahead, back))
                        if shared <= limits.shared and most <= min(255, 65536 // threads):
                            yield tiles, shared, ahead, back
                            if max(s.loads for s in (*ahead, *back)) <= at_once(item):
                                break  # a smaller chunk brings nothing


@lru_cache(maxsize=1024)
def best_tiles(limits: Limits, costs: Costs, cell: Any, B: int, H: int, item: int, per_gate: bool) -> tuple | None:
    """(us of a step forward and backward, tiles, bytes of shared memory) of the quickest choice; None if nothing fits."""
    best = None
    for tiles, shared, ahead, back in candidates(limits, cell, B, H, item, per_gate):
        us = tuple(sequence_us(limits, costs, cell, H, item, tiles, s, i == 1) for i, s in enumerate((ahead, back)))
        if best is None or sum(us) < sum(best[0]):
            best = us, tiles, shared
    return best


@lru_cache(maxsize=1024)
def uncertain(limits: Limits, costs: Costs, cell: Any, B: int, H: int, item: int, per_gate: bool, tiles: Tiles | None) -> float:
    """The factor by which a step forward and backward may be off: with these tiles, or (None) with a launch for each step."""
    if tiles is None:
        return may_be_off(lambda c: sum(step_us(limits, c, cell, B, H, item, back) for back in (False, True)), costs)
    ahead, back = (pass_sizes(cell, H, per_gate, tiles, backward) for backward in (False, True))
    passes = [(s, s is back) for s in (ahead, back) if s]
    return may_be_off(lambda c: sum(sequence_us(limits, c, cell, H, item, tiles, s, is_back) for s, is_back in passes), costs)


def plan(
    limits: Limits, cell: Any, B: int, H: int, dtype: Any, per_gate: bool = False, costs: Costs | None = None, default: str = ""
) -> Plan:
    """The plan for one batch. dtype: of the arithmetic. per_gate: h_scale differs from gate to gate. default: the tier to
    take if RNN_GPU_TIER is not set, in place of the model's choice.

    Raises ValueError if RNN_GPU_TIER names no tier, or asks for the sequence tier where it cannot run.
    """
    costs, item = costs or Costs(), np.dtype(dtype).itemsize
    forced = os.environ.get("RNN_GPU_TIER") or default
    if forced not in ("", *TIERS):
        raise ValueError(f"RNN_GPU_TIER: expected step or sequence, got {forced!r}")
    step = step_us(limits, costs, cell, B, H, item, False), step_us(limits, costs, cell, B, H, item, True)
    best = best_tiles(limits, costs, cell, B, H, item, per_gate) if limits.cooperative and B else None
    us = {"step": step, "sequence": best[0] if best else None}
    case = limits, costs, cell, B, H, item, per_gate
    off = {"step": uncertain(*case, None), "sequence": uncertain(*case, best[1]) if best else 1.0}

    def stay(reason: str) -> Plan:
        return Plan("step", reason, None, (0, 0), 0, us, off)

    if forced == "step":
        return stay("it was asked for")
    if best is None:
        size = item * len(cell.gates) * H * H / 2**20
        alone = f"blocks cannot wait for each other on {limits.name}: that takes cooperative launches and compute capability 7.0"
        why = "the batch is empty" if limits.cooperative else alone
        if limits.cooperative and B:
            room = f"{limits.shared / 1024:.0f} KB and the registers of {limits.multiprocessors} multiprocessors"
            why = f"Wh ({size:.1f} MB) and {B} rows do not fit into {room}"
        if forced and B:
            raise ValueError(f"RNN_GPU_TIER=sequence: cannot run: {why}; use RNN_GPU_TIER=step")
        return stay(why)
    there, here = sum(best[0]), sum(step)
    one, many = span(there, off["sequence"]), span(here, off["step"])
    unsure = "; too close to be sure" if max(there, here) / min(there, here) < off["sequence"] * off["step"] else ""
    if not forced and there >= here:
        return stay(f"{many} predicted for a step forward and backward, {one} in one launch{unsure}")
    reason = f"{one} predicted for a step forward and backward, {many} with a launch per step{unsure}"
    _, tiles, shared = best
    return Plan("sequence", "it was asked for" if forced else reason, tiles, (up(H, tiles.own), up(B, tiles.rows)), shared, us, off)


def with_tiles(tiles: Tiles, cell: Any, B: int, H: int, dtype: Any, per_gate: bool) -> Plan:
    """The plan with tiles that the caller chose. Raises ValueError if product.h would refuse them."""
    passes = [pass_sizes(cell, H, per_gate, tiles, backward) for backward in (False, True)]
    if None in passes:
        raise ValueError(f"tiles: {tiles} do not go together for H = {H}")
    shared = max(shared_bytes(sizes, np.dtype(dtype).itemsize) for sizes in passes if sizes)
    return Plan("sequence", "tiles given", tiles, (up(H, tiles.own), up(B, tiles.rows)), shared, {})
