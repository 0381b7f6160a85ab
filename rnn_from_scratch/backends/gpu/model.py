"""A model of time for both tiers of the CUDA kernels, from operations, bytes and waits; and how far it may be off.

No GPU has measured its constants. Each says in SOURCES where it comes from and by which factor it may be wrong; what follows from
them says by which factor it may be wrong with them (the form of the model, which may be wrong as well, is in no such factor). Times
are us, if nothing else is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .planner import Limits, Sizes, Tiles


class Costs(NamedTuple):
    """The constants of the model, us unless it says otherwise. bench.gpu_model fits them to a gpu_report.json."""

    call: float = 200.0  # Python's work for one pass of a call, in either tier
    host: float = 18.0  # Python's work for one step of the step tier
    product: float = 3.0  # the shortest product
    point: float = 2.4  # a pointwise kernel that moves nothing
    barrier: float = 0.7  # of a row group
    turn: float = 1.15  # what else a step of the sequence tier costs: synchronisation in the block, latencies
    pair: float = 0.3  # the cell's equations of a pair of a row and a unit, for each pair that a thread owns
    chunk: float = 0.27  # a round of the tile: its loads are on their way, its numbers stored, everybody waited for
    hidden: float = 0.75  # of a round, as a part of it: while the last chunk is used, if that takes long enough
    part: float = 0.006  # each partial sum that a thread adds
    efficiency: float = 0.6  # of what bounds the product in sequence.cu: multiply-adds or shared memory
    banks: float = 128.0  # bytes of shared memory for each multiprocessor and clock
    spread: float = 2.0  # how often shared memory reads a line of the operand for a warp that wants it as a whole
    peak: float = 0.35  # of a product of the step tier, which is small, as a part of the peak
    level2: float = 27.0  # bytes of the level 2 cache for each multiprocessor and clock


class Source(NamedTuple):
    """Where a constant comes from, and by which factor it may be wrong, up or down."""

    kind: str  # data sheet, simulation, guess
    off: float
    why: str


SOURCES = {
    "call": Source("guess", 2.0, "as on a CPU, where this package takes 100 to 300 us for a call"),
    "host": Source("guess", 1.6, "one launch and one call of cuBLAS through CuPy"),
    "product": Source("guess", 1.5, "a launch, and the latencies of a product of one tile"),
    "point": Source("simulation", 1.4, "64 x 256: 3.7 to 3.9 forward, 2.6 to 2.9 backward, with the bytes"),
    "barrier": Source("simulation", 1.8, "0.72 forward, 0.63 backward, among few blocks"),
    "turn": Source("simulation", 1.6, "what the simulated steps take beyond all that is counted here"),
    "pair": Source("guess", 2.0, "300 instructions"),
    "chunk": Source("simulation", 1.5, "365 clocks at 1.365 GHz"),
    "hidden": Source("guess", 1.3, "the two barriers of the block and the stores remain"),
    "part": Source("guess", 2.0, "a load from shared memory, four on their way at a time"),
    "efficiency": Source("simulation", 1.4, "what the simulated steps take, with two warps for each scheduler"),
    "banks": Source("data sheet", 1.1, "32 banks of 4 bytes"),
    "spread": Source("guess", 2.0, "1 if all lanes are served at once, 4 if each eight lanes are"),
    "peak": Source("guess", 1.5, "of cuBLAS, whose tiles are larger than these products"),
    "level2": Source("guess", 1.5, "6.3 TB/s on an H100; A100's data sheet says 5120 bytes in a clock, 47 for each, at best"),
}


def sequence_us(limits: Limits, costs: Costs, cell: Any, H: int, item: int, tiles: Tiles, sizes: list[Sizes], backward: bool) -> float:
    """One step of sequence.cu: for each phase the barrier, the tile from the level 2 cache, the product, the cell's equations."""
    lanes = limits.lanes if item == 4 else limits.lanes64
    clocks = limits.clock * 1e3  # in one us
    pairs, us = up(tiles.rows * tiles.own, tiles.threads), 0.0
    for gates, s in zip(cell.phases, sizes):
        adds = s.loops * 32 * 16 * s.rm / lanes
        loads = s.loops * 32 * item * ((0 if tiles.held else 16) + s.rm * costs.spread) / costs.banks
        product = max(adds, loads) / costs.efficiency / clocks
        first = costs.chunk * up(s.loads, at_once(item))
        later = first - min(costs.chunk * min(costs.hidden, 1.0), product / s.rounds)
        tile = s.rounds * s.tile * item / (costs.level2 * clocks)
        parts = costs.part * s.split * pairs * (1 if backward else len(gates))
        barrier = costs.barrier if up(H, tiles.own) > 1 else 0.05
        us += barrier + costs.turn + costs.pair * pairs + first + (s.rounds - 1) * later + product + tile + parts
    return us


def step_us(limits: Limits, costs: Costs, cell: Any, B: int, H: int, item: int, backward: bool) -> float:
    """One step of step.cu: for each phase a product, bound by arithmetic or by the weights' way, and a pointwise kernel."""
    lanes = limits.lanes if item == 4 else limits.lanes64
    peak = 2 * limits.multiprocessors * lanes * limits.clock * 1e3 * costs.peak  # operations in one us
    cache = limits.multiprocessors * costs.level2 * limits.clock * 1e3  # bytes in one us
    G, us = len(cell.gates), 0.0
    for gates in cell.phases:
        weights = item * len(gates) * H * H
        way = weights / (cache if weights <= limits.cache / 2 else limits.memory * 1e6)
        us += max(costs.product, 2 * B * len(gates) * H * H / peak, way) + costs.point
    us += B * H * item * 3 * G * (1.25 if backward else 1) / cache
    return max(costs.host * len(cell.phases), us)


def may_be_off(time: Callable[[Costs], float], costs: Costs) -> float:
    """The factor by which a time may be off, up or down: each constant moved by its own, and the moves added as independent errors."""
    at, squares = math.log(time(costs)), 0.0
    for name, source in SOURCES.items():
        moved = (costs._replace(**{name: getattr(costs, name) * factor}) for factor in (source.off, 1 / source.off))
        squares += max(abs(math.log(time(other)) - at) for other in moved) ** 2
    return math.exp(math.sqrt(squares))


def span(us: float, off: float) -> str:
    """A time with what it may be: 8.2 (5.5 to 12) us."""
    least, most = (float(f"{x:.2g}") for x in (us / off, us * off))
    return f"{us:.3g} ({least:g} to {most:g}) us"


def at_once(item: int) -> int:
    """Groups of four numbers that a thread asks for together: AT_ONCE of product.h."""
    return 32 // item


def up(a: int, b: int) -> int:
    return -(-a // b)
