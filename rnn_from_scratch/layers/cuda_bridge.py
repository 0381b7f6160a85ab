"""How tensors on a GPU reach the kernels and come back: through DLPack, without the detour over host memory.

The order of things is what makes it safe; TensorFlow's stream cannot be had from Python, so every border is a wait:

1. the inputs go to CuPy: to_dlpack waits until TensorFlow has computed them
2. all work runs on one stream of our own, in CuPy's memory
3. the results are copied into memory that TensorFlow allocated: handing that to CuPy waits for whoever used it before
4. our stream is waited for, and only then are the views on TensorFlow's memory dropped

No memory of CuPy's ever belongs to TensorFlow. It would be given back from any thread, at a moment that no stream knows, and
CuPy could hand it out again while TensorFlow still reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

from .. import backends

Tensor = Any


def call(function: Callable, tensors: list[Tensor], dtypes: list[Any], backend: str) -> list[Tensor]:
    """function(*arrays) -> arrays as an op: on CuPy arrays where the tensors are on a GPU, on NumPy arrays elsewhere."""
    if not wants_gpu(backend):
        if tf.executing_eagerly():  # tf.numpy_function would copy every input first
            return [tf.convert_to_tensor(result) for result in function(*map(np.asarray, tensors))]
        return tf.nest.flatten(tf.numpy_function(function, tensors, dtypes, stateful=False))
    # the op knows no bool on a GPU; what function gets is bool again
    plain = [tf.cast(t, tf.uint8) if t.dtype == tf.bool else t for t in tensors]
    masks = [t.dtype == tf.bool for t in tensors]

    def run(*eager: Tensor) -> list[Tensor]:
        if not any(map(is_on_gpu, eager)):
            arrays = [t.numpy().view(bool) if mask else t.numpy() for t, mask in zip(eager, masks)]
            return [tf.constant(result) for result in function(*arrays)]
        return on_gpu(function, eager, masks)

    return tf.nest.flatten(tf.py_function(run, plain, dtypes))


def wants_gpu(backend: str) -> bool:
    """Is this a call that may run on a GPU?"""
    there = bool(tf.config.list_physical_devices("GPU"))
    return backend == "cuda" or (backend == "auto" and there and backends.available()["cuda"][0])


def is_on_gpu(tensor: Tensor) -> bool:
    return "GPU" in tensor.device


def on_gpu(function: Callable, tensors: tuple[Tensor, ...], masks: list[bool]) -> list[Tensor]:
    """The four steps above."""
    import cupy

    check_memory_growth()
    arrays = [to_cupy(cupy, t) for t in tensors]
    device = cupy.cuda.Device(arrays[0].device.id)
    with device, stream(device.id) as here:
        results = function(*(a.view(bool) if mask else a for a, mask in zip(arrays, masks)))
        outputs = []
        for result in results:
            output = tf.raw_ops.Empty(shape=result.shape, dtype=tf.as_dtype(result.dtype), init=False)
            if result.size:
                view = to_cupy(cupy, output)
                view[...] = result
                arrays.append(view)
            outputs.append(output)
        here.synchronize()
    del arrays  # not before the stream is done with them
    return outputs


def to_cupy(cupy: Any, tensor: Tensor) -> Any:
    """A view on a tensor's memory. An empty tensor has none."""
    if 0 in tensor.shape:
        return cupy.empty(tuple(tensor.shape), tensor.dtype.as_numpy_dtype)
    # the capsule, not the tensor: CuPy would ask its __dlpack__ for a stream, and TensorFlow refuses that
    return cupy.from_dlpack(tf.experimental.dlpack.to_dlpack(tensor))


@cache
def stream(device: int) -> Any:
    """The stream of our own on a device, one that does not wait for the default stream."""
    import cupy

    return cupy.cuda.Stream(non_blocking=True)


@lru_cache(maxsize=1)
def check_memory_growth() -> None:
    """Raise RuntimeError if TensorFlow takes all memory of a GPU for itself: CuPy's first allocation would fail."""
    if os.environ.get("TF_FORCE_GPU_ALLOW_GROWTH", "").lower() == "true":
        return
    for gpu in tf.config.list_physical_devices("GPU"):
        limited = any(c.memory_limit for c in tf.config.get_logical_device_configuration(gpu) or ())
        if not limited and not tf.config.experimental.get_memory_growth(gpu):
            raise RuntimeError(
                f"backend cuda: TensorFlow keeps the whole memory of {gpu.name} for itself. Before the GPU is first used, call "
                "tf.config.experimental.set_memory_growth(gpu, True), or set TF_FORCE_GPU_ALLOW_GROWTH=true"
            )
