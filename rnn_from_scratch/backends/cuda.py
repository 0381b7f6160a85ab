"""The cuda backend: the kernels of step.cu on a GPU, launched through CuPy by the loop of steps.py.

CuPy arrays in, CuPy arrays out, on CuPy's current device and stream, and nothing waits: results are ordered on that stream.
NumPy arrays are copied there and back.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np

from ..params import on_gpu
from . import steps
from .emulated import storage_dtype, storage_of

Array = Any
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
def module(device: int, text: str) -> Any:
    """The compiled kernels, once for each device; CuPy keeps the machine code on disk by a hash of the text."""
    import cupy

    return cupy.RawModule(code=text, options=OPTIONS)


@lru_cache(maxsize=1024)
def kernel(device: int, text: str, name: str) -> Any:
    return module(device, text).get_function(name)


class CupyDevice:
    """A device (see steps.py): CuPy's current one.

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

    def product(self, a: Array, b: Array, out: Array, accumulate: bool) -> None:
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

    def launch(self, text: str, name: str, grid: tuple, block: tuple, args: tuple) -> None:
        null = np.uintp(0)  # a null pointer
        kernel(self.id, text, name)(grid, block, tuple(null if a is None else a for a in args))


def forward(cell: Any, params: dict[str, Array], x: Array, *args: Any, storage: str | None = None) -> tuple:
    """As bptt.forward; storage as in backends.forward."""
    return steps.forward(CupyDevice(host=not on_gpu(x)), "cuda", storage, cell, params, x, *args)


def backward(tape: Any, dy: Array | None, dstate: tuple, wrt: tuple[str, ...]) -> Any:
    """As bptt.backward."""
    return steps.backward(CupyDevice(host=not on_gpu(tape.x)), storage_of(tape), tape, dy, dstate, wrt)
