"""What torch.nn refuses is refused here, by the same kind of error; and by name, what only torch.nn can do."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import torch

from . import cuda

Tensor = torch.Tensor
DTYPES = (torch.float32, torch.float64)


def check_probability(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Number) or isinstance(value, bool) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ValueError(
            f"{name} should be a number in range [0, 1] representing the probability of an element being zeroed, got {value!r}"
        )


def check_size(name: str, value: Any) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if value <= 0:
        raise ValueError(f"{name} must be greater than zero")


def check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def check_dropout(dropout: Any, num_layers: int) -> None:
    check_probability("dropout", dropout)
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
            f"but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )


def check_projection(proj_size: Any, name: str) -> None:
    if proj_size:
        raise ValueError(
            f"proj_size: {name} here has no projection, got {proj_size!r}; use torch.nn.{name}, or put a torch.nn.Linear behind this one"
        )


def check_tensors(weight: Tensor, x: Tensor, autocast: bool, backend: str) -> None:
    """Raise unless x and the weights are on one device that the backend runs on, in a dtype that the kernels compute in."""
    if not (x.is_cpu and weight.is_cpu):
        cuda.check(x, weight, backend)
    if weight.dtype not in DTYPES:
        raise ValueError(f"the weights are {weight.dtype}; expected float32 or float64: use .float(), or torch.autocast for the rest")
    if x.dtype != weight.dtype and not autocast:
        raise ValueError(
            f"RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). "
            f"Convert input: input.to({weight.dtype}), or convert model: model.to({x.dtype})"
        )


def check_input(module: Any, x: Tensor) -> None:
    name = type(module).__name__
    if x.dim() not in (2, 3):
        raise ValueError(f"{name}: Expected input to be 2D or 3D, got {x.dim()}D instead")
    check_width(x, module.input_size)
    time = 0 if x.dim() == 2 or not module.batch_first else 1
    if x.shape[time] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")


def check_width(x: Tensor, size: int) -> None:
    if x.shape[-1] != size:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {size}, got {x.shape[-1]}")


def check_hx(names: tuple[str, ...], hx: Any, expected: tuple[int, ...], batched: bool, x: Tensor) -> list[Tensor]:
    """The initial states as a list of tensors [layers * directions, B, H], after the checks of torch.nn.

    names      of the states, (h,) or (h, c)
    expected   layers * directions, B, H
    x          the input: states have to be where it is
    """
    states, dims = as_states(names, hx), 3 if batched else 2
    if any(s.dim() != dims for s in states):
        got, listed = ", ".join(f"{s.dim()}-D" for s in states), "hx" if len(names) == 1 else "hx and cx"
        kind = "batched 3-D" if batched else "unbatched 2-D"
        raise RuntimeError(f"For {kind} input, {listed} should also be {dims}-D but got ({got}) tensors")
    states = [s if batched else s.unsqueeze(1) for s in states]
    for k, s in enumerate(states):
        if tuple(s.shape) != expected:
            which = "hidden size" if len(states) == 1 else f"hidden[{k}] size"
            raise RuntimeError(f"Expected {which} {expected}, got {list(s.shape)}")
        if s.device != x.device:
            cuda.check_device("hidden", s, x)
    return states


def as_states(names: tuple[str, ...], hx: Any) -> list[Tensor]:
    """hx as a list with one tensor for each state."""
    states = [hx] if len(names) == 1 else hx
    if not isinstance(states, (tuple, list)) or len(states) != len(names) or not all(isinstance(s, Tensor) for s in states):
        wanted = "a tensor" if len(names) == 1 else f"a tuple of {len(names)} tensors, {' and '.join(names)}"
        raise RuntimeError(f"hx: expected {wanted}, got {type(hx).__name__}")
    return list(states)


def check_cell(module: Any, x: Tensor, states: list[Tensor]) -> None:
    """The checks of torch.nn's single-step cells."""
    name = type(module).__name__
    if x.dim() not in (1, 2):
        raise ValueError(f"{name}: Expected input to be 1D or 2D, got {x.dim()}D instead")
    for k, s in enumerate(states):
        if s.dim() not in (1, 2):
            which = "hidden" if len(states) == 1 else f"hx[{k}]"
            raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {s.dim()}D instead")
    if x.shape[-1] != module.input_size:
        raise RuntimeError(f"input has inconsistent input_size: got {x.shape[-1]} expected {module.input_size}")
    for k, s in enumerate(states):
        if s.shape[-1] != module.hidden_size:
            raise RuntimeError(f"hidden{k} has inconsistent hidden_size: got {s.shape[-1]}, expected {module.hidden_size}")
        if s.dim() != x.dim() or s.shape[:-1] != x.shape[:-1]:
            B = [t.shape[0] if t.dim() == 2 else "none" for t in (x, s)]
            raise RuntimeError(f"Input batch size {B[0]} doesn't match hidden{k} batch size {B[1]}")
        if s.device != x.device:
            cuda.check_device("hidden", s, x)
