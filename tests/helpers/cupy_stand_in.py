"""A stand-in for CuPy on machines without a GPU: the part that cuda.py uses, with NumPy memory and emulated kernels.

It holds the host code to what CuPy and CUDA demand, which CuPy itself would let pass silently: scalars of the exact type, as
many arguments as the kernel has parameters, grids and blocks in the limits, leading dimensions that fit. `launches` and
`products` record every call.
"""

from __future__ import annotations

import ctypes
import sys
import types
from typing import ClassVar

import numpy as np

from rnn_from_scratch.backends.emulator.device import program
from rnn_from_scratch.backends.emulator.program import guarded, memory
from rnn_from_scratch.backends.gpu import cuda

launches: list[tuple] = []
products: list[tuple] = []
pinned: dict[int, np.ndarray] = {}  # address -> the host's memory that kernels can reach
borders: list[str] = []  # what happened at the border to TensorFlow, in order
entered: list[tuple[str, int]] = []  # the devices and foreign streams that are current, the last one on top
used: list[tuple] = []  # of each kernel, product and copy: what was `entered` then


class Pointer:
    def __init__(self, array):
        self.ptr = array.__array_interface__["data"][0]


class ndarray(np.ndarray):  # noqa: N801 - CuPy's name
    """Like CuPy's: no silent way to NumPy but get()."""

    __module__ = "cupy"

    @property
    def data(self):
        return Pointer(self)

    @property
    def device(self):
        return Device(0)

    def __setitem__(self, key, value):
        used.append(tuple(entered))
        super().__setitem__(key, value)

    def get(self):
        return np.array(self.view(np.ndarray))


def empty(shape, dtype):
    return memory(tuple(shape), dtype).view(ndarray)


def zeros(shape, dtype):
    array = empty(shape, dtype)
    array.view(np.ndarray)[...] = 0
    return array


def asarray(value):
    if isinstance(value, ndarray) and guarded(value) is not None:
        return value
    array = empty(np.shape(value), np.asarray(value).dtype)
    array.view(np.ndarray)[...] = value
    return array


def ascontiguousarray(value):
    return value if value.flags.c_contiguous else asarray(np.array(value.view(np.ndarray)))


def asnumpy(array):
    return array.get() if isinstance(array, ndarray) else np.asarray(array)


class Capsule:
    """What NumPy wants around a DLPack capsule."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **_):
        return self.capsule

    def __dlpack_device__(self):
        return 1, 0


def from_dlpack(capsule):
    """A view on the memory behind a capsule, writable as CuPy's are."""
    borders.append("view")
    there = np.from_dlpack(Capsule(capsule))
    kind = ctypes.c_char * (there.itemsize + sum((n - 1) * step for n, step in zip(there.shape, there.strides)))
    array = np.ndarray(there.shape, there.dtype, kind.from_address(there.ctypes.data), strides=there.strides).view(ndarray)
    array.keep = there
    return array


