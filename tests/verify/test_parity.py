"""Ours beside tf.keras, the legacy peephole cell, BlockLSTMV2 and torch.nn; and proof that these rows can fail."""

from collections import Counter

import numpy as np
import pytest

from rnn_from_scratch import backends, bptt, cells
from rnn_from_scratch.cells.activations import ACTIVATIONS, Activation
from rnn_from_scratch.measure import Row, compare, error
from rnn_from_scratch.verify import parity as table
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, solve
from rnn_from_scratch.verify.oracles import autodiff, block_lstm, keras_layers, legacy_peephole, onnx_runtime
from rnn_from_scratch.verify.parity import parity, uncovered

# cells x situations x dtypes that each computes
ROWS = {"tf.keras": 216, "tf_keras peephole": 36, "BlockLSTMV2": 4, "torch.nn": 16, "TF autodiff": 108, "ONNX Runtime": 54}
TABLE = [(oracle, *case) for oracle, *case, reason in table.table(None, None) if not reason]


def groups():
    """(oracle, cell, dtype); the float32 rows of tf.keras for other activations take long and run in `make check`."""
    for oracle, cell, dtype in dict.fromkeys((o, name, dtype) for o, name, _, dtype in TABLE):
        long = oracle is keras_layers and dtype == "float32" and cell not in cells.forms()
        yield pytest.param(oracle, cell, dtype, marks=pytest.mark.check if long else (), id=f"{oracle.NAME}-{cell}-{dtype}")


def rows_of(oracles, cell, dtypes=table.DTYPES, backend="reference"):
    return [table.row(*case, backend) for case in TABLE if case[0] in oracles and case[1] == cell and case[3] in dtypes]


def needs(*oracles):
    for oracle in oracles:
        if reason := oracle.missing():
            pytest.skip(reason)


def shown(rows):
    return "\n".join(f"{r.check}: {r.cell}, {r.situation}, {r.dtype}: {r.text} off by {r.error}, allowed {r.budget}" for r in rows)


@pytest.mark.parametrize(("oracle", "cell", "dtype"), list(groups()))
def test_ours_equal_theirs(oracle, cell, dtype):
    needs(oracle)
    rows = rows_of([oracle], cell, [dtype])
    assert rows
    failed = [r for r in rows if r.status != "pass"]
    assert not failed, shown(failed)


@pytest.mark.check
def test_parity_runs_the_whole_table():
    rows = list(parity())
    assert Counter(r.check for r in rows) == ROWS
    failed = [r for r in rows if r.status == "fail"]
    assert not failed, shown(failed)


def test_the_table_covers_everything_but_what_is_known():
    assert Counter(case[0].NAME for case in TABLE) == ROWS
    covered = {tuple(case) for _, *case in TABLE}
    holes = {(name, s, d) for name in CELLS for s in SITUATIONS for d in table.DTYPES} - covered
    assert not holes
    refused = list(uncovered())
    assert len(refused) + len(TABLE) == len(table.ORACLES) * len(CELLS) * len(SITUATIONS) * 2
    assert all(reason and "\n" not in reason for *_, reason in refused)
    assert ("torch.nn", "LSTM", "lengths", "float64", "no masks (a packed sequence cannot be empty) and no scales") in refused


# --- planted errors: (what to break, the cell, situations that must fail in float64, situations that must still pass)


def flip_forget(monkeypatch):
    right = cells.LSTM.backward

    def backward(self, *args):
        (dai, daf, dag, dao), _, ds_prev, dp = right(self, *args)
        da = (dai, -daf, dag, dao)
        return da, da, ds_prev, dp

    monkeypatch.setattr(cells.LSTM, "backward", backward)


def cut_peepholes(monkeypatch):
    """The truncated gradient of Gers & Schmidhuber: nothing flows through the peepholes into c."""
    right = cells.PeepholeLSTM.backward

    def backward(self, k, d, saved, s_prev, s, p):
        da, _, (dh, _), dp = right(self, k, d, saved, s_prev, s, p)
        plain = cells.LSTM(self.activation, self.recurrent_activation).backward(k, d, saved, s_prev, s, ())
        return da, da, (dh, plain[2][1]), dp

    monkeypatch.setattr(cells.PeepholeLSTM, "backward", backward)


def one_gru_gradient_for_both_sides(monkeypatch):
    right = cells.GRU.backward

    def backward(self, *args):
        dxg, _, ds_prev, dp = right(self, *args)
        return dxg, dxg, ds_prev, dp

    monkeypatch.setattr(cells.GRU, "backward", backward)


def hear_dy_before_the_first_live_step(monkeypatch):
    monkeypatch.setattr(bptt, "started_steps", lambda live, go_backwards: np.ones_like(live))


def show_the_initial_state_before_the_first_live_step(monkeypatch):
    right = bptt.forward

    def forward(cell, params, x, s0, live, go_backwards, zero_masked_outputs, *rest):
        y, state, tape = right(cell, params, x, s0, live, go_backwards, zero_masked_outputs, *rest)
        if live is not None and not zero_masked_outputs:
            started = bptt.started_steps(live, go_backwards)
            started = started[:, ::-1] if go_backwards else started
            y = np.where(started[:, :, None], y, s0[0][:, None])
        return y, state, tape

    monkeypatch.setattr(backends.reference, "forward", forward)


