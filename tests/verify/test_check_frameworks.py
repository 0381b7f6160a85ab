"""The same check on torch, Keras, TensorFlow and JAX: 0.1 % in gate g at step 2 is named, what is right passes."""

import sys

import numpy as np
import pytest

from rnn_from_scratch.verify import of_jax, of_keras, of_tensorflow, of_torch

from ..helpers import hand_written as lstm

METHODS = [("complex", 1e-12), pytest.param("central", 1e-7, marks=pytest.mark.check)]
tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
import keras  # noqa: E402 - it comes with TensorFlow


def named(report):
    assert not report.ok
    assert report.culprit.block == "g", report
    assert report.birth.step == lstm.STEP, report
    assert "block g, unit" in str(report).splitlines()[1]


# ---------------------------------------------------------------- torch


def torch_lstm(wrong):
    torch = pytest.importorskip("torch", reason="needs torch")

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, Wx, Wh, b):
            ctx.save_for_backward(x, Wx, Wh, b)
            return torch.from_numpy(lstm.forward(*(a.detach().numpy() for a in (x, Wx, Wh, b))))

        @staticmethod
        def backward(ctx, dy):
            grads = lstm.backward(*(a.detach().numpy() for a in (*ctx.saved_tensors, dy)), wrong=wrong)
            return tuple(torch.from_numpy(g) for g in grads)

    return Function.apply


@pytest.mark.parametrize(("method", "tol"), METHODS)
def test_torch_function(method, tol):
    options = {"method": method, "tol": tol, "blocks": lstm.BLOCKS, "time_axis": 1}
    pair = of_torch(torch_lstm(wrong=False), *lstm.inputs())
    assert pair.names == ("x", "Wx", "Wh", "b")
    pair.assert_gradients(**options)
    pair = of_torch(torch_lstm(wrong=True), *lstm.inputs())
    named(pair.check(**options))
    with pytest.raises(AssertionError, match="culprit: Wx, block g"):
        pair.assert_gradients(**options)


def test_torch_module_and_its_second_order():
    torch = pytest.importorskip("torch", reason="needs torch")
    x = np.random.default_rng(0).standard_normal((2, 3, 2))
    pair = of_torch(torch.nn.GRU(2, 3, batch_first=True, dtype=torch.float64), x)
    assert pair.names[:2] == ("input", "weight_ih_l0")
    report = pair.check(directions=2, time_axis=1, blocks={"weight_ih_l0": (("r", "z", "n"), 0)})
    assert report.ok, report
    report = of_torch(torch.nn.GRU(2, 3, batch_first=True, dtype=torch.float64), x, order=2).check(directions=1)
    assert report.ok, report
    assert report.names[-1] == "upstream 1"


def test_torch_second_order_missing_and_wrong():
    torch = pytest.importorskip("torch", reason="needs torch")
    report = of_torch(torch_lstm(wrong=False), *lstm.inputs(), order=2).check(directions=1)
    assert not report.ok
    assert "gradient of Wx is None, but the outputs depend on it" in str(report)

    class Cube(torch.autograd.Function):  # its gradient 3 x^2 is right, and is itself differentiated wrongly
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy * 3 * x * x.detach()

    x = np.array([0.5, -1.0, 2.0])
    assert of_torch(Cube.apply, x).check().ok
    report = of_torch(Cube.apply, x, order=2).check()
    assert not report.ok
    assert report.culprit.array == "x"


# ---------------------------------------------------------------- TensorFlow and Keras


def tensorflow_lstm(wrong):
    @tf.custom_gradient
    def function(x, Wx, Wh, b):
        def numpy(*arrays):
            return lstm.forward(*arrays)

        def gradients(dy):
            return tf.numpy_function(lambda *a: lstm.backward(*a, wrong=wrong), [x, Wx, Wh, b, dy], [x.dtype] * 4)

        return tf.numpy_function(numpy, [x, Wx, Wh, b], x.dtype), gradients

    return function


@pytest.mark.parametrize(("method", "tol"), METHODS)
def test_custom_gradient(method, tol):
    options = {"method": method, "tol": tol, "blocks": lstm.BLOCKS, "time_axis": 1}
    of_tensorflow(tensorflow_lstm(wrong=False), *lstm.inputs()).assert_gradients(**options)
    named(of_tensorflow(tensorflow_lstm(wrong=True), *lstm.inputs()).check(**options))


class HandWritten(keras.layers.Layer):
    """An LSTM layer in TensorFlow's own operations, but for one gradient that is written by hand."""

    def __init__(self, units, wrong):
        super().__init__(dtype="float64")
        self.units, self.wrong = units, wrong

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 4 * self.units), initializer="random_normal")
        self.recurrent = self.add_weight(name="recurrent_kernel", shape=(self.units, 4 * self.units), initializer="random_normal")
        self.bias = self.add_weight(name="bias", shape=(4 * self.units,), initializer="random_normal")

    def call(self, x):
        h = c = tf.zeros((x.shape[0], self.units), x.dtype)
        ys = []
        for t in range(x.shape[1]):
            i, f, g, o = tf.split(x[:, t] @ self.kernel + h @ self.recurrent + self.bias, 4, axis=1)
            g = self.candidate(g, lstm.FACTOR if self.wrong and t == lstm.STEP else 1.0)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * g
            h = tf.sigmoid(o) * tf.tanh(c)
            ys.append(h)
        return tf.stack(ys, axis=1)

    def candidate(self, a, factor):
        @tf.custom_gradient
        def tanh(a):
            g = tf.tanh(a)
            return g, lambda dg: dg * (1 - g * g) * factor

        return tanh(a)


