"""What is usable here and what to install; needs nothing but NumPy and rich."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from . import __version__, backends
from .verify import coverage

# the names under which a package may be installed -> what it is for, what to install
PACKAGES = {
    ("numpy",): ("everything", "numpy"),
    ("tensorflow", "tensorflow-cpu", "tensorflow-macos"): ("layers, train, predict, verify", "rnn_from_scratch[tensorflow]"),
    ("keras",): ("layers, train, predict, verify", "rnn_from_scratch[tensorflow]"),
    ("matplotlib",): ("train, predict", "rnn_from_scratch[tensorflow]"),
    ("tf_keras",): ("verify", "rnn_from_scratch[test]"),
    ("torch",): ("PyTorch modules, layers on PyTorch, verify", "rnn_from_scratch[torch]"),
    ("jax",): ("layers on JAX, verify", "rnn_from_scratch[jax]"),
    ("cupy", "cupy-cuda13x", "cupy-cuda12x"): ("NVIDIA GPUs, PyTorch's tensors on CUDA", "rnn_from_scratch[cuda12]"),
    ("onnx",): ("ONNX models", "onnx"),
}


def report(console: Console) -> None:
    """Print the versions of the packages, what is missing, the backends, what knows not every cell, and the machine."""
    table = Table("package", "version", "for", box=None, header_style="bold", pad_edge=False)
    table.add_row("rnn_from_scratch", __version__)
    table.add_row("python", platform.python_version())
    missing: dict[str, list[str]] = {}
    for names, (purpose, requirement) in PACKAGES.items():
        name, version = installed(names)
        table.add_row(name, version or "missing", purpose, style="" if version else "yellow")
        if not version:
            missing.setdefault(requirement, []).append(name)
    console.print(table)
    for requirement, packages in missing.items():
        console.out(f'to get {", ".join(packages)}: pip install "{requirement}"', highlight=False)
    table = Table("backend", "usable", "why not", box=None, header_style="bold", pad_edge=False)
    for backend, (usable, why) in backends.available().items():
        table.add_row(backend, "yes" if usable else "no", escape(why))
    console.print()
    console.print(table)
    console.out(f"products in bfloat16 on native: {bfloat16()}", highlight=False)
    coverage.report(console)
    console.out(f"\n{os.cpu_count()} CPUs, {platform.machine()}, {platform.platform()}", highlight=False)


def bfloat16() -> str:
    """The instructions, or what is missing."""
    native = backends.load("native")
    if not native.available()[0]:
        return "no, native is not usable"
    try:
        why = native.lacks("bfloat16")
    except OSError as error:  # RNN_NATIVE_BFLOAT16 asks for what is not there
        why = str(error)
    return f"no, {why}" if why else native.bfloat16()


def installed(names: tuple[str, ...]) -> tuple[str, str]:
    """(name, version) of the first that is installed, else the first name and "". Reads metadata: importing TensorFlow is slow."""
    there = [name for name in names if any(metadata.distributions(name=name))]
    return (there[0], metadata.version(there[0])) if there else (names[0], "")
