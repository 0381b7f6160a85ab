"""The cells by hand-worked numbers, their activations, and a cell that a user wrote."""

import math
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import numpy as np
import pytest

from rnn_from_scratch import backward, cells, forward, gradcheck, init_params
from rnn_from_scratch.cells.activations import ACTIVATIONS
from rnn_from_scratch.verify.cases import CELLS, problem


def s(a):
    return 1 / (1 + math.exp(-a))


# one unit, one input, one step: every number below is worked out on paper from the equations, gate by gate
WX, WH, B, X, H, C, P = (0.3, -0.2, 0.5, 0.7), (0.4, 0.1, -0.6, 0.2), (0.01, 0.02, 0.03, 0.04), 1.5, 0.6, -0.8, (0.9, -0.7, 0.35)
BH = (0.05, -0.06, 0.07)
A = [wx * X + b + wh * H for wx, b, wh in zip(WX, B, WH)]


def simple_rnn():
    return (math.tanh(A[0]),)


def lstm():
    c = s(A[1]) * C + s(A[0]) * math.tanh(A[2])
    return s(A[3]) * math.tanh(c), c


def peephole_lstm():
    c = s(A[1] + P[1] * C) * C + s(A[0] + P[0] * C) * math.tanh(A[2])
    return s(A[3] + P[2] * c) * math.tanh(c), c


def coupled_lstm():
    c = (1 - s(A[0])) * C + s(A[0]) * math.tanh(A[1])
    return s(A[2]) * math.tanh(c), c


def gru_reset_after():
    z, r = s(A[0] + BH[0]), s(A[1] + BH[1])
    n = math.tanh(WX[2] * X + B[2] + r * (WH[2] * H + BH[2]))
    return (z * H + (1 - z) * n,)


def gru_reset_before():
    z, r = s(A[0]), s(A[1])
    n = math.tanh(WX[2] * X + B[2] + WH[2] * (r * H))
    return (z * H + (1 - z) * n,)


BY_HAND = {
    "SimpleRNN": simple_rnn,
    "LSTM": lstm,
    "PeepholeLSTM": peephole_lstm,
    "GRU reset after": gru_reset_after,
    "GRU reset before": gru_reset_before,
    "CoupledLSTM": coupled_lstm,
}


def test_every_form_is_worked_out_by_hand():
    assert set(BY_HAND) == set(cells.forms())


