"""What a number was measured on: processor, threads, instruction set, versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import numpy as np

import rnn_from_scratch
from rnn_from_scratch import backends

SETTINGS = ("RNN_NATIVE_ISA", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")
PACKAGES = ("numpy", "torch", "tensorflow", "keras", "onnxruntime")


def thread_settings() -> dict[str, str]:
    """The environment that gives a process of any peer as many threads as ours."""
    names = ("RNN_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict.fromkeys(names, str(backends.num_threads()))


def isa(backend: str) -> str:
    """The instruction set a backend runs on: the level that native chose, else the widest that NumPy found."""
    module = backends.load(backend) if backend in backends.BACKENDS else None
    if module is not None and hasattr(module, "isa"):
        return module.isa()
    simd = numpy_config()["SIMD Extensions"]
    return (simd.get("found") or simd["baseline"])[-1]


def numpy_config() -> Any:
    return np.show_config(mode="dicts")


def versions() -> dict[str, str]:
    """rnn_from_scratch, Python, NumPy with its BLAS, and the peers that are installed."""
    blas = numpy_config()["Build Dependencies"]["blas"]
    found = {"rnn_from_scratch": rnn_from_scratch.__version__, "python": platform.python_version()}
    found["blas"] = f"{blas['name']} {blas['version']}"
    for name in PACKAGES:
        if any(metadata.distributions(name=name)):
            found[name] = metadata.version(name)
    return found


def facts() -> dict[str, Any]:
    """The same for every row: threads, versions, and the settings that hold somebody back."""
    held = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    return {"threads": backends.num_threads(), "versions": versions(), "settings": held}
