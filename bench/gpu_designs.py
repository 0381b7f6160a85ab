"""What two designs that are not built would bring, by the model of gpu_model.py. No GPU has run any of it.

    python -m bench.gpu_designs              # prints both tables
    python -m bench.gpu_designs kernels      # writes them into clusters.md and sequence.md of that folder

clusters    the blocks of a row group are a cluster (H100 and later), which writes what it exchanges into each other's shared memory
in turn     a block has two row groups, and computes for one while the other's barrier is on its way
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rnn_from_scratch.backends.gpu import planner
from rnn_from_scratch.backends.gpu.model import may_be_off, sequence_us
from rnn_from_scratch.backends.gpu.planner import Costs, Limits, Tiles, up
from rnn_from_scratch.verify.table import rewrite

from .cases import CELLS
from .gpu_model import DEVICES

SHAPES = [(1, 128), (50, 128), (150, 150), (32, 256), (64, 256), (64, 512), (16, 1024)]  # B, H
NAMES = ("LSTM", "GRU")


# ---- clusters


class Cluster(NamedTuple):
    """What a cluster of blocks can do. portable: data sheet; the others are guesses that may be off by OFF."""

    portable: int = 8  # blocks
    together: int = 16  # multiprocessors that can form clusters; a device has multiprocessors / together of these, rounded down
    barrier: float = 0.25  # us: barrier.cluster, and the latency of the last number that was sent before it
    network: float = 14.0  # bytes into a multiprocessor in one clock


OFF = {"barrier": 1.8, "network": 1.8}


def cluster_us(limits: Limits, costs: Costs, c: Cluster, cell: Any, H: int, item: int, tiles: Tiles, sizes: list, backward: bool) -> float:
    """A step of a cluster: no barrier through the level 2 cache and no tile from it; each block is sent what the others publish.

    Forward that is h, [ROWS,H]. Backward each block multiplies its own gates' gradients, and is sent its units' share of the sums.
    """
    slices = up(H, tiles.own)
    free = costs._replace(barrier=0.0, chunk=0.0, level2=1e9)
    sent = tiles.rows * H * item * (slices - 1) / slices / (c.network * limits.clock * 1e3)
    pairs = up(tiles.rows * tiles.own, tiles.threads)
    added = costs.part * slices * pairs if backward else 0.0
    return sequence_us(limits, free, cell, H, item, tiles, sizes, backward) + len(cell.phases) * (c.barrier + sent + added)


def cluster_plan(limits: Limits, c: Cluster, cell: Any, B: int, H: int, costs: Costs) -> tuple[float, Tiles] | None:
    """us of a step forward and backward, and the tiles, of the quickest choice of 2 to 8 blocks in a row group."""
    best = None
    for tiles, _, ahead, back in planner.candidates(limits._replace(shared=2 * limits.shared), cell, B, H, 4, False):
        slices, groups = up(H, tiles.own), up(B, tiles.rows)
        room = limits.multiprocessors // c.together * (c.together // slices)
        slots = 2 * tiles.rows * up(H, 4) * 4  # two tiles with all k: the others write the next one while this one is used
        needed = 4 * (max(sum(s.weights for s in ahead), sum(s.weights for s in back)) + slots + max(s.sums for s in (*ahead, *back)))
        if not 2 <= slices <= c.portable or groups > room or needed > limits.shared:
            continue
        us = sum(cluster_us(limits, costs, c, cell, H, 4, tiles, s, s is back) for s in (ahead, back))
        if best is None or us < best[0]:
            best = us, tiles
    return best


def off_by(limits: Limits, cell: Any, H: int, tiles: Tiles) -> float:
    """The factor by which a cluster's time may be off: the model's constants, and those of the cluster."""
    passes = [planner.pass_sizes(cell, H, False, tiles, backward) for backward in (False, True)]

    def us(costs: Costs, c: Cluster) -> float:
        return sum(cluster_us(limits, costs, c, cell, H, 4, tiles, s, s is passes[1]) for s in passes if s)

    now, square = us(Costs(), Cluster()), 0.0
    for name, factor in OFF.items():
        square += (us(Costs(), Cluster()._replace(**{name: getattr(Cluster(), name) * factor})) / now - 1) ** 2
    return float(may_be_off(lambda costs: us(costs, Cluster()), Costs()) * (1 + square**0.5))


def clusters() -> Iterator[str]:
    yield "| GPU | cell | B | H | planned blocks | us a step f + b | clusters | us a step f + b | may be off by | time |"
    yield "|---|---|--:|--:|---|--:|---|--:|--:|--:|"
    for device in ("H100", "B200"):
        limits = DEVICES[device]
        for name in NAMES:
            for B, H in SHAPES:
                plan = planner.plan(limits, CELLS[name], B, H, "float32")
                found = cluster_plan(limits, Cluster(), CELLS[name], B, H, Costs())
                if plan.us["sequence"] is None or plan.grid[0] == 1:
                    continue
                now, (slices, groups) = sum(plan.us["sequence"]), plan.grid
                start = f"| {device} | {name} | {B} | {H} | {slices} x {groups} | {now:.1f} |"
                if found is None:
                    yield f"{start} - | - | - | does not fit into {Cluster().portable} blocks |"
                    continue
                us, tiles = found
                off = off_by(limits, CELLS[name], H, tiles)
                yield f"{start} {up(H, tiles.own)} x {up(B, tiles.rows)} | {us:.1f} | {off:.2f} times | {us / now - 1:+.0%} |"


# ---- two row groups of a block, in turn


def in_turn_us(limits: Limits, costs: Costs, cell: Any, H: int, item: int, tiles: Tiles, backward: bool, all_waits: bool) -> float:
    """A step of a block that has two row groups of half its rows. While one's barrier is on its way, the other computes.

    all_waits: as if every latency of a step were hidden so, not the barrier's alone: more than any kernel could do.
    """
    half = tiles._replace(rows=tiles.rows // 2)
    sizes = planner.pass_sizes(cell, H, False, half, backward)
    assert sizes is not None
    whole = sequence_us(limits, costs, cell, H, item, half, sizes, backward)
    none = costs._replace(barrier=0.0, **({"turn": 0.0, "chunk": 0.0} if all_waits else {}))
    work = sequence_us(limits, none, cell, H, item, half, sizes, backward)
    return 2 * work + max(0.0, (whole - work) - work)


def in_turn() -> Iterator[str]:
    yield "| GPU | cell | B | H | blocks | units x rows | us a step f + b | barrier hidden | every wait hidden |"
    yield "|---|---|--:|--:|---|---|--:|--:|--:|"
    for device in ("T4", "A100", "H100", "B200"):
        limits = DEVICES[device]
        for name in NAMES:
            for B, H in SHAPES:
                plan = planner.plan(limits, CELLS[name], B, H, "float32")
                tiles = plan.tiles
                if tiles is None or plan.grid[0] == 1 or tiles.rows % 2:
                    continue
                now = sum(plan.us["sequence"] or ())
                case = limits, Costs(), CELLS[name], H, 4, tiles
                both = [sum(in_turn_us(*case, backward, every) for backward in (False, True)) for every in (False, True)]
                changes = " | ".join(f"{us / now - 1:+.0%}" for us in both)
                where = f"{plan.grid[0]} x {plan.grid[1]} | {tiles.own} x {tiles.rows}"
                yield f"| {device} | {name} | {B} | {H} | {where} | {now:.1f} | {changes} |"


def main(arguments: list[str] | None = None) -> None:
    folders = sys.argv[1:] if arguments is None else arguments
    tables = {"clusters.md": ("clusters", "\n".join(clusters())), "sequence.md": ("in turn", "\n".join(in_turn()))}
    for file, (mark, table) in tables.items():
        if folders:
            rewrite(Path(folders[0]) / file, mark, table)
        else:
            print(table, end="\n\n")


if __name__ == "__main__":
    main()
