"""Runs CUDA kernels on the CPU: g++ compiles their text against kernels/emulator, one fibre per CUDA thread.

    program = Program(text)                        # any text with extern "C" __global__ kernels, no CUDA header needed
    program.launch("scale", grid=(2, 1, 1), block=(32, 1, 1), args=[x, np.int32(70)], seed=3)

x is an array made by `memory`. A fault (race, out of bounds, divergent barrier, deadlock, ...) raises EmulatorError with the
kernel, the threads, the array element and the lines of the text.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...typing import Array
from ..gpu import source
from . import trace
from .gxx import STATIC, EmulatorError, compiled

GUARD = 256  # bytes on both sides of every array, which nothing may change
PATTERN = 0xA5


# ---- memory


class Guarded(np.ndarray):
    """The whole piece of memory behind an array; `inside` is the part that a kernel may touch, the rest are guards."""

    inside: slice

    def intact(self) -> bool:
        return bool((self[: self.inside.start] == PATTERN).all() and (self[self.inside.stop :] == PATTERN).all())


def memory(shape: tuple[int, ...], dtype: Any) -> Array:
    """A new array, NaN (all bits set) at first, between guard bytes, aligned as a GPU's allocator does."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    whole = np.ndarray.__new__(Guarded, (size + 3 * GUARD,), np.uint8)
    start = GUARD + -whole.ctypes.data % GUARD
    whole.inside = slice(start, start + size)
    whole[...] = PATTERN
    whole[whole.inside] = 0xFF
    return np.ndarray(shape, dtype, buffer=whole, offset=start)


def guarded(array: Array) -> Guarded | None:
    """The memory that a view lies in; None if `memory` did not make it."""
    base: Any = array
    while base is not None and not isinstance(base, Guarded):
        base = base.base if isinstance(base, np.ndarray) else None
    return base


# ---- launching


