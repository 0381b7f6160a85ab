"""torch.autocast: products in bfloat16 where the backend has them, all else in float32; results leave in the dtype that torch.nn's
modules give."""

from __future__ import annotations

import torch

Tensor = torch.Tensor


def active(x: Tensor) -> bool:
    """Whether autocast concerns x; that of CUDA is refused (cuda.py)."""
    return torch.is_autocast_enabled("cpu") and x.is_cpu


def rounded(x: Tensor, on: bool) -> bool:
    """Whether autocast asks for products in bfloat16."""
    return on and torch.get_autocast_dtype("cpu") == torch.bfloat16 and x.dtype == torch.float32


def computed(tensors: list[Tensor], on: bool) -> list[Tensor]:
    """The tensors as the kernels take them: float32 under autocast, but for float64, which autocast leaves alone."""
    if not on:
        return tensors
    return [t.float() if t.dtype in (torch.bfloat16, torch.float16) else t for t in tensors]


def returned(tensors: list[Tensor], on: bool, in_autocast_dtype: bool) -> list[Tensor]:
    """The results: in autocast's own dtype if torch.nn's module returns that (`in_autocast_dtype`), else as they are."""
    if not (on and in_autocast_dtype):
        return tensors
    dtype = torch.get_autocast_dtype("cpu")
    return [t.to(dtype) if t.dtype == torch.float32 else t for t in tensors]
