"""What the last bits of the numbers may depend on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np

from .. import __version__, backends

BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE")  # NumPy's products round by these


def versions() -> dict[str, str]:
    """Python, the packages, the machine, its CPUs, NumPy's BLAS, instruction set and threads of the native backend."""
    import keras
    import tensorflow as tf

    packages = {"rnn_from_scratch": __version__, "numpy": np.__version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    blas = ", ".join(f"{name}={os.environ[name]}" for name in BLAS if name in os.environ)
    machine = {"machine": f"{platform.system()} {platform.machine()} {cpu()}", "cpus": str(cpus), "blas": blas}
    return {"python": platform.python_version(), **packages, **machine, **native()}


def cpu() -> str:
    """The processor's name; libraries choose their kernels by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def native() -> dict[str, str]:
    usable, _ = backends.available()["native"]
    isa = backends.load("native").isa() if usable else ""
    return {"isa": isa, "threads": str(backends.num_threads()) if usable else ""}
