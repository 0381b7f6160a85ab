"""The cuda backend: the kernels of step.cu and sequence.cu on a GPU, launched through CuPy by the host code of host.py.

CuPy arrays in, CuPy arrays out, on CuPy's current device and stream, and nothing waits: results are ordered on that stream.
NumPy arrays are copied there and back.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np

from ...array_kinds import on_gpu
from ...typing import Array
from . import host, planner, second_order, tensor
from .storage import storage_dtype, storage_of

OPTIONS = ("-std=c++17", "-default-device")  # CUDA 12 needs the second one for lambdas; CuPy adds -ftz=true; never fast-math
EXTRAS = '"rnn_from_scratch[cuda12]" or "rnn_from_scratch[cuda13]"'
lock = threading.Lock()  # a cuBLAS handle serves one thread at a time
handles: dict[int, int] = {}  # device -> the cuBLAS handle that all calls share: one handle, one order of sums


def available() -> tuple[bool, str]:
    """(usable, why not)"""
    try:
        import cupy
    except ImportError as error:
        return False, f"needs CuPy: pip install {EXTRAS} ({error})"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return False, f"CuPy is here, but no GPU that it can use: {error}"
    if not count:
        return False, "CuPy is here, but this machine has no GPU"
    try:
        from cupy_backends.cuda.libs import cublas, nvrtc  # noqa: F401 - looks for cuBLAS

        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        return False, f"CuPy and a GPU are here, but not cuBLAS and NVRTC: pip install {EXTRAS} ({error})"
    return True, ""


@lru_cache(maxsize=256)
def module(device: int, text: str, cooperative: bool = False) -> Any:
    """The compiled kernels, once for each device; CuPy keeps the machine code on disk by a hash of the text."""
    import cupy

    return cupy.RawModule(code=text, options=OPTIONS, enable_cooperative_groups=cooperative)


@lru_cache(maxsize=1024)
def kernel(device: int, text: str, name: str) -> Any:
    return module(device, text).get_function(name)


@lru_cache(maxsize=1024)
def cooperative_kernel(device: int, text: str, name: str, grid: tuple, block: tuple, shared: int) -> Any:
    """A kernel all of whose blocks run at the same time. Raises RuntimeError if the device has no room for them.

    A block may have more than 48 KB only if the kernel says so before: without that CuPy counts no room for any block. And it
    launches fewer blocks, with no more than a warning, if a grid of one dimension is too large: (1, n, m) has three.
    """
    import cupy
    from cupy_backends.cuda.api import driver

    function = module(device, text, True).get_function(name)
    function.max_dynamic_shared_size_bytes = shared
    each = driver.occupancyMaxActiveBlocksPerMultiprocessor(function.kernel.ptr, block[0], shared)
    room, blocks = each * limits(device).multiprocessors, grid[0] * grid[1] * grid[2]
    if blocks > room:
        raise RuntimeError(
            f"sequence.cu: {blocks} blocks of {block[0]} threads and {shared} bytes must run at the same time, and "
            f"{cupy.cuda.Device(device).attributes['MultiProcessorCount']} multiprocessors hold {room}; RNN_GPU_TIER=step avoids it"
        )
    return function


@lru_cache(maxsize=16)
def limits(device: int) -> planner.Limits:
    """What CuPy says of a device."""
    import cupy

    said = cupy.cuda.Device(device).attributes
    version = said["ComputeCapabilityMajor"], said["ComputeCapabilityMinor"]
    lanes = 64 if version in ((6, 0), (7, 0), (7, 5), (8, 0)) else 128  # no attribute says it
    memory = 2e-9 * said["MemoryClockRate"] * said["GlobalMemoryBusWidth"] / 8  # kHz and bits -> TB/s, two transfers in a clock
    memory = memory or 1.0  # some drivers do not tell
    return planner.Limits(
        name=cupy.cuda.runtime.getDeviceProperties(device)["name"].decode(),
        multiprocessors=said["MultiProcessorCount"],
        shared=said["MaxSharedMemoryPerBlockOptin"],
        clock=(said["ClockRate"] or 1.5e6) / 1e6,
        lanes=lanes,
        lanes64=max(1, lanes // (said["SingleToDoublePrecisionPerfRatio"] or 32)),
        cache=said["L2CacheSize"],
        memory=memory,
        cooperative=bool(said["CooperativeLaunch"]) and version >= (7, 0),  # older ones have no release and acquire
        capability=version,
    )


@lru_cache(maxsize=16)
def flag(device: int) -> np.ndarray:
    """An int in the host's memory that kernels of a device can write and the host can read without waiting for anything."""
    import cupy

    memory = cupy.cuda.alloc_pinned_memory(4)
    cell = np.frombuffer(memory, np.int32, 1)
    cell[0] = 0
    return cell


