"""Second order on the CUDA kernels, run by the emulator: right, no product too many, the same bits under every schedule.

The wide tables are in test_second_order.py, marked `check`.
"""

from __future__ import annotations

import numpy as np
import pytest

from rnn_from_scratch import backward_vjp, cells, forward, gradcheck, jvp
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator.program import Program, memory
from rnn_from_scratch.backends.gpu import second_order
from rnn_from_scratch.backends.gpu.source import assemble
from rnn_from_scratch.bptt import Gradients
from rnn_from_scratch.measure import EXACT
from rnn_from_scratch.verify.cases import CELLS, problem

from ..helpers.second_order import assert_close, by_complex_step, direction, flat, taped

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)
WRT = ("x", "params", "initial_state", "dy", "dstate")
SOME = ["PeepholeLSTM", "GRU reset after", "GRU reset before"]  # extras and two states; two sides; two phases
HARD = ["scale per gate, any mask", "any mask, reversed, zeroed", "one scale"]


@pytest.mark.parametrize("situation", HARD)
@pytest.mark.parametrize("name", SOME)
def test_beside_complex_step(name, situation):
    for seed, sizes in enumerate([(3, 5, 2, 7), (1, 1, 1, 1)]):
        p = problem(CELLS[name], situation, sizes=sizes, seed=seed)
        v = direction(p)
        assert_close(flat(backward_vjp(taped(p, "emulated"), p.dy, p.dstate, v)), by_complex_step(p, v), EXACT)


@pytest.mark.check
@pytest.mark.parametrize("name", CELLS)
def test_several_blocks_beside_complex_step(name):
    for situation, sizes in zip(HARD, [(17, 3, 5, 41), (9, 5, 3, 33), (11, 2, 31, 37)]):
        p = problem(CELLS[name], situation, sizes=sizes)
        v = direction(p)
        assert_close(flat(backward_vjp(taped(p, "emulated"), p.dy, p.dstate, v)), by_complex_step(p, v), EXACT)


def test_numbers_that_carry_tangents():
    """Every operation of dual.h beside a complex step through the same expression."""
    expressions = ["x * y", "x / y", "x + y", "x - y", "-x", "x + 1", "1 + x", "x - 2", "2 - x", "x * 3", "3 * x", "x / 4"]
    expressions += ["exp(x)", "tanh(x)"]
    lines = "".join(f"z = {e}; out[{2 * k}] = z.v, out[{2 * k + 1}] = z.d;\n" for k, e in enumerate(expressions))
    head = 'extern "C" __global__ void numbers(const REAL* in, REAL* out) {\nDual<REAL> x{in[0], in[1]}, y{in[2], in[3]}, z;\n'
    text = assemble(["storage.h", "dual.h"], {"REAL": "double", "STORAGE": 0}) + head + lines + "}\n"
    given, out = memory((4,), "float64"), memory((len(expressions), 2), "float64")
    given[...] = 0.7, -1.3, 1.9, 0.4
    Program(text).launch("numbers", (1, 1, 1), (1, 1, 1), [given, out])
    x, y = 0.7 - 1.3e-30j, 1.9 + 0.4e-30j
    for expression, found in zip(expressions, out):
        truth = eval(expression, {"x": x, "y": y, "exp": np.exp, "tanh": np.tanh})
        assert np.allclose(found, [truth.real, truth.imag * 1e30], rtol=1e-15), expression


def test_forward_mode_with_the_tape_of_a_graph():
    """As the operators of the PyTorch modules make it: with the initial state alone."""
    p = problem(CELLS["GRU reset before"], "reversed")
    v, tape = direction(p), taped(p, "emulated")
    short = taped(p, "reference", recompute_every=p.x.shape[1])
    short = type(short)(**{**vars(short), "backend": "emulated"})
    for of_tape in (tape, short):
        found = flat(jvp(of_tape, v.x, v.params, v.initial_state))
        truth = by_complex_step(p, v)
        assert_close(found, {"y": truth["dy"], "state 0": truth["dstate 0"]}, EXACT)


@pytest.mark.parametrize("name", ["LSTM", pytest.param("GRU reset after", marks=pytest.mark.check)])
def test_a_tape_of_the_sequence_tier_is_taken_by_the_step_tier(name, monkeypatch):
    p = problem(CELLS[name], "any mask, reversed", sizes=(3, 4, 2, 5))
    v, truth = direction(p), by_complex_step(p, direction(p))
    monkeypatch.setenv("RNN_GPU_TIER", "sequence")
    tape = taped(p, "emulated")
    assert_close(flat(backward_vjp(tape, p.dy, p.dstate, v)), truth, EXACT)


class Counting(emulated.EmulatedDevice):
    """A device that counts its products and the kernels it launches."""

    def __init__(self):
        super().__init__()
        self.products, self.kernels = 0, []

    def product(self, *args):
        self.products += 1
        super().product(*args)

    def launch(self, text, name, *args, **options):
        self.kernels.append(name)
        super().launch(text, name, *args, **options)


def test_a_tangent_that_is_none_costs_no_product():
    p = problem(CELLS["LSTM"], "any mask")
    T, v, tape = p.x.shape[1], direction(p), taped(p, "emulated")
    for moving, forward_products, backward_products in [
        (Gradients(v.x, None, None), 1 + T, T + 3),
        (Gradients(None, None, v.initial_state), 1 + T, T + 3),
        (Gradients(None, {"b": v.params["b"]}, None), 1 + T, T + 3),
        (Gradients(None, {"Wx": v.params["Wx"]}, None), 2 + T, T + 4),
        (Gradients(None, {"Wh": v.params["Wh"]}, None), 1 + 2 * T, 2 * T + 3),
        (v, 2 + 2 * T, 2 * T + 4),
    ]:
        device = Counting()
        second_order.backward_vjp(device, tape, p.dy, p.dstate, moving, WRT)
        assert device.products == forward_products + backward_products
        assert device.kernels.count("dual_forward") == device.kernels.count("dual_backward") == T
        device = Counting()
        second_order.jvp(device, tape, moving)
        assert device.products == forward_products and "dual_backward" not in device.kernels


def same_bits_for_20_schedules(name, sizes):
    p = problem(CELLS[name], "scale per gate, any mask", "float32", sizes)
    v, tape, bits = direction(p), taped(p, "emulated"), []
    for seed in range(20):
        second = second_order.backward_vjp(emulated.EmulatedDevice(seed), tape, p.dy, p.dstate, v, WRT)
        bits.append({key: a.tobytes() for key, a in flat(second).items()})
    assert bits == bits[:1] * 20


def test_20_schedules_give_the_same_bits():
    same_bits_for_20_schedules("PeepholeLSTM", (7, 3, 2, 3))


@pytest.mark.check
@pytest.mark.parametrize("name", cells.forms())
def test_20_schedules_give_the_same_bits_in_several_blocks(name):
    same_bits_for_20_schedules(name, (17, 3, 2, 35))


@pytest.mark.check
@pytest.mark.parametrize("name", cells.forms())
def test_gradcheck_of_second_order(name):
    assert gradcheck(CELLS[name], backend="emulated", order=2).ok


def test_16_bits_are_refused_by_name():
    p = problem(CELLS["LSTM"], "plain", "float32")
    tape = forward(p.cell, p.params, p.x, backend="emulated", storage="float16")[2]
    with pytest.raises(TypeError, match="tape: jvp expects one kept in the dtype of x; call forward without storage="):
        jvp(tape, np.ones_like(p.x))
