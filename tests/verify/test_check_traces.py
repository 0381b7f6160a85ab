"""A check leaves no trace: buffers, counters, lists, random generators and layers without weights are afterwards what they were."""

import random

import numpy as np
import pytest

from rnn_from_scratch.verify import of_jax, of_keras, of_tensorflow, of_torch


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def torch_module():
    torch = pytest.importorskip("torch", reason="needs torch")

    class Counting(torch.nn.Module):
        """Keeps and moves whatever a module may keep."""

        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 2)
            self.norm = torch.nn.BatchNorm1d(2)
            self.register_buffer("calls", torch.zeros(()))
            self.register_buffer("mean", torch.zeros(2))
            self.steps, self.log, self.last = 0, [], None
            self.numpy_generator = np.random.default_rng(1)
            self.generators = [torch.Generator().manual_seed(2), random.Random(3)]
            self.plain = torch.zeros(2)

        def forward(self, x):
            self.steps += 1
            self.log.append(self.steps)
            self.calls += 1  # in place
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)[:2]  # another tensor
            self.plain.add_(1)
            self.numpy_generator.random()
            torch.rand(1, generator=self.generators[0])
            self.generators[1].random()
            y = self.norm(torch.tanh(self.linear(x)))
            self.last = y.detach()
            return y

    return Counting().double().train()


def state_of(module):
    torch = pytest.importorskip("torch", reason="needs torch")
    found = {name: value.clone() for name, value in module.state_dict().items()}
    found |= {"plain": module.plain.clone(), "steps": module.steps, "log": list(module.log), "last": module.last}
    found["numpy"] = str(module.numpy_generator.bit_generator.state)
    found |= {"torch": module.generators[0].get_state(), "random": module.generators[1].getstate(), "global": torch.get_rng_state()}
    return found | {"numpy global": str(np.random.get_state()), "random global": random.getstate()}  # noqa: NPY002


def same(a, b):
    torch = pytest.importorskip("torch", reason="needs torch")
    return [n for n in a if not (torch.equal(a[n], b[n]) if isinstance(a[n], torch.Tensor) else a[n] == b[n])] == []


@pytest.mark.parametrize("how", ["module", "its method", "lambda", "partial of a lambda"])
@pytest.mark.parametrize("seed", range(2))
def test_a_torch_module_is_left_as_it_was(how, seed):
    import functools

    module = torch_module()
    functions = {"module": module, "its method": module.forward, "lambda": lambda x: module(x)}
    functions["partial of a lambda"] = functools.partial(lambda m, x: m(x), module)
    module(next(module.parameters()).detach())  # has been used before
    before, objects = state_of(module), [module.log, module.mean, module.plain]
    report = of_torch(functions[how], draw(4, 3, seed=seed)).check(directions=2)
    assert report.ok, report
    assert same(before, state_of(module))
    assert all(a is b for a, b in zip(objects, [module.log, module.mean, module.plain]))


@pytest.mark.parametrize("compiled", ["scripted", "traced"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_compiled_torch_modules_are_checked_and_left_as_they_were(compiled, training):
    torch = pytest.importorskip("torch", reason="needs torch")
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2), torch.nn.BatchNorm1d(2)).double()
    plain.train(training)
    x = draw(6, 3)
    module = torch.jit.script(plain) if compiled == "scripted" else torch.jit.trace(plain, torch.from_numpy(x))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    pair = of_torch(module, x)
    assert pair.names == ("input", "0.weight", "0.bias", "2.weight", "2.bias", "3.weight", "3.bias")
    assert pair.check(directions=2).ok
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    for ours, theirs in zip(pair.backward_fn(*pair.inputs, np.ones((6, 2))), of_torch(plain, x).backward_fn(*pair.inputs, np.ones((6, 2)))):
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_function_has_the_names_of_its_schema():
    torch = pytest.importorskip("torch", reason="needs torch")
    traced = torch.jit.trace(lambda x, W: torch.tanh(x @ W), (torch.ones(2, 3), torch.ones(3, 2)))
    pair = of_torch(traced, draw(2, 3), draw(3, 2))
    assert pair.names == ("x", "W")
    assert pair.check(directions=2).ok