def plan(cell: Any, B: int, H: int, dtype: Any, per_gate: bool = False, operands: str | None = None) -> planner.Plan:
    """How the current device runs a batch of B rows with H units; per_gate: h_scale differs from gate to gate; operands: see tensor."""
    import cupy

    return tensor.plan(limits(cupy.cuda.Device().id), cell, B, H, dtype, per_gate, operands)


class CupyDevice:
    """A device (see call.py): CuPy's current one.

    host    the caller's arrays are NumPy's, and the results shall be too
    """

    def __init__(self, host: bool = False):
        import cupy
        from cupy_backends.cuda.libs import cublas

        self.cupy, self.cublas, self.host = cupy, cublas, host
        self.id = cupy.cuda.Device().id
        self.gemm = {"f": cublas.sgemm, "d": cublas.dgemm}
        self.factors = {char: (np.zeros(1, char), np.ones(1, char)) for char in "fd"}  # beta by accumulate, on the host
        with lock:
            if self.id not in handles:
                handles[self.id] = cublas.create()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.cupy.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.cupy.zeros(shape, dtype)

    def put(self, array: Array) -> Array:
        return self.cupy.ascontiguousarray(self.cupy.asarray(array))

    def get(self, array: Array) -> Array:
        return self.cupy.asnumpy(array) if self.host else array

    def storage(self, name: str) -> np.dtype:
        return storage_dtype(name)

    def product(self, a: Any, b: Any, out: Any, accumulate: bool) -> None:  # CuPy arrays, whose data is an address
        """out [m,n] (+)= a [m,k] b [k,n]. cuBLAS counts columns first: to it the same memory is out^T = b^T a^T."""
        (m, k), n, char = a.shape, b.shape[1], out.dtype.char
        if not m * n:
            return
        if not k:
            if not accumulate:
                out.fill(0)
            return
        beta, one = self.factors[char][accumulate], self.factors[char][1]
        (op_a, lda), (op_b, ldb) = self.layout(a), self.layout(b)
        pointers = b.data.ptr, ldb, a.data.ptr, lda, beta.ctypes.data, out.data.ptr, out.strides[0] // out.itemsize
        with lock:
            self.gemm[char](handles[self.id], op_b, op_a, n, m, k, one.ctypes.data, *pointers)

    def layout(self, a: Array) -> tuple[int, int]:
        """(operation, leading dimension) of a matrix whose rows, or columns if it is a transposed view, are contiguous."""
        if a.strides[1] == a.itemsize:
            return self.cublas.CUBLAS_OP_N, max(a.strides[0] // a.itemsize, a.shape[1])
        return self.cublas.CUBLAS_OP_T, max(a.strides[1] // a.itemsize, a.shape[0])

    def plan(self, cell: Any, B: int, H: int, dtype: Any, per_gate: bool, operands: str | None = None) -> planner.Plan:
        return tensor.plan(limits(self.id), cell, B, H, dtype, per_gate, operands)

    @property
    def failed(self) -> np.uintp:
        """The address of the flag."""
        return np.uintp(flag(self.id).ctypes.data)

    def check(self) -> None:
        """Raise RuntimeError if a block has given up. Waits for nothing: what still runs is seen by the next call."""
        if flag(self.id)[0]:
            flag(self.id)[0] = 0
            raise RuntimeError(planner.GAVE_UP)

    def launch(self, text: str, name: str, grid: tuple, block: tuple, args: tuple, shared: int = 0) -> None:
        null = np.uintp(0)  # a null pointer
        args = tuple(null if a is None else a for a in args)
        if shared:
            cooperative_kernel(self.id, text, name, grid, block, shared)(grid, block, args, shared_mem=shared)
        else:
            kernel(self.id, text, name)(grid, block, args)


def forward(cell: Any, params: dict[str, Array], x: Array, *args: Any, storage: str | None = None, math: str | None = None) -> tuple:
    """As bptt.forward; storage and math as in backends.forward."""
    return host.forward(CupyDevice(host=not on_gpu(x)), "cuda", storage, math, cell, params, x, *args)


def backward(tape: Any, dy: Array | None, dstate: tuple, wrt: tuple[str, ...]) -> Any:
    """As bptt.backward."""
    return host.backward(CupyDevice(host=not on_gpu(tape.x)), storage_of(tape), tape, dy, dstate, wrt)


def jvp(tape: Any, *args: Any) -> Any:
    """As second_order.jvp."""
    return second_order.jvp(CupyDevice(host=not on_gpu(tape.x)), tape, *args)


def backward_vjp(tape: Any, *args: Any) -> Any:
    """As second_order.backward_vjp."""
    return second_order.backward_vjp(CupyDevice(host=not on_gpu(tape.x)), tape, *args)
