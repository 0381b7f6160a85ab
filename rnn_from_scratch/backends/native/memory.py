"""Memory for results, lent to arrays and taken back when the last of them is gone: fresh pages, a fault for each 4 KiB, take
a training step longer than much of its arithmetic.
"""

from __future__ import annotations

import os
import threading

import numpy as np

from ...typing import Array

SMALL = 1 << 17  # bytes; below, the C library gives the same pages again by itself
KEEP = 256 << 20  # bytes kept for later; the blocks that have waited longest go first

idle: list[Array] = []  # in the order in which they came back
lock = threading.RLock()  # the collector may give a block back at any time, also while this thread is in here


def made_anew_in_a_child() -> None:
    """Another thread may have held the lock when this process was forked."""
    global lock
    lock = threading.RLock()


os.register_at_fork(after_in_child=made_anew_in_a_child)


def release(block: Array) -> None:
    with lock:
        idle.append(block)
        while sum(b.size for b in idle) > KEEP:
            idle.pop(0)


class PooledBuffer:
    """What an array and its views hold on to while they use a block."""

    __slots__ = ("__array_interface__", "block")

    def __init__(self, block: Array, size: int):
        self.block = block
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": block.__array_interface__["data"], "version": 3}

    def __del__(self) -> None:
        release(self.block)


def acquire(size: int) -> Array:
    """Memory of so many bytes, not cleared: uint8 [size]."""
    if size < SMALL:
        return np.empty(size, np.uint8)
    step = 1 << max(12, size.bit_length() - 4)  # sizes that differ by less than an eighth share blocks
    size_of_block = -(-size // step) * step
    with lock:
        for k in range(len(idle) - 1, -1, -1):
            if idle[k].size == size_of_block:
                return np.asarray(PooledBuffer(idle.pop(k), size))
    return np.asarray(PooledBuffer(np.empty(size_of_block, np.uint8), size))
