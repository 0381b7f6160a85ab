"""The layers on each of Keras' backends, in processes of their own: ../helpers/any_backend.py compares, these tests read what it found."""

import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product

import pytest

from rnn_from_scratch.backends import emulator

from ..conftest import ROOT
from ..helpers.layer_pairs import some_checked
from ..helpers.sample import drawn

PACKAGES = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
OTHERS = [name for name in PACKAGES if name != "tensorflow"]  # on TensorFlow most of it is in the other tests of this folder
NAMES = ["wide", "dropout", "wrapped", "hand_written", "stateful", "saved", "fitted"]
LIMITS = {"fitted": 1e-4}  # losses in float32; all else is float64


def run(backend, *command, **more):
    if find_spec(backend) is None:
        pytest.skip(f"needs {PACKAGES[backend]}")
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", **more}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env, cwd=ROOT, timeout=1500)


def found(backend, *names):
    """The lines that any_backend prints, as case -> error."""
    done = run(backend, "-m", "tests.helpers.any_backend", *names)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == f"{backend}, TensorFlow loaded: False"
    return {case: float(off) for case, _, off in (line.rpartition(": ") for line in lines)}


@pytest.mark.parametrize("backend", some_checked(OTHERS, "torch"))
def test_float64_equals_keras_on_the_same_backend(backend):
    cases = found(backend, "quick")
    assert len(cases) == 4
    assert not {case: off for case, off in cases.items() if not off <= 1e-12}


@pytest.mark.check
@pytest.mark.parametrize(("backend", "name"), drawn(list(product(PACKAGES, NAMES)), every=2))
def test_every_case_equals_keras_on_the_same_backend(backend, name):
    cases = found(backend, name)
    assert cases
    assert not {case: off for case, off in cases.items() if not off <= LIMITS.get(name, 1e-12)}


MISSING = "import sys; sys.modules[{!r}] = None\ntry:\n import rnn_from_scratch.layers\nexcept ImportError as e: print(e)"


@pytest.mark.parametrize("missing", some_checked(["framework", "keras"], "keras"))
@pytest.mark.parametrize("backend", OTHERS)
def test_a_missing_package_is_one_line(backend, missing):
    done = run(backend, "-c", MISSING.format(backend if missing == "framework" else missing))
    needs = f"Keras and {PACKAGES[backend]}, since KERAS_BACKEND={backend}"
    assert done.stdout == f'rnn_from_scratch.layers needs {needs}: pip install "rnn_from_scratch[{backend}]" keras\n'


UNKNOWN = """
import keras
keras.backend.backend = lambda: "openvino"
try: import rnn_from_scratch.layers
except ImportError as e: print(e)
"""


@pytest.mark.check
def test_another_backend_is_refused():
    expected = "rnn_from_scratch.layers: expected KERAS_BACKEND to be one of tensorflow, torch, jax, got openvino\n"
    assert run("tensorflow", "-c", UNKNOWN).stdout == expected


PYTORCH = """
import keras, numpy as np, torch
from rnn_from_scratch import layers
x = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
for module in (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.PeepholeLSTM, layers.CoupledLSTM):
    layer = module(5, return_sequences=True, zero_output_for_mask=True, go_backwards=True, dtype="float64")
    layer.build((3, 4, 2))
    mask = torch.rand(3, 4) > 0.3
    assert torch.autograd.gradcheck(lambda x: layer(x, mask=mask), x)
    assert torch.autograd.gradgradcheck(lambda x: layer(x, mask=mask), x)
    first, = torch.autograd.grad(layer(x, mask=mask).square().sum(), x, create_graph=True)
    assert all(g.abs().max() > 0 for g in torch.autograd.grad(first.square().sum(), [w.value for w in layer.trainable_variables]))
model = keras.Sequential([keras.Input((4, 2)), layers.LSTM(5), keras.layers.Dense(1)])
model.compile("adam", "mse", jit_compile=True)
data = np.ones((8, 4, 2), "float32"), np.ones((8, 1), "float32")
model.fit(*data, verbose=0)
model = keras.Sequential([keras.Input(batch_shape=(4, 4, 2)), layers.LSTM(5, stateful=True), keras.layers.Dense(1)])
model.compile("adam", "mse")                                        # keras.layers fails here: it changes states that backward needs
losses = model.fit(*data, batch_size=4, epochs=20, verbose=0).history["loss"]
assert losses[-1] < losses[0]
print("right")
"""


