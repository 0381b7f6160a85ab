"""What a call of the native backend takes on so many threads: kernels/native/cost.h once more in Python, and all of a call around it.

`Work.step`, `Work.call` and `grid` are the C++ line by line, so that a test can hold them equal. `seconds` adds what no choice depends on:
the products of backward, and arrays that pass through memory. scaling.py predicts and measures with it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from rnn_from_scratch.backends.native import loader

COLS, HEIGHT, AHEAD = 4, 6, 4  # of a tile: native/simd.h; with fewer rows x Wx is made ahead: native/forward.h
CHUNK = 2 << 20  # bytes of gate gradients that backward holds at once: native/backward.h
VECTORS = {"generic": 16, "x86-64-v3": 32, "x86-64-v4": 64}  # bytes


class Costs(NamedTuple):
    """Nanoseconds, and bytes for each of them, as kernels/native/cost.h tells them."""

    multiply: float
    multiply_vectors: float
    multiply_tiles: float
    in_flight: float
    tile: float
    equations: float
    each_step: float
    pack: float
    near: float
    far: float
    memory: float
    barrier: float
    arrival: float
    start: float

    @classmethod
    def written(cls) -> Costs:
        """As cost.h has them."""
        text = (loader.KERNELS / "native/cost.h").read_text(encoding="utf-8")
        return cls(**{name.lower(): float(value) for name, value in re.findall(r"constexpr double (\w+) = ([\d.]+);", text)})

    def lines(self) -> str:
        """The lines of cost.h."""
        return "\n".join(f"constexpr double {name.upper()} = {value:.3g};" for name, value in self._asdict().items())


class Machine(NamedTuple):
    """Bytes of a vector, of a core's own second-level cache, and of the third-level cache."""

    vector: int
    near: float
    far: float

    @classmethod
    def here(cls) -> Machine:
        """Raises OSError if there is no native library."""
        return cls(VECTORS[loader.isa()], *loader.caches())


MEASURED = Machine(64, 2 << 20, 480 << 20)  # where the constants were measured


