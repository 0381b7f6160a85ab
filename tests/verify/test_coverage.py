"""A cell that is new in the table: cases by the rule, and every consumer without a row for it says so by name."""

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from rich.console import Console

from rnn_from_scratch import cells, doctor
from rnn_from_scratch.interop import conventions
from rnn_from_scratch.interop.to_onnx import OPERATORS, to_onnx
from rnn_from_scratch.verify import coverage, equations, mutants
from rnn_from_scratch.verify.cases import case_cells, problem
from rnn_from_scratch.verify.mutants import checks
from rnn_from_scratch.verify.parity import ORACLES


@dataclass(frozen=True)
class Newcomer(cells.LSTM):
    """What somebody adds to cells.CELLS and nowhere else."""

    initial_bias: ClassVar = {"i": -1.0}


@pytest.fixture
def newcomer(monkeypatch):
    monkeypatch.setitem(cells.CELLS, "newcomer", Newcomer)
    return problem(Newcomer(), dtype="float32")


def test_every_consumer_names_a_cell_that_it_does_not_know(newcomer):
    missing = coverage.not_covered()
    assert set(missing) == set(coverage.tables())
    assert all("Newcomer" in names for names in missing.values())
    assert coverage.not_covered("new-comer") == {what: ["Newcomer"] for what in coverage.tables()}


def test_without_it_nothing_is_missing_but_what_others_do_not_have():
    missing = coverage.not_covered()
    ours = {"second writing of the equations", "planted bugs", "to_onnx", "weights of onnx"}
    assert not ours & set(missing)
    assert missing["oracle torch.nn"] == ["PeepholeLSTM", "GRU reset before", "CoupledLSTM"]
    assert missing["weights of tf1"] == ["GRU reset after", "CoupledLSTM"]
    assert all(set(names) < set(cells.forms()) for names in missing.values())


@pytest.mark.parametrize("name", ["second writing of the equations", "to_onnx", "oracle tf.keras", "weights of torch"])
def test_a_lost_row_is_named(name):
    table = coverage.tables()[name]
    rows = dict(table)
    try:
        del table["LSTM"]
        assert "LSTM" in coverage.not_covered()[name]
    finally:
        table.clear()
        table.update(rows)


def test_no_table_has_a_row_for_a_form_that_does_not_exist():
    for what, covered in coverage.tables().items():
        assert set(covered) <= set(cells.forms()), what


def test_its_cases_come_by_the_rule(newcomer):
    names = [name for name in case_cells() if name.startswith("Newcomer")]
    assert names == ["Newcomer", "Newcomer relu", "Newcomer hard_sigmoid, no bias"]
    cell = case_cells()["Newcomer hard_sigmoid, no bias"]
    assert (cell.activation, cell.recurrent_activation, cell.use_bias) == ("tanh", "hard_sigmoid", False)


def test_a_refusal_names_it(newcomer):
    with pytest.raises(ValueError, match="cell: the equations of Newcomer are not written here; expected one of SimpleRNN, LSTM"):
        equations.run(newcomer.cell, newcomer.params, newcomer.x, newcomer.options["initial_state"])
    with pytest.raises(ValueError, match="framework: torch.nn has no Newcomer; none here has"):
        conventions.to_framework("torch", newcomer.cell, newcomer.params)
    assert {oracle.cannot(newcomer) for oracle in ORACLES} == {f"{oracle.NAME} has no Newcomer" for oracle in ORACLES}


def test_onnx_without_an_operator_names_it(newcomer, monkeypatch):
    layout = conventions.LAYOUTS["onnx"]
    monkeypatch.setitem(layout.rows, "Newcomer", layout.rows["LSTM"])
    with pytest.raises(ValueError, match="to_onnx has an operator for SimpleRNN, LSTM.*, got Newcomer"):
        to_onnx(newcomer.cell, newcomer.params)
    assert "Newcomer" not in OPERATORS


def test_the_checks_of_mutants_pass_it_by_and_name_it(newcomer, monkeypatch):
    monkeypatch.setitem(checks.CELLS, "Newcomer", Newcomer())
    assert checks.first_failure(checks.CHECKS["equations"], ["Newcomer"]) == ""
    monkeypatch.setattr(mutants, "PLANTED", [m for m in mutants.PLANTED if m.file != "cells/gru.py"])
    assert mutants.without_bugs() == ["GRU", "Newcomer"]


def test_doctor_says_it_in_80_columns(newcomer):
    text = io.StringIO()
    doctor.report(Console(file=text, width=80))
    table = text.getvalue().split("not covered by")[1]
    assert table.count("Newcomer") == len(coverage.tables())
    assert max(map(len, text.getvalue().splitlines()[:-1])) <= 80


# --- what a layout may leave open, and where a forget bias belongs


def test_a_gate_that_the_framework_does_not_read_is_zeros(newcomer, monkeypatch):
    layout = conventions.LAYOUTS["onnx"]
    monkeypatch.setitem(layout.rows, "Newcomer", layout.rows["LSTM"]._replace(gates="i o f - g"))
    arrays = conventions.to_framework("onnx", newcomer.cell, newcomer.params)
    H = len(newcomer.params["Wh"])
    for name in ("W", "R"):
        assert arrays[name].shape[1] == 5 * H
        blocks = arrays[name].reshape(5, H, -1)
        assert not blocks[3].any()
        assert all(block.all() for block in blocks[[0, 1, 2, 4]])
    arrays["W"].reshape(5, H, -1)[3] = np.nan  # it is not read on the way back either
    back = conventions.from_framework("onnx", newcomer.cell, arrays)
    assert all(np.array_equal(back[name], a) for name, a in newcomer.params.items())


@pytest.mark.parametrize("seed", range(3))
def test_a_forget_bias_goes_where_the_cell_says(newcomer, monkeypatch, seed):
    """f = 1 - i: what is added to the forget gate is taken from the input gate."""
    layout = conventions.LAYOUTS["tf1"]
    monkeypatch.setitem(layout.rows, "Newcomer", layout.rows["LSTM"])
    for cell, gate, sign in ((Newcomer(), "i", 1.0), (cells.LSTM(), "f", -1.0)):
        params = problem(cell, seed=seed).params
        there, zero = (conventions.to_framework("tf1", cell, params, forget_bias=value)["bias"] for value in (1.0, 0.0))
        difference = dict(zip(layout.rows["LSTM"].gates.split(), (there - zero).reshape(4, -1)))
        for name, values in difference.items():
            assert np.allclose(values, sign if name == gate else 0.0), name