class Launch(ctypes.Structure):
    """As machine.h has it."""

    _fields_ = [
        ("kernel", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("arguments", ctypes.POINTER(ctypes.c_void_p)),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("seed", ctypes.c_uint),
        ("resident", ctypes.c_uint),
        ("regions", ctypes.c_int),
        ("names", ctypes.POINTER(ctypes.c_char_p)),
        ("begins", ctypes.POINTER(ctypes.c_void_p)),
        ("sizes", ctypes.POINTER(ctypes.c_size_t)),
        ("elements", ctypes.POINTER(ctypes.c_size_t)),
        ("kinds", ctypes.c_char_p),
        ("traced", ctypes.c_int),
    ]


class Program:
    """Compiled kernels. `signatures`: kernel name -> its parameters.

    level    of optimisation: at "-O0" a kernel goes through its lines in order, as a trace or a debugger shows best
    """

    def __init__(self, text: str, level: str = "-O1"):
        self.text, self.signatures = text, source.signatures(text)
        self.path = compiled(text, level)
        self.library = ctypes.CDLL(str(self.path))

    def launch(self, name, grid, block, args, *, shared=0, seed=0, resident=1 << 16, traced=None) -> str:
        """Run one kernel over a grid of blocks, each (x, y, z), and return what one thread did in it.

        args: one per parameter: an array from `memory` (or None for a null pointer) or a NumPy scalar of the exact type.
        shared: bytes of dynamic shared memory. seed: of the schedule. resident: threads alive at once.
        traced: (block, thread) whose accesses are traced, each (x, y, z). Raises EmulatorError for every fault found.
        """
        values: list[Any] = []
        owners: dict[int, tuple[str, Guarded, np.dtype]] = {}
        if len(args) != len(self.signatures[name]):
            raise TypeError(f"{name}: expected {len(self.signatures[name])} arguments, got {len(args)}")
        for value, p in zip(args, self.signatures[name]):
            values.append(checked(name, p, value))
            if p.pointer and value is not None:
                whole = guarded(value)
                if whole is None:
                    raise TypeError(f"{name}: {p.name}: expected an array in the emulated device's memory, got a plain NumPy array")
                owners.setdefault(whole.ctypes.data, (p.name, whole, value.dtype))
        cells = [ctypes.c_void_p(v.ctypes.data) if isinstance(v, np.ndarray) else v for v in values]
        pointers = (ctypes.c_void_p * len(cells))(*[ctypes.cast(ctypes.pointer(c), ctypes.c_void_p) for c in cells])
        n = len(owners)
        names, wholes, dtypes = zip(*owners.values()) if n else ((), (), ())
        launch = Launch(
            name.encode(),
            ctypes.cast(self.library[f"call_{name}"], ctypes.c_void_p),
            pointers,
            tuple(grid),
            tuple(block),
            shared,
            seed & 0xFFFFFFFF,
            resident,
            n,
            (ctypes.c_char_p * n)(*[s.encode() for s in names]),
            (ctypes.c_void_p * n)(*[w.ctypes.data + w.inside.start for w in wholes]),
            (ctypes.c_size_t * n)(*[w.inside.stop - w.inside.start for w in wholes]),
            (ctypes.c_size_t * n)(*[d.itemsize for d in dtypes]),
            "".join(d.kind for d in dtypes).encode(),
            number(traced, grid, block),
        )
        report, accesses = ctypes.c_char_p(), ctypes.c_char_p()
        failed = self.library.emu_launch(ctypes.byref(launch), ctypes.byref(report), ctypes.byref(accesses))
        if failed:
            raise EmulatorError(f"{name}, seed {seed}: {self.with_lines((report.value or b'').decode())}")
        for owner, whole in zip(names, wholes):
            if not whole.intact():
                raise EmulatorError(f"{name}, seed {seed}: the guard bytes around {owner} were overwritten")
        shapes = {p.name: value.shape for p, value in zip(self.signatures[name], args) if p.pointer and value is not None}
        shapes |= {a: tuple(map(int, re.findall(r"\d+", size))) for _, a, size in STATIC.findall(self.text) if re.search(r"\[\d", size)}
        lines = trace.readable(self.with_lines((accesses.value or b"").decode()), self.text, shapes)
        return trace.arguments(self.signatures[name], args) + lines if lines else ""

    def with_lines(self, text: str) -> str:
        """The text with every <+0x12> in place of a code address turned into file:line."""
        marks = sorted(set(re.findall(r"<\+(0x[0-9a-f]+)>", text)))
        if not marks:
            return text
        asked = ["addr2line", "-a", "-i", "-e", str(self.path), *marks]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        chains = [chunk.splitlines()[1:] for chunk in re.split(r"^(?=0x[0-9a-f]+$)", done.stdout, flags=re.M)[1:]]
        lines = {mark: best_line(chain) for mark, chain in zip(marks, chains)}
        return re.sub(r"<\+(0x[0-9a-f]+)>", lambda m: lines[m[1]], text)


def best_line(chain: list[str]) -> str:
    """Of the lines that inlining stacked on one address, the innermost of a .cu file, or the innermost of all."""
    places = [Path(place.split(" ")[0]).name for place in chain]
    return next((place for place in places if ".cu:" in place), places[0])


def rank(index: tuple[int, int, int], size: tuple[int, int, int]) -> int:
    return index[0] + size[0] * (index[1] + size[1] * index[2])


def number(thread: tuple | None, grid: tuple, block: tuple) -> int:
    """The number in the grid of the thread that is (block index, thread index); -1 for none, and where there is no such thread."""
    if thread is None or any(i >= n for i, n in zip((*thread[0], *thread[1]), (*grid, *block))):
        return -1
    return rank(thread[0], grid) * prod(block) + rank(thread[1], block)


def checked(kernel: str, p: source.Parameter, value: Any) -> Any:
    """An argument as ctypes takes it: an array, or a value of the exact type, as a GPU launch would need it."""
    if p.pointer and value is None:
        return ctypes.c_void_p(None)
    if p.pointer != isinstance(value, np.ndarray) or not hasattr(value, "dtype"):
        raise TypeError(f"{kernel}: {p.name}: expected {'an array' if p.pointer else f'np.{p.dtype}'}, got {type(value).__name__}")
    if source.bits(value.dtype) != source.bits(p.dtype):
        raise TypeError(f"{kernel}: {p.name}: expected {p.dtype}, got {value.dtype}")
    return value if p.pointer else np.ctypeslib.as_ctypes_type(value.dtype)(value.item())
