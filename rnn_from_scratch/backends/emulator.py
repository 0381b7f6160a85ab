"""Runs CUDA kernels on the CPU: g++ compiles their text against kernels/emulator, one fibre per CUDA thread.

    program = Program(text)                        # any text with extern "C" __global__ kernels, no CUDA header needed
    program.launch("scale", grid=(2, 1, 1), block=(32, 1, 1), args=[x, np.int32(70)], seed=3)

x is an array made by `memory`. A fault (race, out of bounds, divergent barrier, deadlock, ...) raises EmulatorError with the
kernel, the threads, the array element and the lines of the text.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from . import source

Array = Any
MACHINE = ("machine.cpp", "barriers.cpp", "memory.cpp")
COMMON = ["-std=c++17", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off"]
KERNELS = ["-O1", "-gdwarf-4", "-fsanitize=thread,alignment", "--param=tsan-distinguish-volatile=1", "-w"]
GUARD = 256  # bytes on both sides of every array, which nothing may change
PATTERN = 0xA5
STATIC = re.compile(r"(?<!extern )__shared__\s+([\w ]+?)\s+(\w+)((?:\[[^\]]*\])*)\s*;")
DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\(\w+\)\s*)?([\w ]+?)\s+(\w+)\[\]\s*;")


class EmulatorError(RuntimeError):
    """A kernel did something that a GPU would not forgive."""


def available() -> tuple[bool, str]:
    """(usable, why not)"""
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "aarch64"):
        return False, f"the emulator runs on Linux, x86-64 or arm64; this is {sys.platform}, {platform.machine()}"
    if not shutil.which("g++"):
        return False, "needs g++, to compile the kernels for the CPU: apt-get install g++, or your system's equivalent"
    return True, ""


# ---- building


def cache_folder() -> Path:
    """The user's cache folder (XDG_CACHE_HOME, or ~/.cache), where compiled kernels are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root) / "rnn_from_scratch" / "emulator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def gxx(arguments: list[str], text: str) -> str:
    """Run g++ on a text; returns its output. Raises EmulatorError with g++'s message."""
    usable, why_not = available()
    if not usable:
        raise EmulatorError(why_not)
    done = subprocess.run(["g++", *arguments], input=text, capture_output=True, text=True)
    if done.returncode:
        raise EmulatorError(f"g++ refused the kernels:\n{done.stderr}")
    return done.stdout


@cache
def compiler() -> str:
    return gxx(["--version"], "").splitlines()[0]


def cached(suffix: str, arguments: list[str], text: str, machine: Path | None = None) -> Path:
    """Compile a text, or take it from the cache. A file is put in place whole, so two processes may do this at once.

    With `machine`, the object file is then linked with it into a library: in a step of its own, so that g++ does not add
    ThreadSanitizer's library, whose part the machine plays.
    """
    here = source.folder() / "emulator"
    parts = [compiler(), platform.machine(), *arguments, text, *(f.read_text() for f in sorted(here.iterdir()) if f.is_file())]
    target = cache_folder() / (hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32] + suffix)
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            made = Path(work) / "made.o"
            gxx([*arguments, f"-I{here}", "-c", "-x", "c++", "-", "-o", str(made)], text)
            if machine:
                made = made.with_suffix(".so")
                gxx(["-shared", str(made.with_suffix(".o")), str(machine), "-ldl", "-o", str(made)], "")
            os.replace(made, target)
    return target


