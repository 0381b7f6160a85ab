"""gradcheck passes what is right and names what is wrong: planted errors in every backward, and in what carries them."""

import numpy as np
import pytest

from rnn_from_scratch import backends, cells, gradcheck
from rnn_from_scratch.measure import Row, budget, compare, error
from rnn_from_scratch.verify import books
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_and_situation(name, situation):
    p = problem(CELLS[name], situation)
    report = gradcheck(p.cell, p.params, p.x, **p.options)
    assert report.ok, report
    arrays = {e.array for e in report.entries}
    assert arrays == {"x", *p.params, *(f"initial {s}" for s in p.cell.states)}
    assert report.worst.error <= 1e-12


@pytest.mark.parametrize("name", cells.forms())
def test_float32(name):
    report = gradcheck(CELLS[name], dtype="float32", go_backwards=True)
    assert report.ok, report


def planted(cell, change):
    """The same cell with `change` applied to what backward returns: change(dxg, dhg, ds_prev, dp) -> the same four."""

    class Planted(type(cell)):
        def backward(self, k, d, saved, s_prev, s, p):
            dxg, dhg, ds_prev, dp = super().backward(k, d, saved, s_prev, s, p)
            return change(k, list(dxg), list(dhg), list(ds_prev), list(dp))

    return Planted(**vars(cell))


def flip(j, both=True):
    def change(k, dxg, dhg, ds_prev, dp):
        dxg[j] = -dxg[j]
        dhg[j] = -dhg[j] if both else dhg[j]
        return dxg, dxg if both else dhg, ds_prev, dp

    return change


def flip_recurrent(j):
    def change(k, dxg, dhg, ds_prev, dp):
        dhg[j] = -dhg[j]
        return dxg, dhg, ds_prev, dp

    return change


def flip_carry(j):
    def change(k, dxg, dhg, ds_prev, dp):
        ds_prev[j] = -ds_prev[j]
        return dxg, dhg, ds_prev, dp

    return change


def flip_extra(j):
    def change(k, dxg, dhg, ds_prev, dp):
        dp[j] = -dp[j]
        return dxg, dhg, ds_prev, dp

    return change


def flip_in_phase(phase, j):
    def change(k, dxg, dhg, ds_prev, dp):
        if k == phase:
            dxg[j] = -dxg[j]
        return dxg, dxg, ds_prev, dp

    return change


# (cell, what is wrong, the arrays one of which must be named, the gate that must be named, the step where it is born)
SIGN_ERRORS = [
    (cells.SimpleRNN(), flip(0), ("Wx", "Wh", "b"), "h", 3),
    (cells.LSTM(), flip(0), ("Wx", "Wh", "b"), "i", 3),
    (cells.LSTM(), flip(1), ("Wx", "Wh", "b"), "f", 3),
    (cells.LSTM(), flip(2), ("Wx", "Wh", "b"), "g", 3),
    (cells.LSTM(), flip(3), ("Wx", "Wh", "b"), "o", 3),
    (cells.LSTM(), flip_carry(1), ("initial c",), "", 3),
    (cells.PeepholeLSTM(), flip_extra(0), ("p",), "i", None),
    (cells.PeepholeLSTM(), flip_extra(1), ("p",), "f", None),
    (cells.PeepholeLSTM(), flip_extra(2), ("p",), "o", None),
    (cells.PeepholeLSTM(), flip_carry(1), ("initial c",), "", 3),
    (cells.GRU(), flip(0, both=False), ("Wx", "bx"), "z", 3),
    (cells.GRU(), flip_recurrent(0), ("Wh", "bh"), "z", 3),
    (cells.GRU(), flip_recurrent(1), ("Wh", "bh"), "r", 3),
    (cells.GRU(), flip_recurrent(2), ("Wh", "bh"), "n", 3),
    (cells.GRU(), flip_carry(0), ("initial h",), "", 3),
    (cells.GRU(reset_after=False), flip_in_phase(0, 0), ("Wx", "Wh", "b"), "z", 3),
    (cells.GRU(reset_after=False), flip_in_phase(0, 1), ("Wx", "Wh", "b"), "r", 3),
]


@pytest.mark.parametrize(("cell", "change", "arrays", "gate", "step"), SIGN_ERRORS)
def test_a_sign_error_is_found_and_named(cell, change, arrays, gate, step):
    report = gradcheck(planted(cell, change))
    assert not report.ok
    culprit, text = report.culprit, str(report)
    assert culprit.array in arrays, text
    assert culprit.gate == gate, text
    assert ("WRONG" in text) and (culprit.array in text.splitlines()[1])
    if gate:
        assert f"gate {gate}" in text.splitlines()[1], text
    if step is None:
        assert "dxg is right at every step" in text
    else:
        assert report.birth.step == step, text