@pytest.mark.parametrize("form", BY_HAND)
def test_one_step_by_hand(form):
    cell = cells.forms()[form]
    G = len(cell.gates)
    params = {"Wx": np.array([WX[:G]]), "Wh": np.array([WH[:G]]), "b": np.array(B[:G]), "p": np.array(P)[:, None]}
    params.update(bx=params["b"], bh=np.array(BH))
    params = {name: params[name] for name in init_params(cell, 1, 1)}
    start = tuple(np.array([[v]]) for v in (H, C)[: len(cell.states)])
    y, state, _ = forward(cell, params, np.array([[[X]]]), start)
    expected = BY_HAND[form]()
    assert [v.item() for v in state] == pytest.approx(expected, rel=1e-14)
    assert y.item() == pytest.approx(expected[0], rel=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_activations_do_not_overflow_keep_their_dtype_and_pass_nan_on(name, dtype):
    a = np.array([-1e30, -800, -3, -1e-8, 0, 1e-8, 3, 800, 1e30]).astype(dtype)
    f, derivative = ACTIVATIONS[name]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = f(a)
    assert y.dtype == a.dtype
    assert np.isfinite(y).all()
    with np.errstate(invalid="ignore"):  # complex division flags NaN
        assert np.isnan(f(np.array([np.nan], dtype))).all()
    if dtype != "complex128":
        assert derivative(y).dtype == a.dtype


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_the_complex_step_derivative(name):
    a = np.linspace(-7, 7, 141) + 0.013
    f, derivative = ACTIVATIONS[name]
    np.testing.assert_allclose(derivative(f(a)), f(a + 1e-30j).imag / 1e-30, rtol=1e-13, atol=1e-15)


def test_derivatives_at_the_corners_are_zero():
    assert ACTIVATIONS["relu"].derivative(np.zeros(1))[0] == 0
    assert list(ACTIVATIONS["hard_sigmoid"].derivative(ACTIVATIONS["hard_sigmoid"].f(np.array([-3.0, 3.0])))) == [0, 0]


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_frozen_values(name):
    cell = CELLS[name]
    assert cell == type(cell)(**vars(cell))
    assert hash(cell) == hash(type(cell)(**vars(cell)))
    with pytest.raises(FrozenInstanceError):
        cell.activation = "relu"
    assert sorted(g for phase in cell.phases for g in phase) == list(range(len(cell.gates)))


def test_by_name_takes_any_spelling():
    for spelling in ("PeepholeLSTM", "peephole_lstm", "PEEPHOLE-LSTM", "peepholelstm"):
        assert cells.by_name(spelling, activation="relu") == cells.PeepholeLSTM(activation="relu")


class CoupledLSTM:
    """A user's cell, written from the page in cells/__init__.py: f = 1 - i, one phase, no bias, an extra weight on c."""

    gates, states, saved, extras = ("i", "g", "o"), ("h", "c"), ("i", "g", "o"), ("w",)
    shared, phases, use_bias = True, ((0, 1, 2),), False

    def forward(self, k, xg, hg, s_prev, saved, p):
        ai, ag, ao = xg + hg
        i, g, o = ACTIVATIONS["sigmoid"].f(ai), np.tanh(ag), ACTIVATIONS["sigmoid"].f(ao)
        c = (1 - i) * s_prev[1] + i * g
        return (o * np.tanh(p[0] * c), c), (i, g, o)

    def backward(self, k, d, saved, s_prev, s, p):
        i, g, o = saved
        tau = np.tanh(p[0] * s[1])
        inner = d[0] * o * (1 - tau * tau)
        dc = d[1] + inner * p[0]
        da = (dc * (g - s_prev[1]) * i * (1 - i), dc * i * (1 - g * g), d[0] * tau * o * (1 - o))
        return da, da, (0.0, dc * (1 - i)), (inner * s[1],)


def test_a_users_cell_runs_and_is_checked():
    report = gradcheck(CoupledLSTM(), mask=np.array([[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]], bool))
    assert report.ok, report
    report = gradcheck(CoupledLSTM(), dtype="float32", go_backwards=True)
    assert report.ok, report


def test_a_users_two_phase_cell_and_scattered_gates():
    gru = cells.GRU(reset_after=False)
    order = [2, 0, 1]  # gates stored as n, z, r: phase 0 takes columns 1, 2 and phase 1 column 0
    mine = SimpleNamespace(
        gates=("n", "z", "r"), states=("h",), saved=("z", "r", "n"), extras=(), shared=True, phases=((1, 2), (0,)),
        forward=gru.forward, backward=gru.backward, operand=gru.operand,
    )  # fmt: skip
    p = problem(gru, "scale per gate, any mask")
    shuffled = {k: v.reshape(*v.shape[:-1], 3, -1)[..., order, :].reshape(v.shape) for k, v in p.params.items()}
    options = {k: v[order] if k.endswith("scale") else v for k, v in p.options.items()}
    y, _, tape = forward(gru, p.params, p.x, **p.options, backend="reference")
    y2, _, tape2 = forward(mine, shuffled, p.x, **options)
    assert np.array_equal(y, y2)
    one, two = backward(tape, p.dy).params, backward(tape2, p.dy).params
    for k, g in one.items():
        np.testing.assert_allclose(two[k], g.reshape(*g.shape[:-1], 3, -1)[..., order, :].reshape(g.shape), rtol=1e-12)
