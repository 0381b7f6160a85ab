"""jvp, backward_vjp and hvp: beside torch's double backward, beside differences of exact gradients, and by what must hold of them."""

import numpy as np
import pytest

from rnn_from_scratch import backends, backward_vjp, cells, forward, hvp, init_params, jvp
from rnn_from_scratch.bptt import Gradients
from rnn_from_scratch.measure import EXACT, budget, error
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, cast, problem

from ..helpers.second_order import assert_close, by_complex_step, by_differences, direction, flat, taped

FORMS = list(cells.forms())
# the native kernels only where they are usable; the emulated ones have quick tests in test_emulated_second_order.py
FAST = ["reference", *(["native"] if backends.available()["native"][0] else [])]
EMULATED, WHY_NOT = backends.available()["emulated"]
BACKENDS = [*FAST, pytest.param("emulated", marks=[pytest.mark.check, pytest.mark.skipif(not EMULATED, reason=WHY_NOT)])]
SIZES = [(3, 5, 2, 7), (1, 1, 1, 1), (2, 1, 5, 3), (1, 4, 1, 1)]
WRT = ("x", "params", "initial_state", "dy", "dstate")


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_beside_differences_of_first_order(backend, name, situation):
    for seed, sizes in enumerate(SIZES):
        p = problem(CELLS[name], situation, sizes=sizes, seed=seed)
        v, tape = direction(p), taped(p, backend)
        second = backward_vjp(tape, p.dy, p.dstate, v)
        assert_close(flat(second), by_complex_step(p, v), EXACT)
        assert_close(flat(second), by_differences(p, v), 1e-7)
        tangents = jvp(tape, v.x, v.params, v.initial_state)
        assert_close(flat(tangents), {"y": second.dy, **{f"state {k}": s for k, s in enumerate(second.dstate)}}, EXACT)


@pytest.mark.parametrize("name", [name for name in CELLS if name not in FORMS])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_activation(backend, name):
    p = problem(CELLS[name], "any mask", seed=3)
    v = direction(p)
    second = flat(backward_vjp(taped(p, backend), p.dy, p.dstate, v))
    assert_close(second, by_complex_step(p, v), EXACT)
    assert_close(second, by_differences(p, v, 1e-5), 1e-7)  # relu: no corner is near