def alloc_pinned_memory(size):
    array = memory((size // 4,), np.int32)
    pinned[array.ctypes.data] = array
    return array.view(np.uint8)


class Device:
    compute_capability = "00"
    attributes: ClassVar[dict] = {"MultiProcessorCount": 6, "MaxSharedMemoryPerBlockOptin": 64 << 10}
    attributes |= {"CooperativeLaunch": 1, "ClockRate": 1_000_000}
    attributes |= {"ComputeCapabilityMajor": 7, "ComputeCapabilityMinor": 5, "L2CacheSize": 1 << 22, "SingleToDoublePrecisionPerfRatio": 32}
    attributes |= {"MemoryClockRate": 5_000_000, "GlobalMemoryBusWidth": 256}

    def __init__(self, number=0):
        self.id = number

    def __enter__(self):
        entered.append(("device", self.id))
        return self

    def __exit__(self, *_):
        entered.pop()


class Stream(Device):
    def __init__(self, *, non_blocking):
        assert non_blocking
        super().__init__()

    def synchronize(self):
        borders.append("wait")


class RawModule:
    def __init__(self, *, code, options=(), enable_cooperative_groups=False):
        assert "fast" not in " ".join(options)
        self.code, self.cooperative = code, enable_cooperative_groups

    def get_function(self, name):
        return Function(self, name)


class Function:
    """A kernel, which refuses what CUDA would refuse or, worse, take in another sense."""

    max_dynamic_shared_size_bytes = 48 << 10

    def __init__(self, module, name):
        self.module, self.name = module, name
        self.kernel = types.SimpleNamespace(ptr=id(self))
        functions[id(self)] = self

    def __call__(self, grid, block, args, *, shared_mem=0):
        code, name = self.module.code, self.name
        assert len(grid) == len(block) == 3, "three numbers each"
        assert all(type(n) is int and n >= 1 for n in (*grid, *block)), "empty"
        assert grid[0] < 2**31 and max(grid[1:]) < 2**16 and np.prod(block) <= 1024, "too large"
        flat = grid[0] > 1 and grid[1] == grid[2] == 1
        assert not (self.module.cooperative and flat), "CuPy would shrink a one-dimensional cooperative grid silently"
        assert shared_mem <= self.max_dynamic_shared_size_bytes, "max_dynamic_shared_size_bytes is to be set before the launch"
        assert self.module.cooperative or "row_group.h" not in code, "its blocks wait for each other: they must all run at once"
        signature = program(code).signatures[name]
        assert len(args) == len(signature), f"{name}: expected {len(signature)} arguments, got {len(args)}"
        plain = [plain_array(a) if p.pointer else a for a, p in zip(args, signature)]
        launches.append((name, grid, block, tuple(args)))
        borders.append("work")
        used.append(tuple(entered))
        program(code).launch(name, grid, block, plain, shared=shared_mem, seed=len(launches))


functions: dict[int, Function] = {}


def occupancy(address, threads, shared):
    """Blocks of a kernel on one multiprocessor, as the driver counts them."""
    return int(shared <= functions[address].max_dynamic_shared_size_bytes and threads <= 1024)


def plain_array(value):
    """What a kernel gets for a pointer: a CuPy array, or an address: null, or pinned memory."""
    if isinstance(value, np.uintp):
        return pinned[int(value)] if value else None
    return value.view(np.ndarray)


def gemm(dtype):
    """cuBLAS' product of column-major matrices, on addresses."""
    item = np.dtype(dtype).itemsize

    def matrix(address, rows, columns, ld):
        kind = np.ctypeslib.as_ctypes_type(dtype) * (ld * (columns - 1) + rows)
        flat = np.frombuffer(kind.from_address(address), dtype)
        return np.lib.stride_tricks.as_strided(flat, (rows, columns), (item, ld * item))

    def run(handle, op_a, op_b, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc):
        assert handle == 7 and {op_a, op_b} <= {0, 1} and min(m, n, k) >= 1
        assert lda >= (k if op_a else m) and ldb >= (n if op_b else k) and ldc >= m, "cuBLAS refuses such a leading dimension"
        products.append((op_a, op_b, m, n, k))
        used.append(tuple(entered))
        a = matrix(A, k, m, lda).T if op_a else matrix(A, m, k, lda)
        b = matrix(B, n, k, ldb).T if op_b else matrix(B, k, n, ldb)
        c = matrix(C, m, n, ldc)
        scalar = np.ctypeslib.as_ctypes_type(dtype)
        factor, keep = scalar.from_address(alpha).value, scalar.from_address(beta).value
        product = (b.T @ a.T).T  # by rows, as the emulated device calls it: NumPy's BLAS sums a b in another order on some CPUs
        c[...] = factor * product + (keep * c if keep else 0)  # as cuBLAS: beta = 0 never reads C

    return run


def install(monkeypatch):
    """Put the stand-in where `import cupy` finds it. The step tier runs unless a test says otherwise."""
    for cached in (cuda.module, cuda.kernel, cuda.cooperative_kernel, cuda.limits, cuda.flag):
        cached.cache_clear()
    monkeypatch.setenv("RNN_GPU_TIER", "step")
    cupy = types.ModuleType("cupy")
    for item in (ndarray, empty, zeros, asarray, ascontiguousarray, asnumpy, from_dlpack, RawModule):
        setattr(cupy, item.__name__, item)
    cupy.__version__ = "a stand-in"
    runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, CUDARuntimeError=type("CUDARuntimeError", (RuntimeError,), {}))
    runtime.getDeviceProperties = lambda number: {"name": b"no H100 but a stand-in"}
    runtime.runtimeGetVersion = runtime.driverGetVersion = lambda: 0
    current = Stream(non_blocking=True)
    cupy.cuda = types.SimpleNamespace(runtime=runtime, Device=Device, Stream=Stream, get_current_stream=lambda: current)
    cupy.cuda.alloc_pinned_memory = alloc_pinned_memory
    api = types.ModuleType("cupy_backends.cuda.api")
    api.driver = types.SimpleNamespace(occupancyMaxActiveBlocksPerMultiprocessor=occupancy)
    cublas = types.ModuleType("cupy_backends.cuda.libs.cublas")
    cublas.sgemm, cublas.dgemm, cublas.create = gemm("float32"), gemm("float64"), lambda: 7
    cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T = 0, 1
    nvrtc = types.ModuleType("cupy_backends.cuda.libs.nvrtc")
    nvrtc.getVersion = lambda: (12, 9)
    libs = types.ModuleType("cupy_backends.cuda.libs")
    libs.cublas, libs.nvrtc = cublas, nvrtc
    modules = {"cupy": cupy, "cupy_backends": types.ModuleType("cupy_backends"), "cupy_backends.cuda": types.ModuleType("cuda")}
    modules |= {f"cupy_backends.cuda.{m.__name__.partition('.cuda.')[2]}": m for m in (libs, cublas, nvrtc, api)}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    for record in (launches, products, borders, entered, used):
        record.clear()
    return cupy
