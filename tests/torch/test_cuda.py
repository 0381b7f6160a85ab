"""Tensors on CUDA: the way to the cuda backend and back, on stand-ins for both (../helpers/cuda_tensors.py). The kernels are emulated."""

import gc
import weakref
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from rnn_from_scratch import torch as ours  # noqa: E402
from rnn_from_scratch.backends import emulator  # noqa: E402
from rnn_from_scratch.torch import cuda, function  # noqa: E402
from rnn_from_scratch.torch.layout import Call  # noqa: E402
from rnn_from_scratch.torch.operators import SCHEMAS  # noqa: E402

from ..helpers import cuda_tensors, cupy_stand_in  # noqa: E402
from ..helpers.cuda_tensors import STREAM, ExternalStream, OnCuda, moved, there  # noqa: E402
from .helpers import ALL, FORMS, assert_same, pair, random, results, states_of  # noqa: E402

usable, why_not = emulator.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture
def gpu(monkeypatch):
    with cuda_tensors.machine(monkeypatch) as cupy:
        yield cupy


def assert_like(expected, module, arguments, tolerance=1e-12):
    """The module on CUDA gives these outputs and gradients."""
    found = results(module.to("cuda"), *moved(arguments))
    assert all(type(t) is OnCuda for t in found)
    assert_same([there(t) for t in found], expected, tolerance)


@pytest.mark.parametrize("name", FORMS)
def test_outputs_and_gradients_equal_torch(gpu, name):
    """Two layers, both directions, initial states, time first."""
    theirs, module = pair(name, 3, 5, 2, bidirectional=True)
    arguments = random(4, 2, 3), states_of(theirs, 4, 2, 5)
    assert_like(results(theirs, *arguments), module, arguments)
    assert {"forward", "backward", "end"} <= {name for name, *_ in cupy_stand_in.launches}


@pytest.mark.parametrize(("name", "shape"), list(zip(FORMS, [(2, 7, 3), (7, 3), (0, 7, 3)])))
def test_batch_first_without_a_batch_and_an_empty_one(gpu, name, shape):
    theirs, module = pair(name, 3, 5, batch_first=True, bias=False)
    assert_like(results(theirs, random(*shape)), module, [random(*shape)])


@pytest.mark.parametrize(("name", "options"), [*zip(ALL[3:], [{}, {}]), ("GRU", {"reset_after": False})])
def test_what_torch_has_not_equals_the_cpu(gpu, name, options):
    """recurrent_dropout too: the masks come from torch's generator."""
    module = getattr(ours, name)(3, 5, recurrent_dropout=0.5, dtype=torch.float64, **options)
    x = random(4, 2, 3)
    torch.manual_seed(0)
    expected = results(module, x)
    torch.manual_seed(0)
    assert_like(expected, module, [x])


@pytest.mark.parametrize("name", FORMS)
def test_packed_sequences(gpu, name):
    theirs, module = pair(name, 3, 5, bidirectional=True)
    x = pack_padded_sequence(random(7, 4, 3).detach(), torch.tensor([3, 7, 1, 5]), enforce_sorted=False)
    x = x._replace(data=x.data.requires_grad_())
    arguments = x, states_of(theirs, 2, 4, 5)
    assert_like(results(theirs, *arguments), module, arguments)


@pytest.mark.parametrize("name", [f"{name}Cell" for name in FORMS])
def test_single_steps(gpu, name):
    theirs, module = pair(name, 3, 5)
    arguments = random(2, 3), states_of(theirs, 2, 5)
    assert_like(results(theirs, *arguments), module, arguments)


