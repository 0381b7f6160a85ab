"""The text of the CUDA kernels: put together here, so that CuPy's cache, NVRTC and the emulator all see the same one text.

A .cu file holds kernels only and includes nothing. What it leaves open (the cell, the arithmetic, the storage) is said by the
macros in front of it; the #line marks make compilers and debuggers name the files it came from.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..forms import cxx_name, cxx_type, header

REALS = {"float32": "float", "float64": "double"}
STORAGES = {None: 0, "float16": 1, "bfloat16": 2}
SEQUENCE_FILES = ("row_group.h", "sequence.cu", "sequence_backward.cu")
PRODUCT_FILES = {False: ("barrier.h", "product.h"), True: ("barrier.h", "mma.h", "tensor_product.h")}  # on tensor cores?


class Parameter(NamedTuple):
    """One parameter of a kernel: dtype of the value or of what it points to ("storage" for STORE), as the text says it."""

    name: str
    dtype: str
    pointer: bool


def folder() -> Path:
    """Where the kernels are: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parents[2] / "kernels"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "kernels"


def assemble(files: list[str], macros: dict[str, Any]) -> str:
    """The macros, then the files (paths under folder()), each behind a #line mark."""
    parts = [f"#define {name} {value}\n" for name, value in macros.items()]
    for file in files:
        parts.append(f'#line 1 "{file}"\n{(folder() / file).read_text(encoding="utf-8")}')
    return "".join(parts)


def lines(text: str) -> dict[str, str]:
    """"step.cu:63" -> that line of the text, which has #line marks."""
    found, file, number = {}, "", 1
    for line in text.splitlines():
        mark = re.match(r'#line (\d+) "(.+)"', line)
        if mark:
            file, number = Path(mark[2]).name, int(mark[1])
        else:
            found[f"{file}:{number}"] = line.strip()
            number += 1
    return found


def cell_files(cell: Any) -> list[str]:
    """What the kernels of a cell begin with. Raises ValueError for a cell that is not of this package or has no kernel."""
    stem, form = header(cell), cxx_type(cell)
    activations = {"Phi": cxx_name(cell.activation), "Sigma": cxx_name(getattr(cell, "recurrent_activation", ""))}
    rows = re.findall(r"^FORM\((\w+), (.*)\)$", (folder() / "cells/forms.h").read_text(encoding="utf-8"), re.M)
    if (stem, form) not in {(name, re.sub("Phi|Sigma", lambda m: activations[m[0]], row)) for name, row in rows}:
        raise ValueError(f"cell: kernels/cells/forms.h has no row for {form}; backend='reference' runs any cell")
    return ["storage.h", "cells/activations.h", f"cells/{stem}.h", "prelude.h"]


@lru_cache(maxsize=256)
def step_text(cell: Any, dtype: str, storage: str | None = None) -> str:
    """The kernels of step.cu for one cell, for arithmetic in dtype and 16-bit storage if it is named."""
    macros = {"REAL": REALS[str(dtype)], "STORAGE": STORAGES[storage], "CELL": cxx_type(cell)}
    return assemble([*cell_files(cell), "step.cu"], macros)


@lru_cache(maxsize=256)
def second_order_text(cell: Any, dtype: Any) -> str:
    """The kernels of step.cu, and those of second_order.cu, which run a cell on numbers that carry tangents."""
    macros = {"REAL": REALS[str(dtype)], "STORAGE": 0, "CELL": cxx_type(cell)}
    storage, *cell_and_prelude = cell_files(cell)
    return assemble([storage, "dual.h", *cell_and_prelude, "step.cu", "second_order.cu"], macros)


@lru_cache(maxsize=256)
def sequence_text(
    cell: Any, dtype: Any, storage: str | None, units: int, tiles: Any, per_gate: bool, patience: int, tensor: bool = False
) -> str:
    """The two kernels of the sequence tier for one cell and one planner.Tiles, with products on tensor cores or without.

    patience: cycles that a block waits.
    """
    macros = {"REAL": REALS[str(dtype)], "STORAGE": STORAGES[storage], "CELL": cxx_type(cell), "UNITS": units}
    macros |= {name.upper(): int(value) for name, value in tiles._asdict().items()}
    macros |= {"PER_GATE": int(per_gate), "PATIENCE": patience}
    return assemble([*cell_files(cell), *PRODUCT_FILES[tensor], *SEQUENCE_FILES], macros)


@lru_cache(maxsize=256)
def column_sum_text(dtype: str) -> str:
    """The kernel of column_sum.cu in one dtype."""
    return assemble(["column_sum.cu"], {"REAL": REALS[str(dtype)]})


KERNEL = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(([^)]*)\) \{')
TYPES = {"float": "float32", "double": "float64", "float4": "float32", "__half": "float16", "__nv_bfloat16": "uint16"}
TYPES |= {"unsigned char": "uint8", "int": "int32", "unsigned": "uint32", "long long": "int64"}


def signatures(text: str) -> dict[str, list[Parameter]]:
    """Kernel name -> its parameters, parsed from the text. REAL, STORE and OPERAND are resolved by the text itself."""
    plain = re.sub(r"//[^\n]*", "", text)
    real = re.search(r"#define REAL (\w+)", plain)
    storage = re.search(r"#define STORAGE (\d)", plain)
    types = dict(TYPES)
    if real:
        types["REAL"] = TYPES[real[1]]
        types["STORE"] = types["REAL"] if not storage or storage[1] == "0" else "uint16"
    if operand := re.search(r"typedef (\w+) OPERAND;", plain):
        types["OPERAND"] = types[operand[1]]
    found = {}
    for name, inside in KERNEL.findall(plain):
        found[name] = [parameter(piece, types) for piece in inside.split(",") if piece.strip()]
    return found


def parameter(piece: str, types: dict[str, str]) -> Parameter:
    words = re.sub(r"\b(const|volatile|__restrict__)\b", "", piece).replace("*", " * ").split()
    name, kind = words[-1], " ".join(w for w in words[:-1] if w != "*")
    return Parameter(name, types[kind], "*" in words)


def bits(dtype: Any) -> np.dtype:
    """The dtype as kernels see it: 16-bit floats are their bits."""
    dtype = np.dtype(dtype)
    return np.dtype("uint16") if dtype.itemsize == 2 else dtype
