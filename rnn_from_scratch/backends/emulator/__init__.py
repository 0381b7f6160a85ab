"""The emulated backend: the CUDA kernels and the host code of the cuda backend, on the CPU, one fibre per CUDA thread.

It is for finding faults and for reading, not for speed. A student can look over the shoulder of one thread:

    python -m rnn_from_scratch.backends.emulator --trace lstm_forward --block 0,0,0 --thread 1,0,0
"""

from __future__ import annotations

from typing import Any

from ...typing import Array
from ..gpu import host, second_order
from ..gpu.storage import storage_of
from .device import EmulatedDevice, plan
from .gxx import EmulatorError, available

__all__ = ["EmulatedDevice", "EmulatorError", "available", "backward", "backward_vjp", "forward", "jvp", "plan"]


def forward(*args: Any, storage: str | None = None, math: str | None = None) -> tuple:
    """As bptt.forward; storage and math as in backends.forward."""
    return host.forward(EmulatedDevice(), "emulated", storage, math, *args)


def backward(tape: Any, dy: Array | None, dstate: tuple, wrt: tuple[str, ...]) -> Any:
    """As bptt.backward."""
    return host.backward(EmulatedDevice(), storage_of(tape), tape, dy, dstate, wrt)


def jvp(*args: Any) -> Any:
    """As second_order.jvp."""
    return second_order.jvp(EmulatedDevice(), *args)


def backward_vjp(*args: Any) -> Any:
    """As second_order.backward_vjp."""
    return second_order.backward_vjp(EmulatedDevice(), *args)