BLOCKS = {name: lstm.GATES for name in ("kernel", "recurrent_kernel", "bias")}


@pytest.mark.check
def test_keras_layer():
    x = lstm.inputs()[0]
    options = {"method": "central", "tol": 1e-7, "directions": 3, "blocks": BLOCKS, "time_axis": 1}
    pair = of_keras(HandWritten(3, wrong=False), x)
    assert pair.names == ("x", "kernel", "recurrent_kernel", "bias")
    pair.assert_gradients(**options)
    layer = HandWritten(3, wrong=True)
    pair = of_keras(layer, x)
    before = [w.numpy() for w in layer.weights]
    report = pair.check(**options)
    named(report)
    assert report.culprit.array == "kernel"
    assert all(np.array_equal(a, w.numpy()) for a, w in zip(before, layer.weights))


def test_keras_cell_with_states_and_second_order():
    x, state = np.ones((2, 3)), [np.full((2, 4), 0.3)]
    pair = of_keras(keras.layers.GRUCell(4, dtype="float64"), x, state)
    assert pair.names[:2] == ("inputs", "states")
    assert pair.check(directions=2, blocks={"kernel": ("z", "r", "n")}).ok
    report = of_keras(keras.layers.SimpleRNNCell(2, dtype="float64"), x, [np.full((2, 2), 0.3)], order=2).check(directions=2)
    assert report.ok, report


def test_our_layers_pass_in_both_orders():
    from rnn_from_scratch import layers

    x = lstm.inputs()[0]
    layer = layers.LSTM(3, return_sequences=True, dtype="float64")
    report = of_keras(layer, x).check(directions=2, blocks=BLOCKS, time_axis=1)
    assert report.ok, report
    report = of_keras(layer, x, order=2).check(directions=2)
    assert report.ok, report


def test_a_layer_of_another_dtype_and_dropout():
    with pytest.raises(ValueError, match="expected inputs of float32, in which .* computes, got float64: make the layer with dtype"):
        of_keras(keras.layers.Dense(2), np.ones((2, 3)))
    report = of_keras(keras.layers.Dropout(0.5, dtype="float64"), np.ones((2, 3)), training=True).check()
    assert "not deterministic" in [finding.kind for finding in report.findings]


# ---------------------------------------------------------------- JAX, and what is not installed


def test_jax():
    jax = pytest.importorskip("jax", reason="needs JAX")
    x = np.linspace(-1, 1, 5)
    if not jax.config.jax_enable_x64:
        with pytest.raises(ValueError, match="float64 inputs need jax.config.update"):
            of_jax(jax.numpy.tanh, x)
    jax.config.update("jax_enable_x64", True)
    for order in (1, 2):
        report = of_jax(lambda a: {"y": (jax.numpy.tanh(a), a * a)}, x, order=order).check()
        assert report.ok, report

    @jax.custom_vjp
    def wrong(a):
        return jax.numpy.tanh(a)

    wrong.defvjp(lambda a: (wrong(a), a), lambda a, d: (d * (1 - jax.numpy.tanh(a) ** 2) * 1.001,))
    assert not of_jax(wrong, x).check().ok

    @jax.custom_vjp
    def cube(a, b):
        return a**3 + b

    cube.defvjp(lambda a, b: (cube(a, b), a), lambda a, d: (d * 3 * a * jax.lax.stop_gradient(a), d))
    assert of_jax(cube, x, x).check().ok
    assert of_jax(cube, x, x, order=2).check().culprit.array == "a"


def test_tensorflow_second_order_wrong():
    @tf.custom_gradient
    def cube(x):  # its gradient 3 x^2 is right, and is itself differentiated wrongly
        return x**3, lambda dy: dy * 3 * x * tf.stop_gradient(x)

    x = np.array([0.5, -1.0, 2.0])
    assert of_tensorflow(lambda a, b: cube(a) + b, x, x).check().ok
    report = of_tensorflow(lambda a, b: cube(a) * b, x, x, order=2).check()
    assert not report.ok
    assert report.culprit.array == "a"


@pytest.mark.parametrize(("of", "module"), [(of_keras, "tensorflow"), (of_tensorflow, "tensorflow"), (of_torch, "torch"), (of_jax, "jax")])
def test_a_missing_framework_is_named(monkeypatch, of, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"needs {module}, which is not installed: pip install {module}"):
        of(None, np.ones(2))


def test_order_is_checked():
    with pytest.raises(ValueError, match="order: expected 1 or 2, got 3"):
        of_tensorflow(tf.tanh, np.ones(2), order=3)
