"""What the native backend is called with: the fields of the struct Call, filled in from arrays; and new arrays for results."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence

import numpy as np

from ...typing import Array
from .memory import acquire
from .threads import num_threads

# Field by field the Call of kernels/native/call.h; an array there is one field for each element here.
LAYOUT = """
    form
    B T I H threads go_backwards zero_masked_outputs x_scale_gates h_scale_gates recompute_every precision
    x x_stride0 x_stride1 x_stride2 Wx Wh Wx_stride0 Wx_stride1 Wh_stride0 Wh_stride1 bx bh p live x_scale h_scale
    states0 states1 states2 states3 saved initial0 initial1 initial2 initial3 y final0 final1 final2 final3 y_stride0 y_stride1
    dy dy_stride0 dy_stride1 dfinal0 dfinal1 dfinal2 dfinal3 dx dWx dWh dbx dbh dp dinitial0 dinitial1 dinitial2 dinitial3
    dx_stride0 dx_stride1 dWx_stride0 dWx_stride1 dWh_stride0 dWh_stride1
    dual tx tWx tWh tbx tbh tp
"""
FIELDS = tuple(LAYOUT.split())
CALL = struct.Struct(f"{len(FIELDS)}q")
FAILURES = {
    1: (MemoryError, "not enough memory for the native backend"),
    2: (RuntimeError, "the native backend could not start a thread; set RNN_NUM_THREADS=1"),
}


def check(code: int) -> None:
    """Raise MemoryError or RuntimeError if a function of the library says so."""
    if code:
        error, message = FAILURES[code]
        raise error(message)


def address(a: Array) -> int:
    """Where the array's memory begins."""
    return a.__array_interface__["data"][0]  # a.ctypes.data runs through far more Python


def new_arrays(dtype: np.dtype, *shapes: tuple[int, ...]) -> tuple[list[Array], list[int]]:
    """New contiguous arrays, and their addresses. Small ones are made in one piece of memory, which is quicker.

    Aligned to 64 bytes: TensorFlow takes such an array over without a copy. Large ones each have a piece of their own, so that
    none keeps the others' memory.
    """
    sizes = [math.prod(shape) * dtype.itemsize for shape in shapes]
    total = sum(sizes) + 64 * (len(sizes) + 1)
    if len(shapes) > 1 and total > 1 << 20:
        pieces = [new_arrays(dtype, shape) for shape in shapes]
        return [a for (a,), _ in pieces], [at for _, (at,) in pieces]
    memory = acquire(total)
    start = address(memory)
    arrays, addresses, at = [], [], -start % 64
    for shape, size in zip(shapes, sizes):
        arrays.append(np.ndarray(shape, dtype, memory, at))
        addresses.append(start + at)
        at += -(-size // 64) * 64
    return arrays, addresses


def strided(a: Array, units_together: bool) -> Array:
    """The array itself if the kernels can walk it by whole elements (on the last axis one by one), else a copy."""
    if a.flags.carray:  # contiguous, aligned, writable: the usual
        return a
    walkable = a.flags.aligned and not any(s % a.itemsize for s in a.strides)
    return a if walkable and (a.strides[-1] == a.itemsize or not units_together) else np.ascontiguousarray(a)


def axes_in_memory(a: Array) -> list[int]:
    """The axes of an array in the order of memory, where the first two may be exchanged: [I,G*H] as [G*H,I], [B,T,I] as [T,B,I]."""
    order = list(range(a.ndim))
    if a.ndim > 1 and not a.flags.c_contiguous and abs(a.strides[0]) < abs(a.strides[1]):
        order[:2] = 1, 0
    return order


class Arguments:
    """A Call being filled in. Keeps what it has copied alive; the caller keeps the rest.

    Plain integers packed at the end, and no ctypes.Structure: between two calls the kernels push Python out of the caches,
    and every line of it is then dear.
    """

    def __init__(self, form, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, recompute_every, precision=0):
        B, T, I = x.shape
        self.dtype, self.copies = x.dtype, []
        self.fields = fields = dict.fromkeys(FIELDS, 0)
        fields["form"] = form
        fields["B"], fields["T"], fields["I"], fields["H"] = B, T, I, len(params["Wh"])
        fields["threads"] = num_threads()
        fields["go_backwards"], fields["zero_masked_outputs"] = go_backwards, zero_masked_outputs
        fields["x_scale_gates"] = 1 if x_scale is None or x_scale.ndim == 2 else len(x_scale)
        fields["h_scale_gates"] = 1 if h_scale is None or h_scale.ndim == 2 else len(h_scale)
        fields["recompute_every"] = min(recompute_every or 0, T)
        fields["precision"] = precision
        self.walk("x", x, 3)
        for name, a in params.items():
            if name in ("Wx", "Wh"):
                self.walk(name, a, 2)
            else:
                self.give("bx" if name == "b" else name, a)
        self.give("live", live)
        self.give("x_scale", x_scale)
        self.give("h_scale", h_scale)

    def give(self, name: str, a: Array | None) -> None:
        """Give the address of an array, or of a contiguous copy of it."""
        if a is None:
            return
        if not a.flags.c_contiguous:
            a = np.ascontiguousarray(a)
            self.copies.append(a)
        self.fields[name] = address(a)

    def give_states(self, name: str, arrays: Iterable[Array | None]) -> None:
        """Give one array for each state."""
        for i, a in enumerate(arrays):
            self.give(f"{name}{i}", a)

    def walk(self, name: str, a: Array, axes: int) -> None:
        """Give an array with the strides of its first axes; on those after them it is contiguous."""
        a = strided(a, units_together=axes < a.ndim)
        self.copies.append(a)
        self.fields[name] = address(a)
        self.give_strides(name, a, axes)

    def give_strides(self, name: str, a: Array, axes: int = 2) -> None:
        for axis in range(axes):
            self.fields[f"{name}_stride{axis}"] = a.strides[axis] // a.itemsize

    def new(self, names: Iterable[str], *shapes: tuple[int, ...]) -> list[Array]:
        """New arrays for results, under these names."""
        arrays, addresses = new_arrays(self.dtype, *shapes)
        self.fields.update(zip(names, addresses))
        return arrays

    def new_like(self, names: Sequence[str], *likes: Array) -> list[Array]:
        """New arrays of the shapes of others; their axes lie in memory as there, where the kernels can write so."""
        orders = [axes_in_memory(a) if f"{name}_stride0" in FIELDS else list(range(a.ndim)) for name, a in zip(names, likes)]
        made = self.new(names, *[tuple(a.shape[axis] for axis in order) for a, order in zip(likes, orders)])
        arrays = [a.transpose(np.argsort(order)) if order != sorted(order) else a for a, order in zip(made, orders)]
        for name, a in zip(names, arrays):
            if f"{name}_stride0" in self.fields:
                self.give_strides(name, a)
        return arrays

    def packed(self) -> bytes:
        """The Call."""
        return CALL.pack(*self.fields.values())