def test_dropout_is_found_and_leaves_the_generator_alone():
    torch = pytest.importorskip("torch", reason="needs torch")
    before = torch.get_rng_state()
    report = of_torch(torch.nn.Dropout(0.5).train(), draw(20, 3)).check()
    assert "not deterministic" in [finding.kind for finding in report.findings]
    assert torch.equal(before, torch.get_rng_state())


def test_lazy_parameters_and_modules_elsewhere_are_refused():
    torch = pytest.importorskip("torch", reason="needs torch")
    with pytest.raises(ValueError, match="of_torch: LazyLinear has parameters without a shape: call it once on data first"):
        of_torch(torch.nn.LazyLinear(2), draw(2, 3))
    with pytest.raises(TypeError, match=r"weight: expected a torch tensor on the CPU, got one on meta"):
        of_torch(torch.nn.Linear(3, 2, device="meta"), draw(2, 3))


# ---------------------------------------------------------------- Keras, TensorFlow, JAX


def keras_layer():
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    class Counting(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="float64")
            self.norm = keras.layers.BatchNormalization(dtype="float64")
            self.dropout = keras.layers.Dropout(0.5, seed=1, dtype="float64")
            self.steps, self.log, self.generator = 0, [], np.random.default_rng(1)

        def build(self, shape):
            self.norm.build(shape)
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], 2))
            self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

        def call(self, x, training=True):
            self.steps += 1
            self.log.append(self.steps)
            self.generator.random()
            self.calls.assign_add(1.0)
            self.dropout(x, training=True)
            return tf.tanh(self.norm(x, training=True) @ self.kernel)

    return Counting()


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("built", [True, False])
def test_a_keras_layer_is_left_as_it_was(graph, built):
    layer = keras_layer()
    if built:
        layer(draw(4, 3))

    def state():
        found = [v.numpy().tolist() for v in layer.variables]
        return found, layer.steps, list(layer.log), str(layer.generator.bit_generator.state), layer.built, random.getstate()

    before = state()
    report = of_keras(layer, draw(6, 3) + 3, graph=graph).check(directions=2, method="central", tol=1e-6)
    assert report.ok, report
    assert before == state()


@pytest.mark.parametrize("graph", [True, False])
def test_keras_dropout_is_found_and_its_seed_stays(graph):
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    layer = keras.layers.Dropout(0.5, seed=1, dtype="float64")
    before = [v.numpy().tolist() for v in layer.variables]
    report = of_keras(layer, np.ones((20, 3)), graph=graph, training=True).check()
    assert "not deterministic" in [finding.kind for finding in report.findings]
    assert before == [v.numpy().tolist() for v in layer.variables] != []


def test_a_layer_without_weights_is_copied_with_its_config():
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    for layer in (
        keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True, dtype="float64"), dtype="float64"),
        keras.layers.LSTM(2, activation="relu", dtype="float64"),
    ):
        assert of_keras(layer, draw(2, 3, 4)).check(directions=1, tol=1e-5).ok
        assert not layer.built
        assert not layer.weights

    class Odd(keras.layers.Layer):
        def __init__(self, function):
            super().__init__(dtype="float64")
            self.function = function

        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=())

        def call(self, x):
            return self.function(x) * self.scale

    with pytest.raises(ValueError, match=r"of_keras: odd has no weights yet and cannot be copied by its config \(NotImpl.*: call it once"):
        of_keras(Odd(np.sin), np.ones(3))


def test_what_a_tensorflow_function_closes_over():
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import keras

    norm, calls = keras.layers.BatchNormalization(dtype="float64"), tf.Variable(0.0, dtype="float64")
    norm.build((None, 3))

    def function(x):
        calls.assign_add(1.0)
        return norm(x, training=True)

    before = [v.numpy().tolist() for v in (*norm.variables, calls)]
    for called in (function, tf.function(function)):
        assert of_tensorflow(called, draw(6, 3) + 2).check(directions=1, tol=1e-6).ok
        assert before == [v.numpy().tolist() for v in (*norm.variables, calls)]


def test_jax_functions_of_objects():
    jax = pytest.importorskip("jax", reason="needs JAX")
    jax.config.update("jax_enable_x64", True)

    class Model:
        steps, generator = 0, np.random.default_rng(0)

        def __call__(self, x):
            return x

        def apply(self, x):
            self.steps += 1
            return jax.numpy.tanh(x)

    model = Model()
    assert of_jax(model.apply, draw(3)).check(directions=1).ok
    assert model.steps == 0
