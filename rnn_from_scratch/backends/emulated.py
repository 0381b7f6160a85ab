"""The emulated backend: the CUDA kernels and the host code of the cuda backend, on the CPU, one fibre per CUDA thread.

It is for finding faults and for reading, not for speed. A student can look over the shoulder of one thread:

    python -m rnn_from_scratch.backends.emulated --trace lstm_forward --block 0,0,0 --thread 1,0,0
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import cells, params
from . import planner, steps
from .emulator import Program, guarded, memory
from .gxx import EmulatorError, available
from .source import column_sum_text, signatures, step_text

Array = Any
__all__ = ["EmulatedDevice", "EmulatorError", "available", "backward", "forward"]

program = lru_cache(maxsize=64)(Program)
LIMITS = planner.Limits("the emulator", 6, 48 << 10, 1.0, 64, 32, 1 << 20, 1.0, threads=(32,))  # few fibres: one for each thread


def plan(cell: Any, B: int, H: int, dtype: Any, per_gate: bool = False) -> planner.Plan:
    """As cuda.plan; the emulator takes the step tier unless RNN_GPU_TIER=sequence asks for the other."""
    return planner.plan(LIMITS, cell, B, H, dtype, per_gate, default="step")


class EmulatedDevice:
    """A device (see steps.py) with memory of its own in this process. Every launch checks itself, and raises EmulatorError.

    seed     of the schedules: launch n of a device always runs in the same order
    trace    (kernel, block, thread): `told` gathers what that thread reads and writes
    tiles    planner.Tiles for a launch of the whole sequence; None leaves it to the planner
    """

    def __init__(self, seed: int = 0, trace: tuple | None = None, tiles: planner.Tiles | None = None):
        self.seed, self.trace, self.told, self.tiles = seed, trace, "", tiles
        self.launches, self.level = 0, "-O0" if trace else "-O1"
        self.failed = self.zeros((1,), np.int32)

    def plan(self, cell: Any, B: int, H: int, dtype: Any, per_gate: bool) -> planner.Plan:
        if self.tiles is None or not B:
            return plan(cell, B, H, dtype, per_gate)
        return planner.with_tiles(self.tiles, cell, B, H, dtype, per_gate)

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
        traced = self.trace[1:] if self.trace and self.trace[0] == name else None
        told = program(text, self.level).launch(name, grid, block, args, shared=shared, seed=seed, traced=traced)
        if traced and told:
            where = f"grid {grid}, block size {block}; thread {traced[1]} of block {traced[0]}"
            self.told += f"launch {self.launches}: {name}, {where}\n{told}\n"


def storage_dtype(name: str) -> np.dtype:
    """float16, or bfloat16 as ml_dtypes has it. Raises ValueError if that is not installed."""
    if name == "bfloat16":
        try:
            from ml_dtypes import bfloat16
        except ImportError:
            raise ValueError("storage: bfloat16 needs ml_dtypes: pip install ml_dtypes") from None
        return np.dtype(bfloat16)
    return np.dtype(name)


def storage_of(tape: Any) -> str | None:
    """The storage that forward was asked for."""
    dtype = tape.states[0].dtype
    return None if dtype == tape.x.dtype else str(dtype)


def forward(*args: Any, storage: str | None = None) -> tuple:
    """As bptt.forward; storage as in backends.forward."""
    return steps.forward(EmulatedDevice(), "emulated", storage, *args)


def backward(tape: Any, dy: Array | None, dstate: tuple, wrt: tuple[str, ...]) -> Any:
    """As bptt.backward."""
    return steps.backward(EmulatedDevice(), storage_of(tape), tape, dy, dstate, wrt)


def example(device: EmulatedDevice, cell: Any, sizes: tuple[int, ...], mask: bool = False) -> None:
    """One forward and backward pass over small seeded data: B, T, I, H."""
    B, T, I, H = sizes
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((B, T, I)), rng.standard_normal((B, T, H))
    live = np.ones((B, T), bool) if mask else None
    if live is not None:
        live[:1, -1] = False
    zeros = tuple(np.zeros((B, H)) for _ in cell.states)
    weights = params.init_params(cell, I, H, dtype="float64")
    _, _, tape = steps.forward(device, "emulated", None, cell, weights, x, zeros, live, False, False, None, None, True)
    steps.backward(device, None, tape, dy, (None,) * len(zeros), ("x", "params", "initial_state"))


def parsed(trace: str) -> tuple[Any, str]:
    """The cell and the kernel that "gru_backward" means. Raises ValueError."""
    kernels = [*signatures(step_text(cells.LSTM(), "float64")), *signatures(column_sum_text("float64"))]
    for kernel in kernels:
        if trace.endswith(f"_{kernel}"):
            return cells.by_name(trace.removesuffix(f"_{kernel}")), kernel
    raise ValueError(f"expected CELL_KERNEL, such as gru_backward; the kernels are {', '.join(kernels)}")


def numbers(names: str, least: int = 0) -> Callable[[str], tuple[int, ...]]:
    """The type of an argument such as "1,0,0", one number for each of the names in "x,y,z"."""

    def parse(text: str) -> tuple[int, ...]:
        try:
            values = tuple(int(n) for n in text.split(","))
        except ValueError:
            values = ()
        if len(values) != len(names.split(",")) or min(values) < least:
            raise argparse.ArgumentTypeError(f"expected {names}, each at least {least}, got {text}")
        return values

    return parse


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m rnn_from_scratch.backends.emulated", description="Run kernels with no GPU.")
    parser.add_argument("--trace", default="lstm_forward", help="cell_kernel, such as gru_backward: what one thread does in it")
    parser.add_argument("--block", type=numbers("x,y,z"), default=(0, 0, 0), help="x,y,z of the thread's block")
    parser.add_argument("--thread", type=numbers("x,y,z"), default=(0, 0, 0), help="x,y,z of the thread in its block")
    parser.add_argument("--sizes", type=numbers("B,T,I,H", 1), default=(2, 2, 3, 5), help="B,T,I,H of the example")
    parser.add_argument("--mask", action="store_true", help="the last step of the first row is masked")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule")
    options = parser.parse_args(arguments)
    try:
        cell, kernel = parsed(options.trace)
    except ValueError as error:
        parser.error(f"--trace {options.trace}: {error}")
    usable, why_not = available()
    if not usable:
        parser.error(why_not)
    device = EmulatedDevice(options.seed, (kernel, options.block, options.thread))
    example(device, cell, options.sizes, options.mask)
    nobody = f"no launch of {kernel} has a thread {options.thread} in a block {options.block} that touches memory"
    print(device.told.strip() or nobody)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends quietly
    main()
