"""Is a CUDA kernel right? The emulator runs the learner's KERNEL in ten orders of its threads, and watches every access."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...backends.emulator import EmulatorError
from ...backends.emulator.program import Program, memory
from ...backends.gpu.source import signatures
from . import Exercise
from .judges import Check, Checks, within

ORDERS = 10


def leaky_step(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """One step of the leaky network; blocks have THREADS threads, so the last one has threads without a unit."""
    for n, (B, I, H) in enumerate(((1, 2, 4), (2, 3, 6), (3, 2, 5))):
        rng = np.random.default_rng([seed, n])
        x, h_prev, Wx, Wh, b = (rng.standard_normal(shape) for shape in ((B, I), (B, H), (I, H), (H, H), (H,)))
        expected = (1 - stub.K) * h_prev + stub.K * np.tanh(x @ Wx + h_prev @ Wh + b)
        grid, what = (B, -(-H // stub.THREADS), 1), f"B = {B}, I = {I}, H = {H}: h"
        yield from judged(module, stub, grid, (stub.THREADS, 1, 1), [x, h_prev, Wx, Wh, b], expected, [I, H], what)


def column_sum(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for n, (N, H) in enumerate(((1, 2), (50, 3))):
        da = np.random.default_rng([seed, n]).standard_normal((N, H))
        yield from judged(module, stub, (H, 1, 1), (stub.THREADS, 1, 1), [da], da.sum(axis=0), [N, H], f"N = {N}, H = {H}: db")


def all_steps(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """The tanh RNN in one launch."""
    for n, T in enumerate((1, 6)):
        yield from judged(module, stub, *sequence(stub, seed + n, T), f"T = {T}: y")


def reads_once(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """The same, and all threads of a block together read as many numbers of Wh as it has."""
    for check in all_steps(row, module, stub, seed):
        yield check
        if not check.ok:
            return
    grid, block, (xg, Wh), expected, sizes = sequence(stub, seed, T=6)
    said = "".join(launched(module, grid, block, [xg, Wh], expected.shape, sizes, thread=j)[1] for j in range(block[0]))
    found = len(re.findall(r"reads  Wh\[", said))
    yield Check("traffic", found == Wh.size, f"6 steps: a block reads {found} numbers of Wh, which has {Wh.size}")


def sequence(stub: ModuleType, seed: int, T: int) -> tuple[tuple, tuple, list[Any], Any, list[int]]:
    """grid, block, [xg, Wh], y, [T] of a tanh RNN with two rows."""
    rng = np.random.default_rng(seed)
    xg, Wh = rng.standard_normal((2, T, stub.H)), rng.standard_normal((stub.H, stub.H)) / 2
    h, y = np.zeros((2, stub.H)), np.empty((2, T, stub.H))
    for t in range(T):
        y[:, t] = h = np.tanh(xg[:, t] + h @ Wh)
    return (2, 1, 1), (stub.H, 1, 1), [xg, Wh], y, [T]


def judged(
    module: ModuleType, stub: ModuleType, grid: tuple, block: tuple, inputs: list[Any], expected: Any, sizes: list[int], what: str
) -> Checks:
    """Every order of the threads gives the expected result, and the emulator finds no fault. Ends with the first that is wrong."""
    if signatures(module.KERNEL) != signatures(stub.KERNEL):
        yield Check("arguments", False, "KERNEL: its name and its arguments have to stay as they were")
        return
    for order in range(ORDERS):
        try:
            found = launched(module, grid, block, inputs, expected.shape, sizes, order)[0]
        except EmulatorError as error:
            yield Check("no fault", False, said(error))
            return
        check = within("result", found, expected, 1e-12, what)
        yield check
        if not check.ok:
            return
    yield Check("no fault", True)


def launched(
    module: ModuleType,
    grid: tuple,
    block: tuple,
    inputs: list[Any],
    shape: tuple,
    sizes: list[int],
    seed: int = 0,
    thread: int | None = None,
) -> tuple[Any, str]:
    """What the learner's kernel writes into its last array, and the trace of a thread of block 0. Raises EmulatorError."""
    file = Path(str(module.__file__)).read_text(encoding="utf-8")
    line = file[: max(0, file.find(module.KERNEL))].count("\n") + 1  # so that the emulator names lines of the learner's file
    program = Program(f'#line {line} "line.cu"\n{module.KERNEL}')
    (name,) = program.signatures
    result, args = memory(shape, "float64"), []
    for value in inputs:
        args.append(memory(value.shape, "float64"))
        args[-1][...] = value
    traced = None if thread is None else ((0, 0, 0), (thread, 0, 0))
    trace = program.launch(name, grid, block, [*args, result, *map(np.int32, sizes)], seed=seed, traced=traced)
    return np.array(result), trace


def said(error: EmulatorError) -> str:
    """The emulator's report, or g++'s first error, with the line of the learner's file."""
    text = str(error)
    refused = re.search(r"line\.cu:(\d+):\d+: (?:fatal )?error: (.*)", text)
    if refused:
        return f"line {refused[1]}: g++ refuses KERNEL: {refused[2]}"
    return re.sub(r"line\.cu:(\d+)", r"line \1", text).replace("\n", " ")