def test_a_tenth_of_a_percent_in_one_gate_at_one_step_is_named():
    class Planted(cells.LSTM):
        def backward(self, k, d, saved, s_prev, s, p):
            (dai, daf, dag, dao), _, ds_prev, dp = super().backward(k, d, saved, s_prev, s, p)
            at_step_1 = np.isclose(saved[3], MARK).any(1, keepdims=True)
            da = (dai, daf, np.where(at_step_1, 1.001 * dag, dag), dao)
            return da, da, ds_prev, dp

    p = problem(cells.LSTM(), "plain", sizes=(3, 4, 3, 5))
    MARK = backends.forward(p.cell, p.params, p.x, **p.options)[2].gate("o")[:, 1]  # tells step 1 from the others
    report = gradcheck(Planted(), p.params, p.x, **p.options)
    assert not report.ok
    assert report.birth.step == 1, report
    assert report.birth.gates == ("g",), report
    assert report.culprit.gate == "g"


@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_wrong_loop_is_found(monkeypatch, go_backwards):
    """Not the cell but what is around it: dWh from h instead of h_prev."""
    from rnn_from_scratch import bptt

    right = bptt.param_gradients

    def wrong(tape, at, D, dhg, dp_sum):
        grads = right(tape, at, D, dhg, dp_sum)
        h = tape.states[0][:, at.after : at.T + at.after]
        return {**grads, "Wh": bptt.product_dW(at.flat(h), at.flat(dhg), None)}

    monkeypatch.setattr(bptt, "param_gradients", wrong)
    report = gradcheck(cells.LSTM(), go_backwards=go_backwards, backend="reference")
    assert {e.array for e in report.entries if not e.ok} == {"Wh"}
    assert report.birth is None
    assert "culprit: parameter Wh" in str(report)


def test_nan_is_wrong():
    def change(k, dxg, dhg, ds_prev, dp):
        nan = [a * np.nan for a in dxg]
        return nan, nan, ds_prev, dp

    report = gradcheck(planted(cells.LSTM(), change))
    assert not report.ok
    assert report.worst.error == np.inf
    assert "WRONG" in str(report)


def test_large_arrays_are_sampled_and_still_caught():
    report = gradcheck(cells.LSTM(), entries=20)
    assert report.ok
    report = gradcheck(planted(cells.LSTM(), flip(1)), entries=20)
    assert not report.ok
    assert report.culprit.gate == "f"


def test_the_error_measure():
    one, two = np.ones(3), np.array([1.0, 2.0, 4.0])
    assert error(one, two) == 0.75
    assert error(two, two) == 0
    assert error(np.array([np.nan, 1, 1]), one) == np.inf
    assert error(one, np.array([np.nan, 1, 1])) == np.inf
    assert error(np.array([np.nan, 1, 1]), np.array([np.nan, 1, 1])) == np.inf
    assert error(np.ones(2), one) == np.inf
    assert error(np.zeros(3), np.zeros(3)) == 0
    assert error(np.full(3, 1e-300), np.zeros(3)) == np.inf
    assert error(np.zeros((0, 2)), np.zeros((0, 2))) == 0
    assert budget("y", 1e-6) == pytest.approx(3e-6)
    assert budget("dWx", 1e-6) == pytest.approx(4e-6)
    assert compare({"y": one}, {"y": two, "dx": one}, {"y": 1.0, "dx": 1.0}) == ("dx", np.inf, 1.0)
    assert compare({"y": one}, {"y": two}, {"y": 0.0})[1] == 0.75
    assert [Row("", "", "", "", e, 1.0, "").status for e in (0.5, 2.0, np.nan, None)] == ["pass", "fail", "fail", "skipped"]


@pytest.mark.parametrize("program", books.run(), ids=lambda program: program.name)
def test_the_books_printed_arrays(program):
    assert program.difference <= 1e-6
    assert program.ok


def test_packing_changes_no_bit_and_a_changed_digit_is_seen():
    static, packed = (program for program in books.run() if program.name in ("static", "packed"))
    assert np.array_equal(static.y, packed.y)
    assert not static._replace(book_y=static.book_y + np.float32(2e-6)).ok
    assert not static._replace(y=static.y * np.nan).ok
