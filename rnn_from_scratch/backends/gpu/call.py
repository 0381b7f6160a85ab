"""One call as the host code of the CUDA kernels sees it, on any device.

typing.Device says what a device is; ../emulator has one on the CPU, cuda.py one on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...typing import Array, Device
from .source import column_sum_text, step_text
from .tensor import operands_of

MAX_STATES = 4  # of a cell: kernels/prelude.h
i32 = np.int32


class GpuCall:
    """What both passes of one call share: sizes, the kernels' text, parameters and masks on the device.

    B: rows of the arrays; batch: rows of the caller's, less only where numbers carry tangents (second_order.py).
    """

    kernels = ""  # what the names of the kernels that know the cell begin with

    def __init__(self, device: Device, cell: Any, params, x, live, go_backwards, zero_masked_outputs, x_scale, h_scale, storage, math=None):
        self.device, self.cell, self.real, self.storage = device, cell, x.dtype, storage
        self.operands = operands_of(math, storage)  # of tensor cores
        self.text = step_text(cell, x.dtype, storage)
        self.store = device.storage(storage) if storage else x.dtype
        self.B, self.T, self.I = x.shape
        self.batch = self.B
        self.G, self.H = len(cell.gates), params["Wh"].shape[0]
        self.phases = [(gates[0], gates[-1] + 1) for gates in cell.phases]  # gates lo..hi-1
        self.rev, self.zero_masked = i32(go_backwards), i32(zero_masked_outputs)
        self.params = {name: device.put(a) for name, a in params.items()}
        self.live = self.put(None if live is None else live.view("uint8"))
        self.x = device.put(x).reshape(self.B * self.T, self.I)
        self.x_scale, self.h_scale = self.put_scale(x_scale), self.put_scale(h_scale)
        self.scales = i32(0 if self.h_scale is None else len(self.h_scale))
        device.check()

    @cached_property
    def plan(self) -> Any:
        """The planner.Plan: which tier runs, with which tiles."""
        return self.device.plan(self.cell, self.B, self.H, self.real, bool(self.scales > 1), self.operands)

    def put(self, array: Array | None) -> Array | None:
        return None if array is None else self.device.put(array)

    def put_scale(self, scale: Array | None) -> Array | None:
        """[N,B,K], N = 1 or one for each gate."""
        return self.put(scale if scale is None or scale.ndim == 3 else scale.reshape(1, *scale.shape))

    def launch(self, name: str, rows: int, columns: int, *args: Any) -> None:
        """One thread for each row and column; a warp runs along a row."""
        by = min(8, rows)
        if rows and columns:
            self.device.launch(self.text, name, (-(-rows // by), -(-columns // 32), 1), (32, by, 1), args)

    def gates(self, a: Array, lo: int, hi: int) -> Array:
        """The columns of gates lo..hi-1 of [..., G*H]."""
        return a[..., lo * self.H : hi * self.H]

    def pieces(self, lo: int, hi: int, scale: Array | None) -> list[tuple[int, int, Array | None]]:
        """How a product over gates lo..hi-1 falls apart: (lo, hi, scale [B,K]), one piece, or one for each gate."""
        if scale is None or len(scale) == 1:
            return [(lo, hi, None if scale is None else scale[0])]
        return [(g, g + 1, scale[g]) for g in range(lo, hi)]

    def product(self, a: Array, name: str, lo: int, hi: int, out: Array, accumulate: bool) -> None:
        """out (+)= a W, for the columns W of gates lo..hi-1 of a weight."""
        self.device.product(a, self.gates(self.params[name], lo, hi), out, accumulate)

    def product_back(self, d: Array, name: str, lo: int, hi: int, out: Array) -> None:
        """out = d W^T: the way back through `product`."""
        self.device.product(d, self.gates(self.params[name], lo, hi).T, out, False)

    def vectors(self, *names: str) -> list[Array | None]:
        """Biases and extras as the kernels of one step take them: None where the cell has none."""
        return [self.params.get(name) for name in names]

    def input_rows(self, scale: Array | None, live: Array | None) -> Array:
        """x [B*T,I], times a scale [B,I], 0 at masked steps."""
        if scale is None and live is None:
            return self.x
        rows = self.device.empty(self.x.shape, self.real)
        self.launch("input_rows", *rows.shape, self.x, scale, live, rows, i32(len(rows) // self.T), i32(self.T), i32(self.I))
        return rows


def tape_arguments(states: Sequence[Array]) -> tuple[Array | None, ...]:
    """The parameters tape0 to tape3 of the kernels: the tape's states, then null pointers."""
    return (*states, *[None] * (MAX_STATES - len(states)))


def column_sum(device: Device, a: Array) -> Array:
    """The sums [C] of the columns of a contiguous [N,C], in the one order of column_sum.cu."""
    N, C = a.shape
    if N == 0:
        return device.zeros((C,), a.dtype)
    while True:
        chunks = -(-N // 256)
        sums = device.empty((chunks, C), a.dtype)
        device.launch(column_sum_text(a.dtype), "column_sum", (chunks, -(-C // 32), 1), (32, 8, 1), (a, sums, np.int64(N), i32(C)))
        if chunks == 1:
            return sums[0]
        a, N = sums, chunks
