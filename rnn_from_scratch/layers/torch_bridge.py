"""The bridge for Keras on PyTorch, with the names of bridge.py: the autograd function of ../torch, told that the weights are Keras'."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import torch
from keras import ops
from keras.src.backend.torch.core import get_device  # where Keras makes its tensors

from ..cells import CELLS
from ..torch import cuda
from ..torch.function import sequence
from ..torch.layout import Call

Tensor = torch.Tensor
HOMES = (torch.nn.functional, torch)  # where PyTorch's own activations are
BEFORE_LIVE_IS_H = False  # y before the first live step, in Keras on PyTorch: 0
SUPPORTS_JIT = True  # torch.compile sees operators


def recurrent(
    cell: Any,
    weights: list[Tensor],
    x: Tensor,
    initial_state: list[Tensor],
    mask: Tensor | None = None,
    x_scale: Tensor | None = None,
    h_scale: Tensor | None = None,
    *,
    go_backwards: bool = False,
    zero_masked_outputs: bool = False,
    sequences: bool = True,
    save: bool = True,
    backend: str = "auto",
    precision: str | None = None,
) -> tuple[Tensor | None, list[Tensor]]:
    """backends.forward on tensors, differentiable twice: the arguments and results of `recurrent` in bridge.py.

    save changes nothing: torch's autograd says whether somebody may ask for gradients.
    """
    check_device(x, weights[0], backend)
    if cell.use_bias and not cell.shared:
        weights = [*weights[:2], *weights[2].unbind(), *weights[3:]]  # both biases of a GRU
    # a stateful layer writes its new states into the tensors of the old ones, which backward wants as they were
    states = [s if s.requires_grad else s.clone() for s in initial_state]
    text = call_text(cell, go_backwards, backend, zero_masked_outputs, precision)
    y, *state = sequence(text, 1 + len(states), x, states, weights, mask, x_scale, h_scale)
    return (y if sequences else None), state


@lru_cache
def call_text(cell: Any, go_backwards: bool, backend: str, zero_masked: bool, precision: str | None) -> str:
    """The Call of a layer."""
    name = next(name for name, known in CELLS.items() if type(cell) is known)
    options = tuple((field.name, getattr(cell, field.name)) for field in fields(cell))
    return Call(name, options, False, go_backwards, backend, own=True, zero_masked=zero_masked, precision=precision).text()


def check_device(x: Tensor, weight: Tensor, backend: str) -> None:
    """Raises ValueError for tensors that the kernels cannot read."""
    if x.device.type == "cuda":
        cuda.check(x, weight, backend)
    elif x.device.type not in ("cpu", "meta"):
        raise ValueError(
            f"x: on PyTorch these layers run on the CPU and on CUDA, got a tensor on {x.device}; run them under keras.device('cpu'), "
            "or use keras.layers there: rnn_from_scratch.layers.to_keras(model) changes a model"
        )


def wants_gpu(backend: str) -> bool:
    """Is this a call that may run on a GPU?"""
    return backend == "cuda" or (backend == "auto" and "cuda" in get_device())


def split(columns: Tensor, count: int) -> Any:
    return columns.chunk(count, dim=1)


def concat(parts: list[Tensor], axis: int = 1) -> Tensor:
    return torch.cat(parts, dim=axis)


def stack(parts: list[Tensor]) -> Tensor:
    return torch.stack(parts)


def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(condition, a, b)


def add_bias(z: Tensor, b: Tensor) -> Tensor:
    return z + b


def rows(p: Tensor) -> Any:
    return p.unbind()


def einsum(products: str, *operands: Any) -> Tensor:
    return torch.einsum(products, *(ops.convert_to_tensor(t) for t in operands))


def tanh(t: Tensor) -> Tensor:
    return torch.tanh(t)


def softmax(t: Tensor) -> Tensor:
    return torch.softmax(t, -1)
