"""Tensors that say they are on CUDA, on machines without a GPU: their numbers are on the CPU, and no operation mixes them with others.

The autograd engine of a PyTorch without CUDA ends the process when it meets a tensor of that device. So it is told the truth, and Python
is not: device, is_cuda and is_cpu are those of CUDA, and operations of this package take their way to the cuda backend.
"""

from __future__ import annotations

import types
from contextlib import contextmanager

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils import dlpack
from torch.utils._pytree import tree_flatten, tree_map

from rnn_from_scratch.backends.gpu import cuda as backend
from rnn_from_scratch.torch import cuda, cuda_operators

from . import cupy_stand_in

STREAM = 0x5EED  # torch's current one
to_dlpack = dlpack.to_dlpack
MIXED = ("copy_", "index.Tensor")  # operations that PyTorch lets take tensors of the CPU beside those on CUDA


class OnCuda(torch.Tensor):
    """Takes for its data a tensor on the CPU."""

    device = property(lambda self: torch.device("cuda", 0))
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    @staticmethod
    def __new__(cls, data):
        made = torch.Tensor._make_wrapper_subclass(
            cls, data.shape, strides=data.stride(), storage_offset=data.storage_offset(), dtype=data.dtype
        )
        made.data_there = data
        return made

    def cpu(self):
        return self.data_there.detach()

    def __repr__(self):
        return f"OnCuda({self.data_there})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        name = str(func).removeprefix("aten.")
        if func.namespace == "rnn_from_scratch":
            return getattr(cuda_operators, name.split(".")[1])(*args, **kwargs or {})
        given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        if not name.startswith(MIXED) and any(type(t) is not cls and t.dim() for t in given):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")
        return tree_map(wrapped, func(*tree_map(there, args), **tree_map(there, kwargs or {})))


def there(value):
    return value.data_there if isinstance(value, OnCuda) else value


def wrapped(value):
    return OnCuda(value) if isinstance(value, torch.Tensor) and not isinstance(value, OnCuda) else value


def moved(values):
    """The arguments of a call, on CUDA, each a leaf again."""
    if isinstance(values, PackedSequence):
        return PackedSequence(moved(values.data), values.batch_sizes, *map(moved, values[2:]))
    if isinstance(values, torch.Tensor):
        return OnCuda(values.detach()).requires_grad_(values.requires_grad)
    return None if values is None else tuple(map(moved, values))


class Machine(TorchFunctionMode):
    """Where device="cuda" gives such tensors."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        is_cuda = [torch.device(d).type == "cuda" for d in (*args[1:], kwargs.get("device")) if isinstance(d, (torch.device, str))]
        if not any(is_cuda):
            return func(*args, **kwargs)
        if args and isinstance(args[0], OnCuda):
            return args[0]
        if kwargs.get("device") is not None:
            kwargs["device"] = "cpu"
        return OnCuda(func(*("cpu" if isinstance(a, (torch.device, str)) else a for a in args), **kwargs).detach())


class ExternalStream(cupy_stand_in.Device):
    """A stream of torch's, as CuPy has it: for the device that is current, and never destroyed."""

    def __init__(self, pointer, device_id):
        super().__init__(device_id)
        self.pointer = pointer

    def __enter__(self):
        assert cupy_stand_in.entered[-1:] == [("device", self.id)], "CuPy refuses a stream of a device that is not current"
        cupy_stand_in.entered.append(("stream", self.pointer))
        return self


def forget():
    backend.handles.clear()
    for cached in (backend.kernel, cuda.stream, cuda.available):
        cached.cache_clear()


@contextmanager
def machine(monkeypatch):
    """A machine with such tensors, and with the stand-in for CuPy, which it gives."""
    forget()
    monkeypatch.setattr(dlpack, "to_dlpack", lambda t: to_dlpack(t.data_there))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=STREAM))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    # Module.to asks this before it writes a tensor of another device into a parameter, in place of making a new one
    monkeypatch.setattr(torch, "_has_compatible_shallow_copy_type", lambda a, b: isinstance(a, OnCuda) == isinstance(b, OnCuda))
    with Machine():
        cupy = cupy_stand_in.install(monkeypatch)
        cupy.cuda.ExternalStream = ExternalStream
        yield cupy
    forget()
