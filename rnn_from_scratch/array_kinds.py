"""Kinds of arrays: NumPy, CuPy, torch tensors on the CPU. They are told apart without importing what is not there.

Inside, everything runs on NumPy (or CuPy) arrays. A torch tensor shares its memory with the array that stands for it, so that
nothing is copied, and results go back as tensors: y, states and gradients are of the kind that x is.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .typing import Array

WAYS = {"tensorflow": "{}.numpy()", "jax": "numpy.asarray({})", "jaxlib": "numpy.asarray({})"}  # of other libraries, to NumPy


def library(value: Any) -> str:
    """The top package of its class: numpy, cupy, torch, tensorflow, ..."""
    return type(value).__module__.partition(".")[0]


def on_gpu(array: Any) -> bool:
    """Is it a CuPy array? Told without importing CuPy."""
    return type(array) is not np.ndarray and library(array) == "cupy"


def is_tensor(value: Any) -> bool:
    """Is it a torch tensor, of any subclass? Told without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def of_tensor(name: str, tensor: Any, detach: bool = False) -> Array:
    """The NumPy array that shares the memory of a torch tensor. Raises TypeError if none does; detach allows one that requires grad."""
    if tensor.device.type != "cpu":
        raise TypeError(f"{name}: expected a torch tensor on the CPU, got one on {tensor.device}; use {name}.cpu()")
    if str(tensor.layout) != "torch.strided":
        raise TypeError(f"{name}: expected a dense torch tensor, got layout {tensor.layout}; use {name}.to_dense()")
    if str(tensor.dtype) == "torch.bfloat16":  # NumPy has no such dtype
        raise TypeError(f"{name}: expected float32 or float64, got {tensor.dtype}; use {name}.float()")
    if tensor.requires_grad and not detach:
        raise TypeError(
            f"{name}: got a torch tensor that requires grad, which torch cannot follow through here; "
            f"use {name}.detach(), and the gradients that backward(tape, dy) returns"
        )
    return tensor.detach().resolve_conj().resolve_neg().numpy()


def as_numpy(name: str, value: Any) -> Array:
    """A number, a list, a NumPy array or a torch CPU tensor as a NumPy array. Raises TypeError for arrays of other libraries."""
    if is_tensor(value):
        return of_tensor(name, value)
    if hasattr(value, "__array__") and not isinstance(value, (np.ndarray, np.generic)):
        way = WAYS.get(library(value), "numpy.asarray({})").format(name)
        kind = f"{type(value).__module__}.{type(value).__name__}"
        raise TypeError(f"{name}: expected a NumPy array, a CuPy array or a torch tensor, got {kind}; use {way}")
    return np.asarray(value)


def as_tensor(array: Array | None) -> Any:
    """A NumPy array as a torch tensor on the same memory."""
    torch = sys.modules["torch"]
    if array is None:
        return None
    if array.dtype.name == "bfloat16":  # of ml_dtypes, which torch does not know
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def in_kind(result: Any, tensors: bool) -> Any:
    """NumPy results, also in tuples and dicts, as torch tensors if `tensors`, else as they are."""
    if not tensors:
        return result
    if isinstance(result, tuple):
        return tuple(in_kind(part, tensors) for part in result)
    if isinstance(result, dict):
        return {name: in_kind(part, tensors) for name, part in result.items()}
    return as_tensor(result)
