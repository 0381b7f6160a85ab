"""The native library, built from a changed copy of kernels/: for the plain instruction set, with other options than setup.py's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnn_from_scratch.backends.native import loader, sources

from ..conftest import ROOT

CXX = os.environ.get("CXX", "c++")


def copy_of_kernels(folder: Path) -> Path:
    """The sources, without what was built from them, in folder/kernels."""
    shutil.copytree(ROOT / "kernels", folder / "kernels", ignore=shutil.ignore_patterns("*.so", "*.log", "__pycache__"))
    return folder / "kernels"


def build(kernels: Path, *options: str) -> None:
    """Compile native-generic.so, beside its sources.

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
        made = list(pool.map(compiled, sources.units(kernels).items()))
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
