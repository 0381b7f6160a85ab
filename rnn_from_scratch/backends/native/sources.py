"""What the native library is made from: its translation units, and the digest of the C++ files that it carries.

setup.py reads this file alone, before anything is installed: it needs the standard library only.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROW = re.compile(r"FORM\((\w+), (.+)\)")  # a row of forms.h: stem of the header, the type


def rows(kernels: Path) -> dict[str, list[str]]:
    """Stem of a header in kernels/cells -> the types it has, as kernels/cells/forms.h lists them. Raises ValueError."""
    found: dict[str, list[str]] = {}
    for line in (kernels / "cells/forms.h").read_text(encoding="utf-8").splitlines():
        row = ROW.fullmatch(line)
        if row:
            found.setdefault(row[1], []).append(row[2])
        elif line and not line.startswith("//"):
            raise ValueError(f"kernels/cells/forms.h: expected comments and rows such as FORM(lstm, LSTM<Phi, Sigma>), got {line!r}")
    return found


def units(kernels: Path) -> dict[str, list[str]]:
    """Translation unit -> its source under kernels, and the compiler's options for it."""
    found = {name: [f"native/{name}.cpp"] for name in ("bfloat16", "pool", "tensorflow_op")}
    found["native"] = ["native.cpp"]
    found["xla_handler"] = ["xla_handler.cpp", f'-DDIGEST="{digest(kernels, ("xla_handler.cpp",))}"']
    found["digest"] = ["native/digest.cpp", f'-DDIGEST="{digest(kernels)}"']
    for stem, forms in rows(kernels).items():
        listed = " ".join(f"FORM({form})" for form in forms)
        for real in ("float", "double"):
            options = [f"-DREAL={real}", f'-DHEADER="../cells/{stem}.h"', f"-DFORMS(Phi, Sigma)={listed}"]
            found[f"{stem}-{real}"] = ["native/cells.cpp", *options]
    return found


def digest(kernels: Path, patterns: tuple[str, ...] = ("native.cpp", "native/*", "cells/*")) -> str:
    """Of the names and contents of the C++ files: a library with another one was built from other sources."""
    total = hashlib.sha256()
    for file in sorted(file for pattern in patterns for file in kernels.glob(pattern)):
        if file.suffix in (".cpp", ".h"):
            text = file.read_bytes()
            total.update(f"{file.relative_to(kernels).as_posix()} {len(text)}\n".encode() + text)
    return total.hexdigest()
