"""Checks of those options of forward that only some backends have."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array_kinds import on_gpu
from ..params import as_array
from ..typing import Array
from .precision import check_precision

STORAGES = ("float16", "bfloat16")
MATHS = ("tensor",)


def check_options(
    name: str, asked: str, x: Array, save: bool, storage: str | None, math: str | None, every: int | None, precision: str | None
) -> None:
    """Raise ValueError or TypeError unless the backend `name`, asked for as `asked`, has all of these options for this x."""
    if x.dtype == np.complex128 and name != "reference":
        raise TypeError(f"x: complex128 runs on the reference backend only, got backend={name!r}")
    check_storage(storage, name, x)
    check_math(math, name, x)
    check_recompute(every, name, save)
    check_precision(precision, name, asked, x)


def check_storage(storage: str | None, name: str, x: Array) -> None:
    """Raise ValueError or TypeError unless the backend can keep 16 bits of this x."""
    if storage is None:
        return
    if storage not in STORAGES:
        raise ValueError(f"storage: expected None or one of {', '.join(STORAGES)}, got {storage!r}")
    if name not in ("cuda", "emulated"):
        raise ValueError(f"storage: only the backends cuda and emulated keep 16 bits, got backend={name!r}")
    if x.dtype != np.float32:
        raise TypeError(f"storage: 16 bits are kept of float32 arithmetic, got x of {x.dtype}")


def check_math(math: str | None, name: str, x: Array) -> None:
    """Raise ValueError or TypeError unless the backend has tensor cores and this x can use them."""
    if math is None:
        return
    if math not in MATHS:
        raise ValueError(f"math: expected None or one of {', '.join(MATHS)}, got {math!r}")
    if name not in ("cuda", "emulated"):
        raise ValueError(f"math: only the backends cuda and emulated have tensor cores, got backend={name!r}")
    if x.dtype != np.float32:
        raise TypeError(f"math: tensor cores add in float32, got x of {x.dtype}")


def check_recompute(every: int | None, name: str, save: bool) -> None:
    """Raise ValueError unless the backend can keep the states of every so many steps only."""
    if every is None:
        return
    if not isinstance(every, (int, np.integer)) or isinstance(every, bool) or every < 1:
        raise ValueError(f"recompute_every: expected None or an integer of at least 1, got {every!r}")
    if name not in ("native", "reference"):
        raise ValueError(f"recompute_every: only the backends native and reference recompute, got backend={name!r}")
    if not save:
        raise ValueError("recompute_every: there is no tape with save=False; leave one of the two out")


def check_out(out: Any, x: Array, units: int, storage: str | None, *inputs: Array | None) -> Array:
    """Raise ValueError or TypeError unless y can be written to this array; inputs: what else forward reads meanwhile."""
    out, shape = as_array("out", out, x), (*x.shape[:2], units)
    if storage is not None:
        raise ValueError("out: with storage= y has 16 bits and an array of its own; leave one of the two out")
    if out.shape != shape:
        raise ValueError(f"out: expected [B, T, H] = {list(shape)}, got {list(out.shape)}")
    if out.dtype != x.dtype:
        raise TypeError(f"out: expected {x.dtype}, the dtype of x, got {out.dtype}")
    if on_gpu(out) or not out.size:
        return out
    steps = [size for size in out.strides if size % out.itemsize]
    if steps or not out.flags.aligned or not out.flags.writeable or (units > 1 and out.strides[2] != out.itemsize):
        raise ValueError("out: expected a writable, aligned array whose units lie side by side; use numpy.empty")
    if has_overlaps(out) or any(a is not None and np.may_share_memory(out, a) for a in (x, *inputs)):
        raise ValueError("out: expected memory of its own, in which neither elements of out overlap nor arrays lie that forward reads")
    return out


def has_overlaps(a: Array) -> bool:
    """Whether two elements lie in one place, as in a broadcast array. True also where it cannot be told quickly."""
    reach = a.itemsize
    for size, stride in sorted(zip(a.shape, map(abs, a.strides)), key=lambda axis: axis[1]):
        if size > 1 and stride < reach:
            return True
        reach += (size - 1) * stride
    return False