def drop_the_input_scale_going_back(monkeypatch):
    right = bptt.product_dW
    monkeypatch.setattr(bptt, "product_dW", lambda a, d, scale, *more: right(a, d, None if a.shape[1] == 3 else scale, *more))


def do_not_reverse(monkeypatch):
    right = bptt.Layout.__init__

    def init(self, cell, x, live, go_backwards, h_scale):
        right(self, cell, x, live, go_backwards, h_scale)
        if go_backwards:
            self.steps, self.before, self.after = range(self.T), 0, 1

    monkeypatch.setattr(bptt.Layout, "__init__", init)


EVERY = set(SITUATIONS)
REVERSED = {s for s, options in SITUATIONS.items() if "go_backwards" in options}
SCALED = {s for s, options in SITUATIONS.items() if "x_scale" in options}
PLANTED = [
    (flip_forget, "LSTM", EVERY, set()),
    (cut_peepholes, "PeepholeLSTM", EVERY, set()),
    (one_gru_gradient_for_both_sides, "GRU reset after", EVERY, set()),
    (hear_dy_before_the_first_live_step, "SimpleRNN", {"any mask"}, {"plain", "reversed", "any mask, reversed, zeroed"}),
    (show_the_initial_state_before_the_first_live_step, "LSTM", {"any mask"}, {"plain", "any mask, reversed, zeroed"}),
    (drop_the_input_scale_going_back, "GRU reset before", SCALED, EVERY - SCALED),
    (do_not_reverse, "SimpleRNN relu", REVERSED, EVERY - REVERSED),
]


@pytest.mark.parametrize(("plant", "cell", "fail", "hold"), PLANTED, ids=[row[0].__name__ for row in PLANTED])
def test_a_planted_error_fails(monkeypatch, plant, cell, fail, hold):
    needs(keras_layers, legacy_peephole)
    plant(monkeypatch)
    rows = rows_of([keras_layers, legacy_peephole], cell)
    assert {r.situation for r in rows if r.status == "fail" and r.dtype == "float64"} >= fail
    assert {r.situation for r in rows if r.status == "fail" and r.dtype == "float32"} >= fail
    assert not [r for r in rows if r.situation in hold and r.status == "fail"]


def test_planted_errors_fail_beside_the_equations_and_onnx_runtime(monkeypatch):
    needs(autodiff, onnx_runtime)
    cut_peepholes(monkeypatch)
    rows = rows_of([autodiff], "PeepholeLSTM")
    assert len(rows) == 2 * len(SITUATIONS)
    assert {r.status for r in rows} == {"fail"}
    right = ACTIVATIONS["tanh"]
    monkeypatch.setitem(ACTIVATIONS, "tanh", Activation(lambda a: right.f(a) * a.dtype.type(1 + 1e-5), right.derivative))
    rows = rows_of([onnx_runtime], "GRU reset before")
    assert len(rows) == 3
    assert {r.status for r in rows} == {"fail"}


def test_float32_rows_fail_when_only_accuracy_is_lost(monkeypatch):
    needs(keras_layers)
    right = ACTIVATIONS["tanh"]
    monkeypatch.setitem(ACTIVATIONS, "tanh", Activation(lambda a: right.f(a) * a.dtype.type(1 + 1e-5), right.derivative))
    rows = rows_of([keras_layers], "GRU reset after", ["float32"])
    assert len(rows) == len(SITUATIONS)
    assert all(r.status == "fail" for r in rows), shown(rows)


def test_wrong_gates_on_the_tape_fail_though_every_gradient_is_right(monkeypatch):
    needs(block_lstm)
    right = bptt.Tape.gate
    swap = {"i": "f", "f": "i"}
    monkeypatch.setattr(bptt.Tape, "gate", lambda self, name: right(self, swap.get(name, name)))
    rows = rows_of([block_lstm], "LSTM")
    assert [r.text for r in rows if r.status == "fail" and r.text in ("tape.i", "tape.f")] == [r.text for r in rows] != []


def test_an_array_that_the_oracle_does_not_compute_fails(monkeypatch):
    needs(keras_layers)
    monkeypatch.setattr(table, "solve", lambda p, backend="reference": {**solve(p, backend), "extra": p.x})
    row = next(iter(parity("simple_rnn")))
    assert (row.status, row.text) == ("fail", "tf.keras computed no extra")


def test_nan_fails():
    b = np.ones((2, 3))
    a = b.copy()
    a[1, 2] = np.nan
    assert error(a, b) == error(b, a) == error(a, a) == float("inf")
    assert compare({"y": a}, {"y": b}, {"y": 1e9}) == ("y", float("inf"), 1e9)
    assert compare({}, {"y": b}, {"y": 1.0})[1] == float("inf")
    assert Row("tf.keras", "LSTM", "plain", "float64", float("nan"), 1.0, "y").status == "fail"
