"""The sequence tier on tensor cores: what they need, the tiles of kernels/tensor_product.h, and a prediction of their time.

forward(math="tensor") asks for it, and then nothing else runs: where it cannot, ValueError says why. What is multiplied depends on
storage=: float16 or bfloat16 as they are; float32 as three products of TF32.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from . import planner
from .model import Costs, may_be_off, span, up
from .planner import CHUNKS, Limits, Plan, Sizes, Tiles

ROWS = (8, 16, 24, 32, 40, 48, 64)
# operands -> compute capability that multiplies them
NEEDS = {"float16": (7, 5), "bfloat16": (8, 0), "TF32": (8, 0)}
AT_ONCE = 8  # of tensor_product.h
PRODUCTS = {"float16": 1, "bfloat16": 1, "TF32": 3}  # instructions for one product


LARGE = ((8, 0), (9, 0), (10, 0))
# 16-bit multiply-adds of a multiprocessor in a clock by mma.sync with float32 sums: of LARGE, of others (data sheets); of TF32 half
RATES = (1024, 512)


def operands_of(math: str | None, storage: str | None) -> str | None:
    """What tensor cores multiply in a call, a key of NEEDS; None if none are asked for."""
    return None if math is None else storage or "TF32"


def item(operands: str) -> int:
    """Bytes of a published number."""
    return 4 if operands == "TF32" else 2


def product_sizes(parts: int, K: int, columns: int, tiles: Tiles, size: int) -> Sizes | None:
    """As tensor_product.h computes them, in words of 32 bits; None if it would refuse. size: bytes of an operand."""
    per = 4 // size
    depth, tall = 8 * per, up(columns, 16)
    deep, warps = up(K, depth), tiles.threads // 32
    kc = min(tiles.chunk, deep * depth)
    if tiles.rows % 8 or kc % depth or tiles.threads % 32 or (tiles.held and kc < deep * depth):
        return None
    steps, across = kc // depth, min(tall, warps)
    split, passes = min(warps // across, steps), up(tall, across)
    weights = 0 if tiles.held else parts * tall * deep * 128
    held = parts * passes * up(steps, split) * 4 if tiles.held else 0
    tile, chunks = tiles.rows * (16 * up(kc // per, 16) + 8), up(deep, steps)
    loads = up(tiles.rows * kc * size // 16, tiles.threads)  # of a thread, AT_ONCE of them together
    rounds = parts * (passes * chunks if chunks > 1 else 1) * up(loads, AT_ONCE)
    sums = parts * split * tiles.rows * (16 * tall + (4 if tall % 2 else 20))
    return Sizes(weights, tile, sums, held, split, passes, chunks, rounds, min(loads, AT_ONCE))


def padded(H: int, size: int) -> int:
    """Units in a line of the exchange."""
    return 16 // size * up(H, 16 // size)


def pass_sizes(cell: Any, H: int, per_gate: bool, tiles: Tiles, backward: bool, size: int) -> list[Sizes] | None:
    """Of the products of one pass, one for each phase."""
    sizes, width = [], padded(H, size)
    for gates in cell.phases:
        parts, joined = (len(gates), 1) if per_gate else (1, len(gates))
        K, columns = (joined * width, tiles.own) if backward else (width, joined * tiles.own)
        sizes.append(product_sizes(parts, K, columns, tiles, size))
    return None if None in sizes else sizes  # type: ignore[return-value]


def registers(cell: Any, sizes: list[Sizes], tiles: Tiles, operands: str, per_gate: bool) -> int:
    """A careful guess of what a thread needs; the static checks compile the planned shapes and look for spills."""
    return planner.registers(cell, sizes, tiles, 4, per_gate) + tiles.rows // 2 + (40 if operands == "TF32" else 16)


def shared_bytes(ahead: list[Sizes], back: list[Sizes]) -> int:
    return max(planner.shared_bytes(ahead, 4), planner.shared_bytes(back, 4))


def candidates(limits: Limits, cell: Any, B: int, H: int, operands: str, per_gate: bool) -> Iterator[tuple[Tiles, int, list, list]]:
    """Every choice of tiles that the device can run: tiles, bytes of shared memory, sizes forward and backward."""
    size = item(operands)
    whole = 16 * up(len(cell.gates) * padded(H, size), 16)  # a chunk that holds every k
    for own in sorted({up(H, slices) for slices in range(1, min(H, limits.multiprocessors) + 1)}):
        for rows in ROWS:
            if up(H, own) * up(B, rows) > limits.multiprocessors or (rows > 8 and rows >= 2 * B):
                continue
            for threads in limits.threads:
                for held in (False, True):
                    for chunk in (whole,) if held else (whole, *CHUNKS):
                        tiles = Tiles(own, rows, threads, chunk, held)
                        ahead, back = (pass_sizes(cell, H, per_gate, tiles, backward, size) for backward in (False, True))
                        if ahead is None or back is None:
                            continue
                        shared = shared_bytes(ahead, back)
                        most = max(registers(cell, sizes, tiles, operands, per_gate) for sizes in (ahead, back))
                        if shared <= limits.shared and most <= min(255, 65536 // threads):
                            yield tiles, shared, ahead, back
                            break


def step_us(limits: Limits, costs: Costs, cell: Any, H: int, operands: str, tiles: Tiles, sizes: list[Sizes], backward: bool) -> float:
    """One step, as model.sequence_us: the product is bound by the tensor cores or by shared memory, from where fragments come."""
    clocks, size = limits.clock * 1e3, item(operands)  # clocks in one us
    rate = RATES[limits.capability not in LARGE] / (1 if size == 2 else 2)
    pairs, us = up(tiles.rows * tiles.own, tiles.threads), 0.0
    for gates, s in zip(cell.phases, sizes):
        joined = len(gates)
        K, columns = (joined * H, tiles.own) if backward else (H, joined * tiles.own)
        weights = up(columns, 16) * up(K, 32 // size)  # fragments
        adds = PRODUCTS[operands] * weights * (tiles.rows // 8) * 16 * 8 * (32 // size) / rate
        loads = weights * (256 * (tiles.rows // 8) + (0 if tiles.held else 512)) / costs.banks
        busy = min(s.split * up(columns, 16), tiles.threads // 32) / (tiles.threads // 32)  # warps that have work
        product = max(adds, loads) / busy / costs.efficiency / clocks
        tile = tiles.rows * K * size / (costs.level2 * clocks)
        parts = costs.part * s.split * pairs * (1 if backward else joined)
        barrier = costs.barrier if up(H, tiles.own) > 1 else 0.05
        us += barrier + costs.turn + costs.pair * pairs + costs.chunk * s.rounds + product + tile + parts
    return us


@lru_cache(maxsize=1024)
def best_tiles(limits: Limits, costs: Costs, cell: Any, B: int, H: int, operands: str, per_gate: bool) -> tuple | None:
    """(us of a step forward and backward, tiles, bytes of shared memory) of the quickest choice; None if nothing fits."""
    best = None
    for tiles, shared, ahead, back in candidates(limits, cell, B, H, operands, per_gate):
        us = tuple(step_us(limits, costs, cell, H, operands, tiles, s, i == 1) for i, s in enumerate((ahead, back)))
        if best is None or sum(us) < sum(best[0]):
            best = us, tiles, shared
    return best


def why_not(limits: Limits, operands: str) -> str:
    """Why a device has no such tensor cores; "" if it has."""
    need, has = NEEDS[operands], limits.capability
    if has >= need:
        return ""
    other = "; storage='float16' needs 7.5" if has >= (7, 5) else ""
    return f"products in {operands} need compute capability {need[0]}.{need[1]}, and {limits.name} has {has[0]}.{has[1]}{other}"


@lru_cache(maxsize=1024)
def uncertain(limits: Limits, cell: Any, H: int, operands: str, per_gate: bool, tiles: Tiles) -> float:
    """The factor by which a step forward and backward may be off."""
    ahead, back = (pass_sizes(cell, H, per_gate, tiles, backward, item(operands)) for backward in (False, True))
    passes = [(s, s is back) for s in (ahead, back) if s]
    return may_be_off(lambda costs: sum(step_us(limits, costs, cell, H, operands, tiles, s, is_back) for s, is_back in passes), Costs())


def plan(
    limits: Limits, cell: Any, B: int, H: int, dtype: Any, per_gate: bool = False, operands: str | None = None, default: str = ""
) -> Plan:
    """planner.plan if operands is None; else the plan of one launch on tensor cores that multiply them.

    Raises ValueError if that cannot run: whoever asks for tensor cores by name gets them, or hears why not.
    """
    if operands is None or not B:
        return planner.plan(limits, cell, B, H, dtype, per_gate, default=default)
    if os.environ.get("RNN_GPU_TIER") == "step":
        raise ValueError("math: 'tensor' is a matter of the sequence tier, and RNN_GPU_TIER=step asks for the other; leave one out")
    if not limits.cooperative:
        raise ValueError(f"math: 'tensor': blocks cannot wait for each other on {limits.name}; leave math= out")
    if why := why_not(limits, operands):
        raise ValueError(f"math: 'tensor': {why}; leave math= out for float32 products")
    best = best_tiles(limits, Costs(), cell, B, H, operands, per_gate)
    if best is None:
        size = item(operands) * len(cell.gates) * H * H / 2**20
        room = f"{limits.shared / 1024:.0f} KB and the registers of {limits.multiprocessors} multiprocessors"
        raise ValueError(f"math: 'tensor': Wh ({size:.1f} MB) and {B} rows do not fit into {room}; leave math= out")
    us, tiles, shared = best
    plain, off = planner.plan(limits, cell, B, H, dtype, per_gate), uncertain(limits, cell, H, operands, per_gate, tiles)
    without = span(*min((sum(t), (plain.off or {})[tier]) for tier, t in plain.us.items() if t))
    ours = f"{span(sum(us), off)} predicted for a step forward and backward on tensor cores in {operands}"
    reason = f"{ours}, {without} without; not measured"
    grid, every = (up(H, tiles.own), up(B, tiles.rows)), {**plain.us, "tensor": us}
    return Plan("sequence", reason, tiles, grid, shared, every, {**(plain.off or {}), "tensor": off})


def with_tiles(tiles: Tiles, cell: Any, B: int, H: int, dtype: Any, per_gate: bool, operands: str | None) -> Plan:
    """As planner.with_tiles."""
    if operands is None:
        return planner.with_tiles(tiles, cell, B, H, dtype, per_gate)
    ahead, back = (pass_sizes(cell, H, per_gate, tiles, backward, item(operands)) for backward in (False, True))
    if ahead is None or back is None:
        raise ValueError(f"tiles: {tiles} do not go together for H = {H} on tensor cores")
    return Plan("sequence", "tiles given", tiles, (up(H, tiles.own), up(B, tiles.rows)), shared_bytes(ahead, back), {})
