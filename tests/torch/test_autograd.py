"""What autograd asks of a module besides gradients: second order, forward mode, versions, hooks, frozen parameters, threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch.utils.checkpoint import checkpoint  # noqa: E402

from rnn_from_scratch import torch as ours  # noqa: E402
from rnn_from_scratch.backends import emulator  # noqa: E402
from rnn_from_scratch.torch import operators  # noqa: E402

from .helpers import FORMS, assert_same, flat, pair, random, results, states_of  # noqa: E402


def as_function(module, hx):
    """The module as a function of x, the initial states and the parameters, and these."""
    names, parameters = zip(*module.named_parameters())

    def f(x, *others):
        states, weights = others[: len(flat(hx))], others[len(flat(hx)) :]
        state = states[0] if len(states) == 1 else states
        return tuple(flat(torch.func.functional_call(module, dict(zip(names, weights)), (x, state))))

    return f, (*flat(hx), *parameters)


SCRIPT = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # forward mode of torch uses it itself
LONG = [pytest.param(name, marks=pytest.mark.check) for name in ("RNN", "CoupledLSTM", "GRU reset before", "relu")]


@SCRIPT
@pytest.mark.parametrize("name", ["LSTM", "GRU", "PeepholeLSTM", *LONG])
def test_gradcheck_of_both_orders_and_forward_mode(name):
    options = {"GRU reset before": {"reset_after": False}, "relu": {"nonlinearity": "relu"}}.get(name, {})
    module = getattr(ours, {"relu": "RNN"}.get(name, name.split()[0]))(2, 3, dtype=torch.float64, **options)
    f, rest = as_function(module, states_of(module, 1, 2, 3))
    given = (random(3, 2, 2), *rest)
    assert torch.autograd.gradcheck(f, given, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(f, given)


def penalty_gradients(module):
    """Of how sharply a loss hangs on x, by x and the parameters."""
    x = random(7, 2, 3)
    (dx,) = torch.autograd.grad((module(x)[0] ** 2).sum(), x, create_graph=True)
    return torch.autograd.grad((dx**2).sum(), [x, *module.parameters()])


@pytest.mark.parametrize("name", FORMS)
def test_second_order_equals_torch(name):
    theirs, module = pair(name, 3, 5, num_layers=2, bidirectional=True)
    assert_same(penalty_gradients(module), penalty_gradients(theirs), 1e-11)


@pytest.mark.check
@pytest.mark.skipif(not emulator.available()[0], reason=emulator.available()[1])
@pytest.mark.parametrize("name", FORMS)
def test_second_order_on_the_emulator_equals_torch(name):
    theirs = getattr(torch.nn, name)(3, 5, bidirectional=True, dtype=torch.float64)
    module = getattr(ours, name)(3, 5, bidirectional=True, dtype=torch.float64, backend="emulated")
    module.load_state_dict(theirs.state_dict())
    assert_same(penalty_gradients(module), penalty_gradients(theirs), 1e-11)


@SCRIPT
def test_forward_mode_is_never_silently_zero():
    module, x = ours.LSTM(3, 5, dtype=torch.float64), random(7, 2, 3, grad=False)
    v = random(7, 2, 3, seed=9, grad=False)
    h = 1e-6
    expected = (module(x + h * v)[0] - module(x - h * v)[0]).detach() / (2 * h)
    _, tangent = torch.func.jvp(lambda x: module(x)[0], (x,), (v,))
    assert_same([tangent.detach()], [expected], 1e-8)
    with torch.no_grad():
        _, tangent = torch.func.jvp(lambda x: module(x)[0], (x,), (v,))
    assert_same([tangent.detach()], [expected], 1e-8)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, v)
        assert_same([torch.autograd.forward_ad.unpack_dual(module(dual)[0]).tangent.detach()], [expected], 1e-8)


def test_vmap_is_refused_by_name_and_func_grad_is_right():
    module, x = ours.GRU(3, 5, dtype=torch.float64), random(7, 2, 3)
    with pytest.raises(RuntimeError, match="vmap"):
        torch.func.vmap(lambda x: module(x)[0])(random(4, 7, 2, 3, grad=False))
    (expected,) = torch.autograd.grad(module(x)[0].sum(), x)
    assert_same([torch.func.grad(lambda x: module(x)[0].sum())(x.detach()).detach()], [expected])


@pytest.mark.parametrize("name", ["weight_hh_l0", "bias_ih_l0", "x"])
def test_a_change_in_place_before_backward_raises(name):
    module, x = ours.LSTM(3, 5, dtype=torch.float64), random(7, 2, 3)
    inner = x * 1
    y = module(inner)[0]
    with torch.no_grad():
        (inner if name == "x" else getattr(module, name)).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_saved_tensors_pass_through_hooks_and_checkpoints():
    module, x, seen = ours.LSTM(3, 5, dtype=torch.float64), random(7, 2, 3), []
    expected = results(module, x)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t.shape) or t, lambda t: t):
        assert_same(results(module, x), expected, 0)
    assert torch.Size([2, 8, 5]) in seen and torch.Size([20, 3]) in seen  # the tape's states, a weight

    class Checkpointed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, x):
            return checkpoint(module, x, use_reentrant=False)

    assert_same(results(Checkpointed(), x), expected, 0)


def test_nothing_is_computed_that_nobody_asks_for(monkeypatch):
    asked, kept = [], []
    backward, forward = operators.backward, operators.forward

    def spied_backward(*arguments):
        asked.append(arguments[-1])
        return backward(*arguments)

    def spied_forward(*arguments):
        kept.append(arguments[-1])
        return forward(*arguments)

    monkeypatch.setattr(operators, "backward", spied_backward)
    monkeypatch.setattr(operators, "forward", spied_forward)
    module, x = ours.LSTM(3, 5), random(7, 2, 3, dtype=torch.float32)
    with torch.no_grad():
        module(x)
    with torch.inference_mode():
        module(x)
    assert kept == [False, False]
    module(x.detach())[0].sum().backward()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    module(x)[0].sum().backward()
    assert asked == [[False, False, True], [True, False, False]] and kept[2:] == [True, True]


def test_hidden_states_alone_and_unused_outputs():
    for name in FORMS:
        theirs, module = pair(name, 3, 5)
        found = []
        for m in (module, theirs):
            x = random(7, 2, 3)
            state = flat(m(x)[1])[-1]
            found.append(torch.autograd.grad((state**2).sum(), [x, *m.parameters()]))
        assert_same(*found)


def test_parametrizations_are_read_at_every_call():
    theirs, module = pair("GRU", 3, 5)
    for m in (theirs, module):
        torch.nn.utils.parametrizations.weight_norm(m, "weight_hh_l0")
        with torch.no_grad():
            m.parametrizations.weight_hh_l0.original0.mul_(2)
    assert_same(results(module, random(7, 2, 3)), results(theirs, random(7, 2, 3)))


def test_threads_call_at_once():
    module, xs = ours.LSTM(3, 17, dtype=torch.float64), [random(7, 2, 3, seed=k) for k in range(12)]
    expected = [results(module, x) for x in xs]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(lambda x: results(module, x), xs), expected):
            assert_same(found, wanted, 0)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("grad", [True, False])
def test_a_traced_module_computes_anew(grad):
    module, x, other = ours.LSTM(3, 5), torch.randn(7, 2, 3), torch.randn(7, 2, 3)
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(module, x, check_trace=False)
        assert torch.equal(traced(other)[0], module(other)[0]) and not torch.equal(traced(other)[0], traced(x)[0])
