"""The native library: which build runs here, whether it belongs to the sources beside it, and the forms of cells that it has.

The environment variable RNN_NATIVE_ISA names the build to use (generic, x86-64-v3, x86-64-v4) instead of the best that runs here,
RNN_NATIVE_BFLOAT16 the instructions for products in bfloat16 (avx512, amx).
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ... import cells
from ..forms import cxx_type
from .call import CALL
from .sources import digest
from .threads import read

LEVELS = ("generic", "x86-64-v3", "x86-64-v4")  # of the instruction set, by the number that rnn_isa returns
BFLOAT16 = ("", "avx512", "amx")  # instructions, by the number that rnn_best_precision returns
PACKAGE = Path(__file__).parents[2]
FLOAT32 = np.dtype("float32")
KERNELS = PACKAGE / "kernels" if (PACKAGE / "kernels").is_dir() else PACKAGE.parent / "kernels"  # installed, or the source tree


class OtherSourcesError(OSError):
    """A library lies there, but it was built from other sources than those beside it."""


@cache
def library() -> ctypes.CDLL:
    """The build for this machine. Raises OSError with the reason if there is none."""
    level = isa()
    if not path(level).exists():
        raise OSError(f"{path(level).name} was not built. {build_log(level)}")
    return load(level)


@cache
def isa() -> str:
    """The instruction set level in use. Raises OSError if none can be."""
    if not path("generic").exists():
        raise OSError(f"it was not built. {build_log('generic')}")
    best = load("generic").rnn_isa()
    wanted = os.environ.get("RNN_NATIVE_ISA", "")
    if not wanted:
        return next(level for level in reversed(LEVELS[: best + 1]) if path(level).exists())
    if wanted not in LEVELS[: best + 1]:
        raise OSError(f"RNN_NATIVE_ISA: expected one of {', '.join(LEVELS[: best + 1])} on this CPU, got {wanted!r}")
    return wanted


def path(level: str) -> Path:
    return KERNELS / f"native-{level}.so"


def load(level: str) -> ctypes.CDLL:
    """Raises OtherSourcesError for a library that does not belong to the sources beside it: it must not be called."""
    found = ctypes.CDLL(str(path(level)))
    told = getattr(found, "rnn_digest", None)
    if told is not None:
        told.restype = ctypes.c_char_p
    if told is None or told().decode() != digest_of(KERNELS) or found.rnn_call_size() != CALL.size:
        raise OtherSourcesError(f"{path(level).name} was built from other sources: install the package again")
    for dtype in ("float32", "float64"):
        for name in ("forward", "backward"):
            getattr(found, f"rnn_{name}_{dtype}").argtypes = [ctypes.c_char_p]
        getattr(found, f"rnn_parts_{dtype}").argtypes = [ctypes.c_char_p, *[ctypes.POINTER(ctypes.c_int64)] * 2]
        getattr(found, f"rnn_parts_{dtype}").restype = None
        getattr(found, f"rnn_form_{dtype}").restype = ctypes.c_void_p
        getattr(found, f"rnn_stepper_{dtype}").argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
        getattr(found, f"rnn_step_{dtype}").argtypes = [ctypes.c_void_p]
        getattr(found, f"rnn_free_{dtype}").argtypes = [ctypes.c_void_p]
        getattr(found, f"rnn_free_{dtype}").restype = None
    found.rnn_caches.argtypes = [ctypes.POINTER(ctypes.c_int64)] * 2
    found.rnn_caches.restype = None
    found.rnn_forms.restype = ctypes.c_char_p
    found.rnn_use_team.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    found.rnn_use_team.restype = None
    return found


digest_of = cache(digest)


def build_log(level: str) -> str:
    """What the compiler said when the package was installed."""
    said = read(KERNELS / f"native-{level}.log")
    return f"The compiler said: {said}" if said else "Install the package again with a C++17 compiler, named by CXX"


@cache
def entry(function: str, dtype: np.dtype) -> Any:
    """The function of this dtype, as the library has it: forward, backward, stepper, step, free."""
    return getattr(library(), f"rnn_{function}_{dtype}")


@cache
def form(cell: Any, dtype: np.dtype) -> int:
    """What a Call of this cell begins with: where the library keeps its form; 0 if it has none. Only for cells of the table."""
    return getattr(library(), f"rnn_form_{dtype}")(cxx_type(cell).encode()) or 0


def forms() -> list[str]:
    """The names of all forms that the library has, such as LSTM<Tanh, Sigmoid>."""
    return library().rnn_forms().decode().split("\n")[:-1]


def caches() -> tuple[int, int]:
    """Bytes of a core's own second-level cache, and of the third-level cache, as the library knows them."""
    near, far = ctypes.c_int64(), ctypes.c_int64()
    library().rnn_caches(ctypes.byref(near), ctypes.byref(far))
    return near.value, far.value


def refusal(cell: Any) -> str:
    """Why the library does not run this cell, or ''. Only the very cells of the table have a form: not what was derived from them."""
    if not cells.is_listed(cell):
        return f"native knows the package's own cells only, and {type(cell).__name__} is not one of them"
    try:
        known = form(cell, FLOAT32)
    except ValueError as error:  # an activation without a name
        return str(error)
    if not known:
        return f"{path(isa()).name} has no kernel for {cxx_type(cell)}: install the package again, or write one (kernels/cells/forms.h)"
    return ""


@cache
def bfloat16() -> str:
    """The instructions for products in bfloat16 that are in use, '' if there are none. Raises OSError if those asked for are missing."""
    best = library().rnn_best_precision()
    wanted = os.environ.get("RNN_NATIVE_BFLOAT16", "")
    if wanted and wanted not in BFLOAT16[: best + 1]:
        known = ", ".join(BFLOAT16[1 : best + 1]) or "nothing"
        raise OSError(f"RNN_NATIVE_BFLOAT16: expected {known} on this CPU in the build {isa()}, got {wanted!r}")
    return wanted or BFLOAT16[best]


def precision_of(precision: str | None) -> int:
    """The field of a Call."""
    return BFLOAT16.index(bfloat16()) if precision else 0


def lacks(precision: str) -> str:
    """What this machine lacks for products in this precision, or ''."""
    if bfloat16():
        return ""
    if isa() != "x86-64-v4":
        return f"the native build {isa()} has no instructions for it, x86-64-v4 with AVX512-BF16 has"
    return "this processor lacks the instructions of AVX512-BF16"


def forget() -> None:
    """Look for the library anew: the next call loads it as if it were the first."""
    for function in (library, isa, digest_of, entry, form, bfloat16):
        function.cache_clear()