@pytest.mark.parametrize("name", ["SimpleRNN", "SimpleRNN relu", "LSTM", "GRU reset after"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_beside_torch_double_backward(backend, name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from rnn_from_scratch.verify.oracles.torch_nn import parameter_names, torch_layer

    for seed, sizes in enumerate(SIZES):
        p = problem(CELLS[name], sizes=sizes, seed=seed)
        layer, order = torch_layer(p)
        x, dy = (torch.tensor(a, requires_grad=True) for a in (p.x, p.dy))
        s0, dstate = ([torch.tensor(a, requires_grad=True) for a in some] for some in (p.options["initial_state"], p.dstate))
        first = tuple(s[None] for s in s0)
        y, state = layer(x, first if len(first) > 1 else first[0])
        state = [s[0] for s in (state if len(first) > 1 else [state])]
        weights = {ours: getattr(layer, name) for ours, name in parameter_names(p).items()}
        sources = [x, *weights.values(), *s0]
        grads = torch.autograd.grad([y, *state], sources, [dy, *dstate], create_graph=True)

        def to_torch(a, order=order):
            return a.T.reshape(len(order), -1, *a.shape[:-1])[order].reshape(a.T.shape)

        def to_ours(a, order=order):
            g = a.numpy()
            return g.reshape(len(order), -1, *g.shape[1:])[np.argsort(order)].reshape(g.shape).T

        v = direction(p)
        cotangents = [torch.tensor(a) for a in (v.x, *(to_torch(v.params[name]) for name in weights), *v.initial_state)]
        found = torch.autograd.grad(grads, [*sources, dy, *dstate], cotangents)
        truth = {"x": found[0].numpy(), **{name: to_ours(g) for name, g in zip(weights, found[1:])}}
        rest = [g.numpy() for g in found[1 + len(weights) :]]
        truth.update({f"initial_state {k}": g for k, g in enumerate(rest[: len(s0)])}, dy=rest[len(s0)])
        truth.update({f"dstate {k}": g for k, g in enumerate(rest[len(s0) + 1 :])})
        assert_close(flat(backward_vjp(taped(p, backend), p.dy, p.dstate, v)), truth, 1e-11)


@pytest.mark.parametrize("situation", ["plain", "any mask, reversed"])
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("backend", FAST)
def test_gradgradcheck_of_torch(backend, name, situation):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from ..helpers.torch_function import recurrent

    p = problem(CELLS[name], situation, sizes=(2, 3, 2, 2))
    function, inputs = recurrent(p._replace(x=np.nan_to_num(p.x)), backend)
    assert torch.autograd.gradgradcheck(function, inputs, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_hessian_is_symmetric(backend, name):
    for seed in range(3):
        p = problem(CELLS[name], "any mask", seed=seed)
        tape = taped(p, backend)
        y, one, other = tape_output(p), direction(p, 1), direction(p, 2)

        def product(v, p=p, y=y, tape=tape):
            return hvp(tape, y**3, lambda y_t: 3 * y**2 * y_t, v.x, v.params, v.initial_state)

        a, b = inner(product(one), other), inner(product(other), one)
        assert abs(a - b) <= EXACT * abs(a)


def tape_output(p):
    return forward(p.cell, p.params, p.x, **p.options, save=False, backend="reference")[0]


def inner(a, b):
    """The sum of products of all arrays of two Gradients."""
    other = flat(b)
    return sum(float((array * other[name]).sum()) for name, array in flat(a).items())


@pytest.mark.parametrize("name", ["LSTM", "GRU reset before"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_wrt_and_tangents_that_are_none(backend, name):
    p = problem(CELLS[name], "any mask")
    v, tape = direction(p), taped(p, backend)
    whole = flat(backward_vjp(tape, p.dy, p.dstate, v))
    for wrt in WRT:
        part = flat(backward_vjp(tape, p.dy, p.dstate, v, wrt=wrt))
        assert part and all(np.array_equal(a, whole[key]) for key, a in part.items())
    parts = [Gradients(v.x, None, None), Gradients(None, v.params, None), Gradients(None, None, v.initial_state)]
    parts.append(Gradients(None, {"Wh": v.params["Wh"]}, (None,) * len(p.dstate)))
    rest = {key: a for key, a in v.params.items() if key != "Wh"}
    parts[1] = Gradients(None, rest, None)
    each = [flat(backward_vjp(tape, p.dy, p.dstate, part)) for part in parts]
    assert_close({key: sum(found[key] for found in each) for key in whole}, whole, EXACT)
    zero = flat(backward_vjp(tape, p.dy, p.dstate, Gradients(None, None, None)))
    assert list(zero) == list(whole) and not any(a.any() for a in zero.values())
    assert not any(flat(backward_vjp(tape, p.dy, None, v, wrt="dstate")).keys() - {f"dstate {k}" for k in range(len(p.dstate))})


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_within_its_budget(backend, name):
    for situation in ("plain", "scale per gate, any mask"):
        p = problem(CELLS[name], situation, "float32", (6, 31, 3, 19))
        double, v = cast(p, "float64"), direction(p)
        wide = cast(p._replace(x=v.x, params=v.params, dstate=v.initial_state), "float64")
        wide = Gradients(wide.x, wide.params, wide.dstate)
        truth = flat(backward_vjp(taped(double), double.dy, double.dstate, wide))
        own = flat(backward_vjp(taped(p), p.dy, p.dstate, v))
        found = flat(backward_vjp(taped(p, backend), p.dy, p.dstate, v))
        assert {a.dtype for a in found.values()} == {np.dtype("float32")}
        assert_close(found, truth, {key: budget("d", error(own[key], truth[key])) for key in truth})


@pytest.mark.parametrize("backend", BACKENDS)
def test_tangents_of_any_size(backend):
    """The step of the complex numbers follows the size of the tangents: what it leads to is linear in them."""
    p = problem(CELLS["LSTM"], "any mask", "float32")
    v, tape = direction(p), taped(p, backend)
    v.x[~p.options["mask"]] = np.nan  # never seen
    one = flat(backward_vjp(tape, p.dy, p.dstate, v))
    for exponent in (-60, 50):
        scaled = Gradients(*(scale(part, exponent) for part in vars(v).values()))
        found = flat(backward_vjp(tape, p.dy, p.dstate, scaled))
        assert all(np.array_equal(np.ldexp(a, exponent), found[key]) for key, a in one.items())


def scale(part, exponent):
    if isinstance(part, dict):
        return {name: np.ldexp(a, exponent) for name, a in part.items()}
    return tuple(np.ldexp(a, exponent) for a in part) if isinstance(part, tuple) else np.ldexp(part, exponent)


@pytest.mark.parametrize("backend", FAST)  # the others refuse recompute_every
def test_recompute(backend):
    p = problem(CELLS["GRU reset before"], "any mask, reversed")
    v = direction(p)
    whole = flat(backward_vjp(taped(p, backend), p.dy, p.dstate, v))
    short = flat(backward_vjp(taped(p, backend, recompute_every=3), p.dy, p.dstate, v))
    assert all(np.array_equal(a, whole[key]) for key, a in short.items())


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_and_an_empty_batch(backend):
    empty = problem(CELLS["LSTM"], sizes=(0, 4, 3, 2))
    second = backward_vjp(taped(empty, backend), empty.dy, empty.dstate, direction(empty))
    assert second.x.shape == (0, 4, 3) and not second.params["Wh"].any()
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    _, _, tape = forward(cells.LSTM(), init_params(cells.LSTM(), 3, 5), torch.ones((2, 4, 3)), backend=backend)
    assert isinstance(jvp(tape, x=torch.ones((2, 4, 3))).y, torch.Tensor)


def test_refusals_say_what_to_do():
    p = problem(CELLS["LSTM"])
    v, tape = direction(p), taped(p)
    for wrong, kind, message in [
        (lambda: jvp(None), ValueError, r"save=True"),
        (lambda: jvp(p.x), TypeError, "tape: expected the Tape that forward returned, got ndarray"),
        (lambda: jvp(tape, p.x[:, 1:]), ValueError, r"x: expected .* = \[6, 7, 3\] for LSTM, got \[6, 6, 3\]"),
        (lambda: jvp(tape, p.x.astype("float32")), TypeError, "x: expected float64, the dtype of x, got float32"),
        (lambda: jvp(tape, params={"bias": p.x}), ValueError, "params: expected names from Wx, Wh, b for LSTM, got 'bias'"),
        (lambda: jvp(tape, initial_state=(p.dstate[0],)), ValueError, "initial_state: expected a tuple of 2 arrays"),
        (lambda: backward_vjp(tape, p.dy), TypeError, r"cotangents: expected Gradients\(x, params, initial_state\)"),
        (lambda: backward_vjp(tape, None, None, v), ValueError, "expected dy or dstate, got neither"),
        (lambda: backward_vjp(tape, p.dy, None, v, wrt="Wx"), ValueError, "wrt: expected names from x, params, initial_state, dy, dst"),
    ]:
        with pytest.raises(kind, match=message):
            wrong()
