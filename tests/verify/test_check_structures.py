"""What real modules take, give and keep: nested states, outputs that are None, names of both styles, running statistics."""

import numpy as np
import pytest

from rnn_from_scratch.verify import check_function, of_keras, of_torch


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_nested_states_of_torch(B, seed):
    torch = pytest.importorskip("torch", reason="needs torch")
    draw = np.random.default_rng(seed).standard_normal
    pair = of_torch(torch.nn.LSTMCell(4, 5).double(), draw((B, 4)), (draw((B, 5)), draw((B, 5))))
    assert pair.names[:3] == ("input", "hx.0", "hx.1")
    assert pair.check(directions=2).ok
    pair = of_torch(lambda p, x: {"y": torch.tanh(x @ p["W"]) + p["b"], "state": None}, {"W": draw((4, 5)), "b": draw(5)}, draw((B, 4)))
    assert pair.names == ("p.W", "p.b", "x")
    assert pair.check(directions=2).ok


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wrong", ["x", "W", "b"])
@pytest.mark.parametrize("style", ["ctx", "setup_context"])
def test_blame_in_both_styles_of_torch_functions(style, wrong, seed):
    torch = pytest.importorskip("torch", reason="needs torch")

    class Base(torch.autograd.Function):
        @staticmethod
        def backward(ctx, d):
            x, W, y = ctx.saved_tensors
            da = d * (1 - y * y)
            found = {"x": da @ W.T, "W": x.T @ da, "b": da.sum(0)}
            found[wrong] = 2 * found[wrong]
            return (*found.values(), None)

    class Old(Base):
        @staticmethod
        def forward(ctx, x, W, b, eps=1e-5):
            y = torch.tanh(x @ W + b)
            ctx.save_for_backward(x, W, y)
            return y

    class New(Base):
        @staticmethod
        def forward(x, W, b, eps=1e-5):
            return torch.tanh(x @ W + b)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], inputs[1], output)

    draw = np.random.default_rng(seed).standard_normal
    # the older style counts the arguments of the call
    inputs = (draw((3, 4)), draw((4, 5)), draw(5))
    function = New.apply if style == "setup_context" else Old.apply
    report = of_torch(function, *inputs, *([] if style == "setup_context" else [np.array(1)])).check(seed=seed)
    assert report.names[:3] == ("x", "W", "b")
    assert report.culprit.array == wrong


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_running_statistics_of_torch_stay(training, seed):
    torch = pytest.importorskip("torch", reason="needs torch")
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).double().train(training)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert of_torch(module, np.random.default_rng(seed).standard_normal((8, 4))).check(directions=2).ok
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert module.training == training


@pytest.mark.parametrize("graph", [True, False])
def test_running_statistics_of_keras_stay(graph):
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    layer = keras.layers.BatchNormalization(dtype="float64")
    layer.build((None, 3))
    before = [w.numpy() for w in layer.weights]
    assert of_keras(layer, np.random.default_rng(0).standard_normal((8, 3)) + 3, training=True, graph=graph).check(directions=2).ok
    assert all(np.array_equal(a, w.numpy()) for a, w in zip(before, layer.weights))


@pytest.mark.parametrize("cache", [[1, np.ones(2)], {"h": np.ones(2)}, None])
def test_a_cache_among_the_outputs_is_named(cache):
    with pytest.raises(TypeError, match="forward_fn: expected an array or a tuple of arrays, got"):
        check_function(lambda x: (np.tanh(x), cache), lambda x, dy: dy, [np.ones(3)])
