"""What runs a cell, and a word where it is not the kernels: nothing leaves the fast path silently."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..cells import is_listed
from .framework import NAME, TITLE, bridge

STEPS = 100  # of the call that is explained


class Explanation(NamedTuple):
    """What layer.explain() returns."""

    backend: str  # one of backends.available(), or keras, or the name of Keras' backend
    reason: str
    saved_bytes: int | None  # per step and row of the batch, while training; none otherwise. None: the framework decides

    def __str__(self) -> str:
        kept = f"what {TITLE} needs" if self.saved_bytes is None else f"{self.saved_bytes} bytes"
        return f"{self.backend}: {self.reason}; training keeps {kept} for each step of each sequence"


def explain(cell: Any, batch: int) -> Explanation:
    """What runs a built cell of this package over a sequence, in a layer of this package."""
    if cell.unknown:
        return Explanation(NAME, step_by_step(cell), None)
    maths, dtype = cell.maths, np.dtype(cell.inner_dtype)
    params, x = cell.params(), np.zeros((1, 1, cell.kernel.shape[0]), dtype)
    if cell.backend == "auto" and bridge.wants_gpu("auto"):
        name, reason = "cuda", "tensors on a GPU"
    elif cell.backend == "auto":
        name, reason = backends.choose(maths, params, x)
    else:
        name, reason = backends.usable(cell.backend, maths, params, x), "asked for by name"
    if name == "native":
        native = backends.load(name)
        rows, units = native.parts(maths, params, x, batch, STEPS, cell.precision)
        threads = f"{rows * units} threads" if rows * units > 1 else "one thread"
        divided = [f"{what} in {n} parts" for what, n in (("rows", rows), ("units", units)) if n > 1]
        reason += f"; {native.isa()} kernels; {batch} rows: {', '.join([threads, *divided])}"
    if cell.precision:
        reason += f"; products in {cell.precision}"
    if name in ("cuda", "emulated"):
        plan = backends.load(name).plan
        reason += f"; {plan(maths, batch, cell.units, dtype)}"
        if 0 < cell.recurrent_dropout < 1 and len(maths.gates) > 1:  # while training, h has a mask for each gate
            reason += f"; training: {plan(maths, batch, cell.units, dtype, True)}"
    return Explanation(name, reason, (len(maths.saved) + len(maths.states)) * cell.units * x.itemsize)


def step_by_step(cell: Any) -> str:
    """Why the kernels do not run a cell."""
    return f"{cell.unknown}, which the kernels have; {TITLE}'s operations run the cell step by step"


@cache
def warn_once(text: str) -> None:
    """Say that a layer is not fast; once in a process for each text."""
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def warn_without_kernels(maths: Any) -> None:
    """A layer begins to train on the CPU: say so if that is on NumPy because there are no kernels here."""
    usable, why = backends.available()["native"]
    if usable or not is_listed(maths):
        return
    warn_once(
        f"Layers train on NumPy, which takes longer, since there are no native kernels here: {why.splitlines()[0][:200].rstrip('.')}. "
        "Install g++ or clang, then this package again; `rnn-from-scratch doctor` shows all that the compiler said. "
        "backend='reference' asks for NumPy without this warning"
    )
