"""A device for the host code of the CUDA kernels (../gpu/call.py) that is no GPU: memory of this process, threads as fibres."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...typing import Array
from ..gpu import planner, tensor
from ..gpu.storage import storage_dtype
from .gxx import EmulatorError
from .program import Program, guarded, memory

program = lru_cache(maxsize=64)(Program)
LIMITS = planner.Limits("the emulator", 6, 48 << 10, 1.0, 64, 32, 1 << 20, 1.0)
LIMITS = LIMITS._replace(threads=(32,), capability=(8, 0))  # few fibres: one for each thread


def plan(cell: Any, B: int, H: int, dtype: Any, per_gate: bool = False, operands: str | None = None) -> planner.Plan:
    """As cuda.plan; the emulator takes the step tier unless RNN_GPU_TIER=sequence asks for the other."""
    return tensor.plan(LIMITS, cell, B, H, dtype, per_gate, operands, default="step")


class EmulatedDevice:
    """A device (see ../gpu/call.py) with memory of its own in this process. Every launch checks itself, and raises EmulatorError.

    seed     of the schedules: launch n of a device always runs in the same order
    traced   (kernel, block, thread): `trace` gathers what that thread reads and writes
    tiles    planner.Tiles for a launch of the whole sequence; None leaves it to the planner
    """

    def __init__(self, seed: int = 0, traced: tuple | None = None, tiles: planner.Tiles | None = None):
        self.seed, self.traced, self.trace, self.tiles = seed, traced, "", tiles
        self.launches, self.level = 0, "-O0" if traced else "-O1"
        self.failed = self.zeros((1,), np.int32)

    def plan(self, cell: Any, B: int, H: int, dtype: Any, per_gate: bool, operands: str | None = None) -> planner.Plan:
        if self.tiles is None or not B:
            return plan(cell, B, H, dtype, per_gate, operands)
        return tensor.with_tiles(self.tiles, cell, B, H, dtype, per_gate, operands)

    def check(self) -> None:
        if self.failed[0]:
            self.failed[0] = 0
            raise EmulatorError(planner.GAVE_UP)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Nothing is written yet: every element is NaN."""
        return memory(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        array = memory(shape, dtype)
        array[...] = 0
        return array

    def put(self, array: Array) -> Array:
        """The array in the device's memory: a copy unless it is there already, as a GPU would need one."""
        if guarded(array) is not None and array.flags.c_contiguous:
            return array
        here = memory(array.shape, array.dtype)
        here[...] = array
        return here

    def get(self, array: Array) -> Array:
        return np.array(array)

    def storage(self, name: str) -> np.dtype:
        return storage_dtype(name)

    def product(self, a: Array, b: Array, out: Array, accumulate: bool) -> None:
        if accumulate:
            out += a @ b
        else:
            out[...] = a @ b

    def launch(self, text: str, name: str, grid: tuple, block: tuple, args: tuple, shared: int = 0) -> None:
        self.launches += 1
        seed = self.seed * 1_000_003 + self.launches
        traced = self.traced[1:] if self.traced and self.traced[0] == name else None
        trace = program(text, self.level).launch(name, grid, block, args, shared=shared, seed=seed, traced=traced)
        if traced and trace:
            where = f"grid {grid}, block size {block}; thread {traced[1]} of block {traced[0]}"
            self.trace += f"launch {self.launches}: {name}, {where}\n{trace}\n"