def compiled(text: str) -> Path:
    """The shared library with these kernels and the machine."""
    machine = cached(".o", [*COMMON, "-O2", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"], "".join(f'#include "{f}"\n' for f in MACHINE))
    return cached(".so", [*COMMON, *KERNELS], rewritten(text), machine)


def rewritten(text: str) -> str:
    """The text for g++. Shared arrays become references into the block's memory; each kernel gets a function that calls it."""
    count = iter(range(10_000))
    text = DYNAMIC.sub(r'\1* \2 = (\1*)emu::dynamic_shared(sizeof(\1), "\2");', text)
    text = STATIC.sub(lambda m: reference(next(count), *m.groups()), text)
    calls = []
    for name, inside in source.KERNEL.findall(re.sub(r"//[^\n]*", "", text)):
        kinds = [re.sub(r"__restrict__|\w+\s*$", "", piece.strip()) for piece in inside.split(",") if piece.strip()]
        values = ", ".join(f"*({kind}*)a[{i}]" for i, kind in enumerate(kinds))
        calls.append(f'extern "C" __attribute__((no_sanitize("thread"))) void call_{name}(void** a) {{ {name}({values}); }}\n')
    return f'#include "cuda.h"\n{text}\n#line 1 "calls"\n{"".join(calls)}'


def reference(number: int, kind: str, name: str, size: str) -> str:
    return f'{kind} (&{name}){size} = *({kind} (*){size})emu::shared_array({number}, sizeof({kind}{size}), sizeof({kind}), "{name}");'


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


def whole_of(array: Array) -> Guarded:
    """The memory that a view lies in. Raises TypeError for an array that `memory` did not make."""
    base = array
    while base is not None and not isinstance(base, Guarded):
        base = base.base
    if base is None:
        raise TypeError("launch: expected arrays in the emulated device's memory, got a plain NumPy array")
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
    """Compiled kernels. `signatures`: kernel name -> its parameters."""

    def __init__(self, text: str):
        self.signatures = source.signatures(text)
        self.path = compiled(text)
        self.library = ctypes.CDLL(str(self.path))

    def launch(self, name, grid, block, args, *, shared=0, seed=0, resident=1 << 16, trace=None) -> str:
        """Run one kernel over a grid of blocks, each (x, y, z), and return the trace of one thread.

        args: one per parameter: an array from `memory` (or None for a null pointer) or a NumPy scalar of the exact type.
        shared: bytes of dynamic shared memory. seed: of the schedule. resident: threads alive at once.
        trace: (block, thread) whose accesses are told, each (x, y, z). Raises EmulatorError for every fault found.
        """
        values, owners = [], {}
        if len(args) != len(self.signatures[name]):
            raise TypeError(f"{name}: expected {len(self.signatures[name])} arguments, got {len(args)}")
        for value, p in zip(args, self.signatures[name]):
            values.append(checked(name, p, value))
            if p.pointer and value is not None:
                whole = whole_of(value)
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
            -1 if trace is None else rank(trace[0], grid) * prod(block) + rank(trace[1], block),
        )
        report, told = ctypes.c_char_p(), ctypes.c_char_p()
        failed = self.library.emu_launch(ctypes.byref(launch), ctypes.byref(report), ctypes.byref(told))
        if failed:
            raise EmulatorError(f"{name}, seed {seed}: {self.with_lines((report.value or b'').decode())}")
        for owner, whole in zip(names, wholes):
            if not whole.intact():
                raise EmulatorError(f"{name}, seed {seed}: the guard bytes around {owner} were overwritten")
        return self.with_lines((told.value or b"").decode())

    def with_lines(self, text: str) -> str:
        """The text with every <+0x12> in place of a code address turned into file:line."""
        marks = sorted(set(re.findall(r"<\+(0x[0-9a-f]+)>", text)))
        if not marks:
            return text
        done = subprocess.run(["addr2line", "-e", str(self.path), *marks], capture_output=True, text=True, check=True)
        lines = {mark: Path(line.split(" ")[0]).name for mark, line in zip(marks, done.stdout.splitlines())}
        return re.sub(r"<\+(0x[0-9a-f]+)>", lambda m: lines[m[1]], text)


def rank(index: tuple[int, int, int], size: tuple[int, int, int]) -> int:
    return index[0] + size[0] * (index[1] + size[1] * index[2])


def checked(kernel: str, p: source.Parameter, value: Any) -> Any:
    """An argument as ctypes takes it: an array, or a value of the exact type, as a GPU launch would need it."""
    if p.pointer and value is None:
        return ctypes.c_void_p(None)
    if p.pointer != isinstance(value, np.ndarray) or not hasattr(value, "dtype"):
        raise TypeError(f"{kernel}: {p.name}: expected {'an array' if p.pointer else f'np.{p.dtype}'}, got {type(value).__name__}")
    if source.bits(value.dtype) != source.bits(p.dtype):
        raise TypeError(f"{kernel}: {p.name}: expected {p.dtype}, got {value.dtype}")
    return value if p.pointer else np.ctypeslib.as_ctypes_type(value.dtype)(value.item())