CUDA = """
import keras, pytest, torch
from rnn_from_scratch import layers
from tests.helpers import cuda_tensors, cupy_stand_in
from tests.helpers.cuda_tensors import OnCuda, there
keras.backend.set_floatx("float64")
def results(layer, x, mask):
    x = x.requires_grad_()
    outputs = layer(x, mask=mask)
    return [*outputs, *torch.autograd.grad(sum((y * y * y).sum() for y in outputs), [x, *(w.value for w in layer.trainable_variables)])]
x, mask = torch.randn(3, 7, 2, dtype=torch.float64), torch.rand(3, 7) > 0.3
for module in (layers.GRU, layers.PeepholeLSTM):
    layer = module(5, return_sequences=True, return_state=True, go_backwards=True)
    layer.build((3, 7, 2))
    expected = results(layer, x.clone(), mask)
    with pytest.MonkeyPatch.context() as patch, cuda_tensors.machine(patch), keras.device("cuda:0"):
        for variable in layer.weights:
            variable._value = torch.nn.Parameter(OnCuda(variable.value.detach()))
        found = results(layer, OnCuda(x.clone()), OnCuda(mask))
        assert {"forward", "backward", "end"} <= {name for name, *_ in cupy_stand_in.launches}
        assert layer.explain().reason == "tensors on a GPU; step tier: it was asked for", layer.explain()
    for a, b in zip(found, expected, strict=True):
        assert (there(a) - b).abs().max() <= 1e-12 * b.abs().max()
class Elsewhere(torch.Tensor):
    device = torch.device("mps")
with pytest.raises(ValueError, match="x: on PyTorch these layers run on the CPU and on CUDA, got a tensor on mps"):
    layers.LSTM(5)(Elsewhere(3, 7, 2))
print("right")
"""


@pytest.mark.skipif(not emulator.available()[0], reason=emulator.available()[1])
def test_tensors_on_cuda():
    """On stand-ins for PyTorch's tensors on CUDA and for CuPy."""
    done = run("torch", "-c", CUDA)
    assert done.stdout.splitlines()[-1:] == ["right"], done.stderr


JAX = """
import jax, jax.test_util, keras, numpy as np
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
from rnn_from_scratch import layers
rng = np.random.default_rng(0)
x, mask = jnp.asarray(rng.standard_normal((3, 4, 2))), jnp.asarray(rng.random((3, 4)) > 0.3)
for module in (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.PeepholeLSTM, layers.CoupledLSTM):
    layer = module(5, return_sequences=True, zero_output_for_mask=True, go_backwards=True, dtype="float64")
    layer.build((3, 4, 2))
    call = lambda x: layer(x, mask=mask)
    loss = lambda x: (call(x) ** 3).sum()
    y, slope = call(x), jax.grad(loss)
    assert np.array_equal(jax.jit(call)(x), y)
    assert np.array_equal(jax.jit(slope)(x), slope(x))
    many = jnp.stack([x, 2 * x, x - 1])
    assert np.array_equal(jax.vmap(call)(many), jnp.stack([call(x) for x in many]))
    assert np.array_equal(jax.vmap(slope)(many), jnp.stack([slope(x) for x in many]))
    jax.test_util.check_grads(call, (x,), order=1, modes=["rev"])
    v = rng.standard_normal(x.shape)
    second = jax.grad(lambda x: (slope(x) * v).sum())(x)
    step = 1e-6
    assert np.abs(second - (slope(x + step * v) - slope(x - step * v)) / (2 * step)).max() < 1e-6 * np.abs(second).max()
    penalty = jax.jit(jax.grad(lambda x: (slope(x) ** 2).sum()))
    assert np.abs(penalty(x)).max() > 0
weights, given = [w.value for w in layer.trainable_variables], [w.value for w in layer.non_trainable_variables]
def bias_slope(x):
    loss = lambda b: (layer.stateless_call([*weights[:2], b, *weights[3:]], given, x, mask=mask)[0] ** 3).sum()
    return (jax.grad(loss)(weights[2]) * jnp.arange(15.0)).sum()
second = jax.grad(bias_slope)(x)                                    # of one weight alone: the others have no cotangent
difference = (bias_slope(x + step * v) - bias_slope(x - step * v)) / (2 * step)
assert abs((second * v).sum() - difference) < 1e-6 * abs(difference), (second, difference)
for refused, words in [
    (lambda: jax.jvp(call, (x,), (x,)), "forward-mode"),
    (lambda: jax.grad(lambda x: (jax.grad(lambda x: (slope(x) ** 2).sum())(x) ** 2).sum())(x), "third-order gradients"),
]:
    try: refused()
    except (TypeError, NotImplementedError) as error: assert words in str(error), error
    else: raise AssertionError(words)
print("right")
"""


@pytest.mark.check
@pytest.mark.parametrize(("backend", "code"), [("torch", PYTORCH), ("jax", JAX)], ids=OTHERS)
def test_transforms_and_orders(backend, code):
    done = run(backend, "-c", code)
    assert done.stdout.splitlines()[-1:] == ["right"], done.stderr
