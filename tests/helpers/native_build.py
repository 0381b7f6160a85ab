"""The native library, built from a changed copy of kernels/: for the plain instruction set, with other options than setup.py's."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rnn_from_scratch.backends.native import loader, sources

from ..conftest import ROOT

CXX = os.environ.get("CXX", "c++")


def copy_of_kernels(folder: Path) -> Path:
    """The sources, without what was built from them, in folder/kernels."""
    shutil.copytree(ROOT / "kernels", folder / "kernels", ignore=shutil.ignore_patterns("*.so", "*.log", "__pycache__"))
    return folder / "kernels"


PLANTED_H = 'extern "C" { __attribute__((visibility("default"))) inline int planted = 0; }\n'


def code(text: str) -> str:
    """The file without its comments, which may say the same as the code."""
    return re.sub(r"//.*", "", text)


@contextmanager
def with_bugs(folder: Path, mutants: Sequence[Any], *options: str, units: str = "") -> Iterator[ctypes.c_int]:
    """The library in use holds every bug; the variable chooses one by its number from 1 on, 0 is none."""
    kernels = copy_of_kernels(folder)
    (folder / "planted.h").write_text(PLANTED_H)
    for number, m in enumerate(mutants, 1):
        file = kernels / m.file
        text = code(file.read_text())
        assert text.count(m.before) == 1, f"{m.file}: {m.before} occurs {text.count(m.before)} times"
        file.write_text(text.replace(m.before, f"(planted == {number} ? ({m.after}) : ({m.before}))"))
    build(kernels, "-O1", "-include", str(folder / "planted.h"), *options, units=units)
    with in_use(kernels):
        yield ctypes.c_int.in_dll(loader.library(), "planted")


def build(kernels: Path, *options: str, units: str = "") -> None:
    """Compile native-generic.so, beside its sources; of the units only those whose names the expression `units` matches.

    Hidden symbols, as setup.py has them: else the linker would make one registry of forms for all libraries of this process.
    """
    common = [CXX, "-std=c++17", "-fPIC", "-fvisibility=hidden", "-pthread", *options]
    objects = kernels.parent / "objects"
    objects.mkdir()

    def compiled(unit: tuple[str, list[str]]) -> Path:
        name, (source, *more) = unit
        subprocess.run([*common, *more, "-c", kernels / source, "-o", objects / f"{name}.o"], check=True)
        return objects / f"{name}.o"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(compiled, ((name, unit) for name, unit in sources.units(kernels).items() if re.match(units, name))))
    subprocess.run([*common, "-shared", *made, "-o", kernels / "native-generic.so"], check=True)


@contextmanager
def in_use(kernels: Path) -> Iterator[None]:
    """The package takes its native library from this folder for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "KERNELS", kernels)
        patch.setenv("RNN_NATIVE_ISA", "generic")
        loader.forget()
        yield
    loader.forget()
