"""Tensors to CuPy and back: on CPU tensors, with the stand-in for CuPy."""

from __future__ import annotations

import re
from itertools import groupby

import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.gpu import cuda
from rnn_from_scratch.layers import cuda_bridge
from rnn_from_scratch.measure import error

from ..helpers import cupy_stand_in
from ..helpers.layer_pairs import MASK, B, I, T, pair, random, results, worst

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


def forget():
    cuda.handles.clear()
    for cached in (cuda.kernel, cuda_bridge.stream, cuda_bridge.check_memory_growth):
        cached.cache_clear()


@pytest.fixture
def gpu(monkeypatch):
    """CPU tensors that pass for tensors on a GPU."""
    forget()
    monkeypatch.setattr(cuda_bridge, "is_on_gpu", lambda tensor: True)
    yield cupy_stand_in.install(monkeypatch)
    forget()


def on_cuda(kind, **options):
    """Our layer on the cuda backend, and tf.keras' with the same weights."""
    ours, theirs = pair(kind, **options)
    ours.cell.backend = "cuda"
    return ours, theirs


@pytest.mark.parametrize("mask", [None, MASK], ids=["live", "masked"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU after", "GRU before"])
def test_layers_on_the_bridge_equal_keras(gpu, kind, mask):
    ours, theirs = on_cuda(kind, return_sequences=True, return_state=True)
    x = random(B, T, I)
    assert worst(results(ours, x, mask=mask), results(theirs, x, mask=mask)) <= 1e-12
    assert {"forward", "backward", "end"} <= {name for name, *_ in cupy_stand_in.launches}


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_gradients_of_gradients_on_the_bridge_equal_keras(gpu, graph):
    ours, theirs = on_cuda("LSTM", return_sequences=True)
    x = tf.constant(random(B, T, I))

    def of_the_penalty(layer):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.sin(layer(x, mask=tf.constant(MASK))))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, [x, *layer.trainable_weights])

    found = (tf.function(of_the_penalty) if graph else of_the_penalty)(ours)
    assert max(error(a, b) for a, b in zip(found, of_the_penalty(theirs), strict=True)) <= 1e-11
    assert "dual_backward" in {name for name, *_ in cupy_stand_in.launches}


def test_explain_says_how_a_gpu_runs_it(gpu, monkeypatch):
    ours, _ = on_cuda("LSTM")
    ours(random(B, T, I))
    assert ours.explain().reason == "asked for by name; step tier: it was asked for"
    monkeypatch.delenv("RNN_GPU_TIER")
    reason = ours.explain(batch=6).reason
    assert reason.startswith("asked for by name; sequence tier: 1 x 6 blocks of 256 threads, each 5 units x 1 rows, weights in ")
    times = r"[\d.]+ \([\d.]+ to [\d.]+\) us predicted for a step forward and backward, 36 \(22 to 58\) us with a launch per step"
    assert re.search(f"; {times}$", reason)
    dropping, _ = on_cuda("LSTM", recurrent_dropout=0.5)
    dropping(random(B, T, I))
    asked, plan = [], cuda.plan
    monkeypatch.setattr(cuda, "plan", lambda *args: asked.append(args[4:]) or plan(*args))
    inference, training = dropping.explain(batch=6).reason.split("; training: ")
    assert inference == reason and training.startswith("sequence tier: ")
    assert asked == [(), (True,)]  # a mask for each gate while training


def test_in_a_graph_and_with_an_empty_batch(gpu):
    ours, theirs = on_cuda("LSTM", return_sequences=True)
    graph = tf.function(ours, input_signature=[tf.TensorSpec([None, T, I], tf.float64)])
    for rows in (B, 0, 1):
        x = random(rows, T, I)
        y = graph(x)
        assert y.shape == (rows, T, 5)
        assert rows == 0 or error(y, theirs(x)) <= 1e-12  # tf.keras has no empty batches


def test_the_order_at_the_border(gpu):
    """Views on the inputs, work, views on TensorFlow's outputs, then the wait: see cuda_bridge's first page."""
    x = tf.constant(random(2, 3, 4, dtype="float32"))
    (y,) = cuda_bridge.on_gpu(lambda a: [a + 1], (x,), [False])
    assert [key for key, _ in groupby(cupy_stand_in.borders)] == ["view", "wait"]
    assert np.array_equal(y, x + 1)
    ours, _ = on_cuda("LSTM")
    ours(random(B, T, I))
    cupy_stand_in.borders.clear()
    ours(random(B, T, I))
    assert [key for key, _ in groupby(cupy_stand_in.borders)] == ["view", "work", "view", "wait"]


def test_masks_arrive_as_bool(gpu):
    seen = []

    def look(x, mask):
        seen.append(mask.dtype)
        return [x]

    cuda_bridge.call(look, [tf.ones([2, 3]), tf.constant(MASK)], [tf.float32], "cuda")
    assert seen == [np.dtype(bool)]


def test_tensors_on_the_cpu_take_numpy_arrays():
    kinds = []

    def look(x, mask):
        kinds.append((type(x), mask.dtype))
        return [x]

    cuda_bridge.call(look, [tf.ones([2, 3]), tf.constant(MASK)], [tf.float32], "cuda")
    assert kinds == [(np.ndarray, np.dtype(bool))]


class FakeGpu:
    name = "/physical_device:GPU:0"


@pytest.fixture
def one_gpu(monkeypatch):
    cuda_bridge.check_memory_growth.cache_clear()
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [FakeGpu()])
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", lambda gpu: None)
    monkeypatch.setattr(tf.config.experimental, "get_memory_growth", lambda gpu: False)
    yield monkeypatch
    cuda_bridge.check_memory_growth.cache_clear()


def test_memory_growth_is_asked_for(one_gpu):
    with pytest.raises(RuntimeError, match=r"set_memory_growth\(gpu, True\), or set TF_FORCE_GPU_ALLOW"):
        cuda_bridge.check_memory_growth()
    one_gpu.setattr(tf.config.experimental, "get_memory_growth", lambda gpu: True)
    cuda_bridge.check_memory_growth()


def test_a_memory_limit_or_the_environment_will_do_too(one_gpu):
    limited = [tf.config.LogicalDeviceConfiguration(memory_limit=1000)]
    one_gpu.setattr(tf.config, "get_logical_device_configuration", lambda gpu: limited)
    cuda_bridge.check_memory_growth()
    cuda_bridge.check_memory_growth.cache_clear()
    one_gpu.setattr(tf.config, "get_logical_device_configuration", lambda gpu: None)
    one_gpu.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    cuda_bridge.check_memory_growth()


def test_auto_takes_the_bridge_only_with_a_gpu(one_gpu):
    assert not cuda_bridge.wants_gpu("auto") or cuda.available()[0]
    assert cuda_bridge.wants_gpu("cuda")
    assert not cuda_bridge.wants_gpu("reference")