def test_float32(gpu):
    theirs, module = pair("GRU", 3, 5, dtype=torch.float32)
    x = random(4, 2, 3, dtype=torch.float32)
    assert_like(results(theirs, x), module, [x], 3e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_calls_of_keras_layers_equal_the_cpu(gpu, reverse):
    """Weights and y as Keras has them, a mask, dropout masks for each gate; gradients, and those of a penalty on them."""
    G, B, T, I, H = 4, 3, 7, 2, 5
    call = Call("peephole_lstm", (), False, reverse, "auto", own=True, zero_masked=True).text()
    states, weights = states_of(ours.PeepholeLSTM(1, 1), B, H), (random(I, G * H), random(H, G * H), random(G * H), random(3, H))
    scales = random(B, T, grad=False) > 0.3, random(G, B, I, seed=7, grad=False).exp(), random(G, B, H, seed=8, grad=False).exp()

    def results(x, states, weights, scales):
        y = function.sequence(call, 3, x, states, weights, *scales)
        leaves = [x, *states, *weights]
        first = torch.autograd.grad(sum((t * t * t).sum() for t in y), leaves, create_graph=True)
        return [*y, *first, *torch.autograd.grad(sum((g * g).sum() for g in first), leaves)]

    arguments = random(B, T, I), states, weights, scales
    expected = [t.detach() for t in results(*arguments)]
    assert_same([there(t).detach() for t in results(*moved(arguments))], expected)


def penalty(module, x, hx, weight):
    """A gradient penalty: its gradients by x, hx, all weights, and by what multiplied y."""
    y = module(x, hx)[0]
    leaves = [x, *(hx if isinstance(hx, tuple) else [hx]), *module.parameters()]
    first = torch.autograd.grad((y.sin() * weight).sum(), leaves, create_graph=True)
    return torch.autograd.grad(sum((g * g).sum() for g in first), [*leaves, weight])


@pytest.mark.parametrize("name", FORMS)
def test_second_order_equals_torch(gpu, name):
    theirs, module = pair(name, 3, 5, bidirectional=True)
    arguments = random(4, 2, 3), states_of(theirs, 2, 2, 5), random(4, 2, 10, seed=9)
    expected = penalty(theirs, *arguments)
    assert_same([there(t) for t in penalty(module.to("cuda"), *moved(arguments))], expected, 1e-11)
    assert "dual_backward" in {name for name, *_ in cupy_stand_in.launches}


@pytest.mark.parametrize(("name", "reverse"), list(product(["GRU", "PeepholeLSTM"], [False, True])))
def test_forward_mode_equals_the_cpu(gpu, name, reverse):
    module = getattr(ours, name)(3, 5, bidirectional=reverse, dtype=torch.float64)
    suffix = "_l0_reverse" if reverse else "_l0"
    weights, x = [w.detach() for w in module.weights(suffix)], random(4, 2, 3, grad=False)
    x_t, weights_t = random(4, 2, 3, seed=3, grad=False), [None, *(random(*w.shape, seed=4, grad=False) for w in weights[1:])]
    call, scales = module.calls[True, reverse, False], [None] * 3
    expected = function.OPS.jvp(call, x, [], weights, scales, x_t, [], weights_t)
    found = function.OPS.jvp(call, moved(x), [], list(moved(weights)), scales, moved(x_t), [], list(moved(weights_t)))
    assert_same([there(t) for t in found], expected)


def test_all_work_is_on_the_current_stream_of_torch(gpu, monkeypatch):
    """Kernels, products and copies; after the call CuPy's streams are as before."""
    module, x = ours.LSTM(3, 5).to("cuda"), moved(random(4, 2, 3, dtype=torch.float32))
    for pointer in (STREAM, 0):
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device, pointer=pointer: SimpleNamespace(cuda_stream=pointer))
        cupy_stand_in.used.clear()
        module(x)[0].sum().backward()
        assert set(cupy_stand_in.used) == {(("device", 0), ("stream", pointer))}
        assert len(cupy_stand_in.used) > 20 and not cupy_stand_in.entered


def test_a_newer_cupy_takes_the_stream_by_its_protocol(gpu):
    taken = []
    gpu.cuda.Stream.from_external = lambda other: taken.append(other.__cuda_stream__()) or ExternalStream(taken[-1][1], 0)
    try:
        for _ in range(2):
            ours.LSTM(3, 5).to("cuda")(moved(random(4, 2, 3, dtype=torch.float32)))
    finally:
        del gpu.cuda.Stream.from_external
    assert taken == [(0, STREAM)]  # once, and kept


def test_no_memory_of_cupy_outlives_a_call(gpu, monkeypatch):
    """Not even in what is saved for backward."""
    made, empty = [], gpu.empty

    def recorded(shape, dtype):
        array = empty(shape, dtype)
        made.append(weakref.ref(array))
        return array

    monkeypatch.setattr(gpu, "empty", recorded)
    y, state = ours.LSTM(3, 5).to("cuda")(moved(random(4, 2, 3, dtype=torch.float32)))
    cupy_stand_in.launches.clear()  # which keeps the arguments
    gc.collect()
    assert len(made) > 3 and all(there() is None for there in made)
    assert y.requires_grad and state[0].requires_grad


def test_constructors_and_state_dicts(gpu):
    """device="cuda" draws what the CPU draws; state_dicts go both ways between devices."""
    made = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(3)
        made.append(ours.GRU(3, 5, 2, device=device))
    here, on_cuda = made
    assert all(type(p.data) is OnCuda for p in on_cuda.parameters())
    assert all(torch.equal(there(b), a) for a, b in zip(here.state_dict().values(), on_cuda.state_dict().values()))
    other = ours.GRU(3, 5, 2)
    other.load_state_dict({name: t.cpu() for name, t in on_cuda.state_dict().items()})
    assert all(torch.equal(a, b) for a, b in zip(here.parameters(), other.parameters()))


def test_autocast_of_the_cpu_is_not_for_them(gpu):
    module, x = ours.LSTM(3, 5).to("cuda"), moved(random(4, 2, 3, dtype=torch.float32))
    expected = there(module(x)[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(there(module(x)[0]), expected)


def test_the_operators_are_there_for_cuda():
    """What stand-ins cannot show: PyTorch itself sends tensors on CUDA to them, and calls on other devices go through PyTorch."""
    for name in SCHEMAS:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"rnn_from_scratch::{name}", "CUDA"), name
    elsewhere = torch.zeros(4, 2, 3, device="meta")
    assert function.quick("forward", [elsewhere]) is function.OPS.forward
    weights, seen = [torch.zeros(15, 3, device="meta"), torch.zeros(15, 5, device="meta")], []
    call = ours.GRU(3, 5, bias=False).calls[True, False, False]

    def apply(*arguments):
        seen.append(arguments)
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function.Forward, "apply", apply)
        function.sequence(call, 2, elsewhere, [], weights)
    assert len(seen) == 1


def test_masks_arrive_as_bool(gpu):
    mask = moved(torch.tensor([[True, False], [False, True]]))
    assert cuda.view(mask).dtype == np.dtype(bool) and np.array_equal(cuda.view(mask).get(), there(mask).numpy())
    assert cuda.view(mask[:0]).shape == (0, 2)
