"""Tensors on an NVIDIA GPU: how they become CuPy's arrays and results become tensors, through DLPack. No GPU has run this yet.

Nothing here waits for the GPU. What makes it safe:

1. CuPy works on torch's current stream: behind all that torch has put there, before all that torch puts there next
2. the inputs are views on torch's memory, which torch hands out again in the order of that stream, as after an operation of its own
3. what lies between the inputs and the results is CuPy's memory, whose pool goes by streams too
4. the results are copied into memory that torch allocated on that stream: record_stream and torch's pool know it

No memory of CuPy's ever belongs to torch. It would be given back at a moment that no stream knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch.utils import dlpack

from .. import backends

Tensor = torch.Tensor
DTYPES = (torch.float32, torch.float64)


def check(x: Tensor, weight: Tensor, backend: str) -> None:
    """Raise unless the cuda backend can take a call on these tensors, one of which at least is not on the CPU."""
    for name, tensor in (("input", x), ("the weights", weight)):
        if tensor.device.type not in ("cpu", "cuda"):
            raise ValueError(f"{name}: expected a tensor on the CPU or on CUDA, got one on {tensor.device}; torch.nn's modules run there")
    check_device("parameter", weight, x)
    if backend not in ("auto", "cuda"):
        raise ValueError(f"backend: {backend!r} runs on the CPU, got input on {x.device}; use backend='auto' or 'cuda', or .cpu()")
    if torch.is_autocast_enabled("cuda"):
        raise ValueError(
            "torch.autocast: there is none on CUDA here; call this module on input.float() under torch.autocast('cuda', enabled=False), "
            "or use torch.nn's"
        )
    if weight.dtype not in DTYPES:
        raise ValueError(f"the weights are {weight.dtype}; expected float32 or float64: use .float(), or torch.nn's modules")


def check_device(name: str, tensor: Tensor, x: Tensor) -> None:
    """Raise RuntimeError, in the words of torch.nn, unless a tensor is where x is."""
    if tensor.device != x.device:
        raise RuntimeError(
            f"Input and {name} tensors are not at the same device, found input tensor at {x.device} and {name} tensor at {tensor.device}"
        )


def check_machine() -> None:
    """Raise unless kernels can be launched now. Not part of check: it runs within the operators, where torch.compile does not look."""
    usable, why = available()
    if not usable:
        raise ValueError(f"tensors on CUDA run on the backend cuda, which is not usable here: {why}; on the CPU all is there")
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "torch.cuda.graph: the arrays of these modules are in CuPy's memory, which is not kept for a graph; call them outside of it, "
            "and without torch.compile(mode='reduce-overhead')"
        )


@lru_cache(maxsize=1)
def available() -> tuple[bool, str]:
    """(usable, why not); looked up once."""
    return backends.load("cuda").available()


class Handle(NamedTuple):
    """A stream of torch's, in the protocol by which CuPy 14 takes it."""

    pointer: int

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


@cache  # kept for good: a Stream of CuPy's that goes away may destroy the stream, and this one is torch's
def stream(device: int, pointer: int) -> Any:
    """CuPy's object for a stream of torch's on CuPy's current device."""
    import cupy

    if hasattr(cupy.cuda.Stream, "from_external"):
        return cupy.cuda.Stream.from_external(Handle(pointer))
    return cupy.cuda.ExternalStream(pointer, device)


def on_gpu(function: Callable, x: Tensor, *arguments: Any) -> list[Tensor]:
    """function(*arrays) -> arrays, as tensors: on CuPy's views of x and of the tensors in the arguments, in lists, dicts or alone."""
    check_machine()
    import cupy

    def arrays(value: Any) -> Any:
        if isinstance(value, Tensor):
            check_device("parameter", value, x)  # of what check has not seen, the other weights
            return view(value)
        if isinstance(value, dict):
            return {name: arrays(part) for name, part in value.items()}
        return None if value is None else tuple(map(arrays, value))

    def tensor(array: Any) -> Tensor:
        made = x.new_empty(array.shape)
        if made.numel():
            view(made)[...] = array
        return made

    device: Any = x.device.index
    with cupy.cuda.Device(device), stream(device, torch.cuda.current_stream(x.device).cuda_stream):
        return [tensor(array) for array in function(*map(arrays, (x, *arguments)))]


def view(tensor: Tensor) -> Any:
    """The CuPy array on a tensor's memory; an empty tensor has none."""
    import cupy

    tensor = tensor.detach().resolve_neg()
    if tensor.dtype == torch.bool:  # CuPy before 13 takes none from others
        return view(tensor.view(torch.uint8)).view(bool)
    if not tensor.numel():
        return cupy.empty(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    return cupy.from_dlpack(dlpack.to_dlpack(tensor))  # a capsule: given the tensor, CuPy would have torch wait for CuPy's stream
