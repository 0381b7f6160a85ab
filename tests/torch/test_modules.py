"""The modules against torch.nn's: parameters, outputs, every gradient, over options and forms of call."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch.nn.utils.rnn import pack_sequence  # noqa: E402

from rnn_from_scratch import cells, forward  # noqa: E402
from rnn_from_scratch import torch as ours  # noqa: E402
from rnn_from_scratch.backends import set_num_threads  # noqa: E402

from .helpers import ALL, FORMS, assert_same, flat, pair, random, results, states_of  # noqa: E402

LAYERS = (2, pytest.param(3, marks=pytest.mark.check))


@pytest.mark.parametrize(("bidirectional", "batch_first", "bias"), list(product((False, True), repeat=3)))
@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("name", FORMS)
def test_every_option_equals_torch(name, layers, bidirectional, batch_first, bias):
    options = {"num_layers": layers, "bidirectional": bidirectional, "batch_first": batch_first, "bias": bias}
    theirs, module = pair(name, 3, 5, **options)
    D = layers * (2 if bidirectional else 1)
    x = random(*((2, 7, 3) if batch_first else (7, 2, 3)))
    for arguments in ((x,), (x, states_of(module, D, 2, 5)), (random(7, 3),), (random(7, 3), states_of(module, D, 5))):
        assert_same(results(module, *arguments), results(theirs, *arguments))
        assert flat(module(*arguments))[0].is_contiguous()


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in FORMS), ("RNN", {"nonlinearity": "relu"})])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (13, 1, 2, 3), (1, 5, 3, 2), (4, 0, 3, 2), (5, 11, 1, 17)])
def test_every_size_equals_torch(name, options, shape):
    T, B, I, H = shape
    theirs, module = pair(name, I, H, **options)
    x = random(T, B, I)
    found, expected = results(module, x), results(theirs, x) if B else None
    if B:
        assert_same(found, expected)
    else:
        assert found[0].shape == (T, 0, H) and not any(g.any() for g in found[-4:])


@pytest.mark.parametrize("name", FORMS)
def test_float32_is_as_near_as_torch(name):
    theirs, module = pair(name, 7, 11, num_layers=2, bidirectional=True)
    x = random(13, 3, 7)
    exact = results(theirs, x)
    theirs32, module32, x32 = theirs.float(), module.float(), x.detach().float().requires_grad_()
    found, peer = results(module32, x32), results(theirs32, x32)
    for a, b, e in zip(found, peer, exact):
        scale = e.abs().max()
        assert (a - e).abs().max() / scale <= 3 * (b - e).abs().max() / scale + 1e-6


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[7, 5, 5, 2, 1], [2, 7, 1, 5, 5], [3], [4, 4, 4]])
@pytest.mark.parametrize("name", FORMS)
def test_a_packed_sequence_equals_torch(name, lengths, bidirectional, request):
    request.addfinalizer(lambda: set_num_threads(None))
    set_num_threads(2 if bidirectional else 3)  # among which the rows are dealt out
    theirs, module = pair(name, 3, 5, num_layers=2, bidirectional=bidirectional)
    rows = [random(length, 3, seed=k) for k, length in enumerate(lengths)]
    hx = states_of(module, 4 if bidirectional else 2, len(lengths), 5)

    class Packed(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, hx, *rows):
            y, state = self.inner(pack_sequence(rows, enforce_sorted=False), hx)
            assert y.sorted_indices is not None
            return y, state

    assert_same(results(Packed(module), hx, *rows), results(Packed(theirs), hx, *rows))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_single_steps_equal_torch(name, bias):
    theirs, module = pair(name, 3, 5, bias=bias)
    for shape in ((2,), ()):
        x, hx = random(*shape, 3), states_of(module, *shape, 5)
        assert_same(results(module, x, hx), results(theirs, x, hx))
        assert_same(results(module, x), results(theirs, x))


def test_a_single_relu_step_equals_torch():
    theirs, module = pair("RNNCell", 3, 5, nonlinearity="relu")
    assert_same(results(module, random(2, 3)), results(theirs, random(2, 3)))


@pytest.mark.parametrize("name", FORMS)
def test_parameters_are_torchs_under_the_same_seed(name):
    for options in ({}, {"num_layers": 3, "bidirectional": True}, {"bias": False}):
        torch.manual_seed(3)
        theirs = getattr(torch.nn, name)(3, 5, **options)
        torch.manual_seed(3)
        module = getattr(ours, name)(3, 5, **options)
        assert list(module.state_dict()) == list(theirs.state_dict())
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), theirs.parameters()))
        assert [[w.shape for w in part] for part in module.all_weights] == [[w.shape for w in part] for part in theirs.all_weights]
        theirs.load_state_dict(module.state_dict())
        module.flatten_parameters()


@pytest.mark.parametrize(
    ("name", "options", "cell"),
    [
        ("PeepholeLSTM", {}, cells.PeepholeLSTM()),
        ("CoupledLSTM", {}, cells.CoupledLSTM()),
        ("GRU", {"reset_after": False}, cells.GRU(reset_after=False)),
        ("LSTM", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}, cells.LSTM("relu", "hard_sigmoid")),
    ],
)
def test_what_torch_has_not_equals_the_cells(name, options, cell):
    module, x = getattr(ours, name)(3, 5, dtype=torch.float64, **options), random(7, 2, 3, grad=False)
    y, state = module(x)
    order = [1, 0, 2] if name == "GRU" else range(len(cell.gates))  # torch's r, z, n
    weights = {key: value.detach().numpy() for key, value in module.state_dict().items()}

    def in_order(rows):
        parts = np.split(rows, len(cell.gates))
        return np.concatenate([parts[k] for k in order])

    params = {
        "Wx": in_order(weights["weight_ih_l0"]).T.copy(),
        "Wh": in_order(weights["weight_hh_l0"]).T.copy(),
        "b": in_order(weights["bias_ih_l0"] + weights["bias_hh_l0"]),
    }
    if cell.extras:
        params["p"] = weights["weight_ch_l0"].reshape(3, 5)
    expected, final, _ = forward(cell, params, x.numpy().transpose(1, 0, 2), backend="reference")
    assert_same([y.detach()], [torch.from_numpy(expected).transpose(0, 1)])
    assert_same([s[0].detach() for s in flat(state)], [torch.from_numpy(s) for s in final])


@pytest.mark.parametrize("name", ALL)
def test_dropout_is_torchs_own(name):
    """Between layers as torch.nn draws it; in the recurrent products one mask for all steps, none in eval."""
    module, x = getattr(ours, name)(3, 50, 2, dropout=0.5, recurrent_dropout=0.3, dtype=torch.float64), random(7, 2, 3, grad=False)
    torch.manual_seed(0)
    a = module(x)[0]
    torch.manual_seed(0)
    assert torch.equal(a, module(x)[0])
    assert not torch.equal(a, module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])
    if name in FORMS:
        theirs, same = pair(name, 3, 50, 2, dropout=0.5)
        torch.manual_seed(0)
        expected = theirs(x)[0]
        torch.manual_seed(0)
        assert_same([same(x)[0].detach()], [expected.detach()])


def test_the_representation_and_pickles():
    module = ours.LSTM(3, 5, num_layers=2, batch_first=True, recurrent_dropout=0.2)
    assert repr(module) == "LSTM(3, 5, num_layers=2, batch_first=True, recurrent_dropout=0.2)"
    assert repr(ours.GRUCell(3, 5, bias=False)) == "GRUCell(3, 5, bias=False)"
    x = random(2, 7, 3, grad=False, dtype=torch.float32)
    module.eval()
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(x)[0], module(x)[0])