def up(n: int, by: int) -> int:
    return -(-n // by)


def words(n: int) -> int:
    return up(n, 32) * 16


class Work(NamedTuple):
    """A call, and the machine it runs on. instructions: those of products in bfloat16, one of loader.BFLOAT16; '': float32."""

    cell: Any
    sizes: tuple[int, int, int, int]  # B, T, I, H
    machine: Machine
    costs: Costs
    itemsize: int = 4
    instructions: str = ""

    @property
    def gates(self) -> int:
        return len(self.cell.gates)

    @property
    def height(self) -> int:
        return 32 if self.instructions == "amx" else HEIGHT

    @property
    def multiply(self) -> float:
        return {"": self.costs.multiply, "avx512": self.costs.multiply_vectors, "amx": self.costs.multiply_tiles}[self.instructions]

    def length(self, n: int) -> int:
        """Of n terms of a sum, as the products take them."""
        return words(n) if self.instructions else n

    def blocks(self, n: int) -> int:
        """Vectors."""
        return up(n, self.machine.vector // self.itemsize)

    @property
    def pairs(self) -> int:
        return up(self.blocks(self.sizes[3]), 2)

    def tiles(self, row_parts: int, unit_parts: int, sums: int, terms: int) -> float:
        """The products of a step, of the thread that has most to do: so many sums of each unit, each of so many terms."""
        costs, machine, threads = self.costs, self.machine, row_parts * unit_parts
        rows, blocks = up(self.sizes[0], row_parts), 2 * up(self.pairs, unit_parts)
        tiles = up(rows, self.height)
        together = max(rows / tiles * blocks, costs.in_flight * up(blocks, COLS))
        products = sums * (terms * together * self.multiply + up(blocks, COLS) * costs.tile)
        weights, rate = float(sums) * terms * machine.vector, costs.near
        if weights * blocks > machine.near:
            rate = costs.far
        if weights * 2 * self.pairs > machine.far:
            rate = min(costs.far, costs.memory / threads)
        return max(products, weights * blocks / rate) + (tiles - 1) * products

    def barrier(self, threads: int) -> float:
        return self.costs.barrier + (threads - 2) * self.costs.arrival if threads > 1 else 0

    def step(self, row_parts: int, unit_parts: int, backward: bool = False) -> float:
        """One step of the recurrence, of the thread that has most to do."""
        (B, _, I, H), G, costs = self.sizes, self.gates, self.costs
        rows, blocks = up(B, row_parts), 2 * up(self.pairs, unit_parts)
        ahead = rows < AHEAD and not backward
        sums, terms = (1, G * self.length(H)) if backward else (G, self.length(H) + (0 if ahead else self.length(I)))
        before = float(G) * self.length(I) * rows * blocks * self.multiply if ahead else 0
        tiled = self.tiles(row_parts, unit_parts, sums, terms)
        others = float(rows) * H * self.itemsize * (unit_parts - 1) / unit_parts * (G if backward else 1)
        equations = rows * costs.equations * G * blocks
        return costs.each_step + before + tiled + equations + len(self.cell.phases) * self.barrier(unit_parts) + others / costs.far

    def call(self, row_parts: int, unit_parts: int) -> float:
        """What the choice of a grid goes by."""
        (B, T, I, H), costs, threads = self.sizes, self.costs, row_parts * unit_parts
        vectors = 2.0 * self.pairs * self.gates
        terms = self.length(I) + self.length(H)
        shared = vectors * terms * self.machine.vector / costs.pack + vectors * B * T * (2.0 * I + H) * self.multiply
        return 2.0 * T * self.step(row_parts, unit_parts) + shared / threads + costs.start * (threads - 1)


def grid(work: Work, threads: int) -> tuple[int, int]:
    """Parts of the rows, and of the units: Plan of kernels/native/plan.h."""
    (B, T, I, H), G = work.sizes, work.gates
    most = int(min(float(threads), 1 + float(B) * T * G * H * (I + H) / 250e3))
    if most > 2:
        grids = [(min(B, most // units), units) for units in range(1, min(most, work.pairs) + 1)]
        return min(grids, key=lambda parts: work.call(*parts))
    weights = G * (work.length(I) + work.length(H)) * work.pairs * 2 * work.machine.vector
    rows = max(1, 1 if most == 1 else min(most, B // (16 if weights > 2 << 20 else 2)))
    return rows, max(1, min(most // rows, work.pairs, int(G * H * H / 16e3)))


def seconds(work: Work, threads: int, training: bool) -> float:
    """A whole call: forward without a tape; or, training, forward with one and backward with all gradients."""
    (B, T, I, H), G, costs, vector = work.sizes, work.gates, work.costs, work.machine.vector
    row_parts, unit_parts = grid(work, threads)
    used = row_parts * unit_parts
    columns = 2 * work.pairs * vector // work.itemsize  # units, filled up
    packed = G * columns * (work.length(I) + work.length(H)) * work.itemsize
    time = costs.start * (used - 1) + packed / costs.pack / used + T * work.step(row_parts, unit_parts)
    moved = B * T * (I + H) * work.itemsize
    if training:
        time += costs.start * (used - 1) + packed / costs.pack / used + T * work.step(row_parts, unit_parts, backward=True)
        gradients = B * T * G * columns * work.itemsize
        chunks = max(1, up(gradients, CHUNK))
        time += 3 * chunks * work.barrier(used)
        # dW: every thread has some rows of it, at full tiles, and reads all gate gradients for X and for h, from the others if there are
        rows = up(up(I + H, HEIGHT), used) * HEIGHT
        products = work.length(B * T) * rows * G * 2 * work.pairs * work.multiply
        time += max(products, 2 * gradients / (costs.near if used == 1 else costs.far))
        # dx: some rows of the batch and of the steps
        time += up(B * T, used) * work.blocks(I) * G * work.length(H) * work.multiply
        moved += B * T * H * work.itemsize * 2 * (len(work.cell.saved) + 2 * len(work.cell.states) + 1) + B * T * I * work.itemsize
    return (time + max(moved / costs.far / used, moved / costs.memory)) / 1e9
