"""What real modules take, give and keep: nested states, outputs that are None, names of both styles, running statistics."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

from rnn_from_scratch.verify import check_function, of_jax, of_keras, of_tensorflow, of_torch


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


# ---------------------------------------------------------------- the same structures in every adapter


class State(NamedTuple):
    h: Any
    c: Any


@dataclass
class Weights:
    W: Any
    b: Any


def torch_maths():
    torch = pytest.importorskip("torch", reason="needs torch")
    return of_torch, torch.tanh


def tensorflow_maths():
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    return of_tensorflow, tf.tanh


def keras_maths():
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    def of(function, *inputs):
        layer = type("Plain", (keras.layers.Layer,), {"call": lambda self, p, state, x: function(p, state, x)})(dtype="float64")
        return of_keras(layer, *inputs)

    return of, tf.tanh


def jax_maths():
    jax = pytest.importorskip("jax", reason="needs JAX")
    jax.config.update("jax_enable_x64", True)
    return of_jax, jax.numpy.tanh


ADAPTERS = {"torch": torch_maths, "tensorflow": tensorflow_maths, "keras": keras_maths, "jax": jax_maths}
STRUCTURES = {
    "tuple in dict": (lambda W, b: {"W": W, "b": b}, lambda h, c: (h, c), ("p.W", "p.b", "state.0", "state.1", "x")),
    "list in a nested dict": (lambda W, b: {"in": {"W": W}, "b": [b]}, lambda h, c: [h, c], ("p.in.W", "p.b", "state.0", "state.1", "x")),
    "named tuple in dataclass": (Weights, State, ("p.W", "p.b", "state.0", "state.1", "x")),
    "None and settings": (
        lambda W, b: {"W": W, "b": b, "n": None, "steps": 2},
        lambda h, c: (h, c, None),
        ("p.W", "p.b", "state.0", "state.1", "x"),
    ),
}


def parts(p, state):
    """W, b, h, c of any of the structures."""
    if isinstance(p, Weights):
        return p.W, p.b, state[0], state[1]
    return p["in"]["W"] if "in" in p else p["W"], p["b"][0] if isinstance(p["b"], list) else p["b"], state[0], state[1]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_structures_in_every_adapter(adapter, structure):
    if adapter == "keras" and structure in ("named tuple in dataclass", "None and settings"):
        pytest.skip("Keras itself takes tensors alone, in tuples, lists and dicts")
    of, tanh = ADAPTERS[adapter]()
    make_p, make_state, names = STRUCTURES[structure]
    for seed, (B, I, H) in enumerate([(3, 2, 4), (1, 1, 1)]):
        draw = np.random.default_rng(seed).standard_normal
        p, state = make_p(draw((I, H)), draw(H)), make_state(draw((B, H)), draw((B, H)))

        def step(p, state, x):
            W, b, h, c = parts(p, state)
            c = c + tanh(x @ W + b + h)
            return tanh(c), {"c": c, "nothing": None}, (None, [c * c])

        pair = of(step, p, state, draw((B, I)))
        assert pair.names == names
        assert len(pair.forward_fn(*pair.inputs)) == 3
        assert pair.check(directions=2, seed=seed).ok


@pytest.mark.parametrize("adapter", ["torch", "tensorflow", "jax"])
def test_what_is_no_tensor_is_named_with_its_place(adapter):
    of, tanh = ADAPTERS[adapter]()
    x = np.ones((2, 3))

    class Cache:
        pass

    for arguments, place in (((x, Cache()), "state"), ((x, (x, Cache())), "state.1"), ((x, {"h": [x, {"c": Cache()}]}), "state.h.1.c")):
        expected = "expected arrays, or tuples, lists and dicts of them"
        with pytest.raises(TypeError, match=rf"^of_{adapter}: {expected}, got .*Cache for {place}: take it in"):
            of(lambda x, state: tanh(x), *arguments)
    for give, place in (
        (lambda y: (y, Cache()), r"output\.1"),
        (lambda y: {"y": y, "cache": (y, [Cache()])}, r"output\.cache\.1"),
        (lambda y: (y, "word"), r"output\.1"),
    ):
        with pytest.raises(TypeError, match=rf"^of_{adapter}: expected tensors, or tuples, lists and dicts of them, got .* for {place}"):
            of(lambda x, give=give: give(tanh(x)), x).check()
