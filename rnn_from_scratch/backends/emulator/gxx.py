"""Builds the emulator: g++ compiles the text of CUDA kernels against kernels/emulator, once, into the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from ..gpu import source

MACHINE = '#include "machine.cpp"\n#include "barriers.cpp"\n#include "mma.cpp"\n#include "memory.cpp"\n'
COMMON = ["-std=c++17", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off"]
KERNELS = ["-gdwarf-4", "-fsanitize=thread,alignment", "--param=tsan-distinguish-volatile=1"]
KERNELS += ["-Werror=frame-larger-than=49152"]  # a fibre's stack is 64 KiB
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
                gxx(["-shared", "-Wl,-Bsymbolic", str(made.with_suffix(".o")), str(machine), "-ldl", "-o", str(made)], "")
            os.replace(made, target)
    return target


def compiled(text: str, level: str = "-O1") -> Path:
    """The shared library with these kernels, optimised at this level, and the machine."""
    machine = cached(".o", [*COMMON, "-O1", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"], MACHINE)
    return cached(".so", [*COMMON, level, *KERNELS], rewritten(text), machine)


def rewritten(text: str) -> str:
    """The text for g++. Shared arrays become references into the block's memory; each kernel gets a function that calls it."""
    count = iter(range(10_000))
    text = DYNAMIC.sub(r'\1* \2 = (\1*)emu::dynamic_shared(sizeof(\1), emu::KIND<\1>, "\2");', text)
    text = STATIC.sub(lambda m: reference(next(count), *m.groups()), text)
    calls = []
    for name, inside in source.KERNEL.findall(re.sub(r"//[^\n]*", "", text)):
        kinds = [re.sub(r"__restrict__|\w+\s*$", "", piece.strip()) for piece in inside.split(",") if piece.strip()]
        values = ", ".join(f"*({kind}*)a[{i}]" for i, kind in enumerate(kinds))
        calls.append(f'extern "C" __attribute__((no_sanitize("thread"))) void call_{name}(void** a) {{ {name}({values}); }}\n')
    return f'#include "cuda.h"\n{text}\n#line 1 "calls"\n{"".join(calls)}'


def reference(number: int, kind: str, name: str, size: str) -> str:
    memory = f'emu::shared_array({number}, sizeof({kind}{size}), sizeof({kind}), emu::KIND<{kind}>, "{name}")'
    return f"{kind} (&{name}){size} = *({kind} (*){size}){memory};"
