"""Every bug that is planted is caught; a check switched off lets some through; what survives the sweep is explained."""

import io

import numpy as np
import pytest
from rich.console import Console

from rnn_from_scratch import backends, cells
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify import equations, mutants
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem
from rnn_from_scratch.verify.mutants import sweep
from rnn_from_scratch.verify.mutants.harmless import HARMLESS

from ..helpers.sample import drawn


@pytest.mark.parametrize("name", CELLS)
def test_the_equations_give_what_forward_gives(name):
    for situation in SITUATIONS:
        p = problem(CELLS[name], situation)
        y, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
        truth = equations.run(p.cell, p.params, p.x, **p.options)
        assert error(y, truth.y) <= 1e-14, situation
        assert all(error(a, truth.states[s]) <= 1e-14 for s, a in zip(p.cell.states, tape.states)), situation


def test_the_list_is_long_and_fits_the_files():
    assert len(mutants.PLANTED) >= 40
    assert len({m.what + m.file for m in mutants.PLANTED}) == len(mutants.PLANTED)
    assert {m.file for m in mutants.PLANTED} == set(sweep.FILES)
    for mutant in mutants.PLANTED:
        assert (mutants.PACKAGE / mutant.file).read_text(encoding="utf-8").count(mutant.before) == 1, mutant.what
        assert mutant.before != mutant.after


@pytest.mark.check
def test_some_of_the_list_are_caught_and_a_check_switched_off_lets_one_through():
    some = [m for m in mutants.PLANTED if m.what.startswith(("(1 - z) is missing", "unheard dy", "hard_sigmoid with the offset"))]
    assert [v.check for v in mutants.run(some)] == ["equations", "gradcheck", "invariants"]
    assert [v.check for v in mutants.run(some[1:2], checks=("equations", "invariants"))] == [""]


@pytest.mark.check
def test_every_planted_bug_is_caught():
    text = io.StringIO()
    assert mutants.report(Console(file=text, width=200)), text.getvalue()
    assert f"{len(mutants.PLANTED)} of {len(mutants.PLANTED)} planted bugs caught" in text.getvalue()
    assert "SURVIVED" not in text.getvalue()


def test_the_report_says_what_survived(monkeypatch):
    monkeypatch.setattr(mutants, "PLANTED", [m for m in mutants.PLANTED if "(1 - z)" in m.what])
    text = io.StringIO()
    assert not mutants.report(Console(file=text, width=200), checks=("equations",))
    assert text.getvalue().count("SURVIVED") == 2
    assert "0 of 2 planted bugs caught. The same bugs, as others check: constant weights: 0; one direction: 2" in text.getvalue()


def test_a_mutant_that_does_not_fit_and_a_check_that_fails_anyway(monkeypatch):
    with pytest.raises(ValueError, match=r"mutant 'x': expected its text once in bptt.py, found it 0 times"):
        list(mutants.run([mutants.Mutant("x", "bptt.py", "no such text", "")]))
    bug = next(m for m in mutants.PLANTED if "(1 - z)" in m.what)
    monkeypatch.setattr(mutants, "NOTHING", bug)
    with pytest.raises(ValueError, match=r"mutants: gradcheck fails with nothing planted: bx\[n\] in GRU reset after, plain"):
        list(mutants.run([]))


def test_a_mutant_that_cannot_run_or_be_imported_is_caught():
    crash = mutants.Mutant("crash", "cells/lstm.py", "tau = phi(c)\n", "tau = phi(c) / none\n")
    broken = mutants.Mutant("broken", "cells/lstm.py", "from typing import ClassVar", "from typing import ClassVariable")
    found = list(mutants.run([crash, broken]))
    assert [v.check for v in found] == ["gradcheck", "import"]
    assert "NameError" in found[0].found
    assert "ImportError" in found[1].found


def test_the_package_itself_is_left_alone():
    before = {path: path.read_bytes() for path in mutants.PACKAGE.rglob("*.py")}
    assert [v.check for v in mutants.run([mutants.PLANTED[0]])] == ["gradcheck"]
    assert {path: path.read_bytes() for path in mutants.PACKAGE.rglob("*.py")} == before
    assert np.array_equal(cells.activations.ACTIVATIONS["tanh"].derivative(np.array([0.5])), [0.75])


def test_the_sweep_changes_every_kind_of_thing():
    found = list(sweep.generate())
    assert len(found) > 800
    assert {m.file for m in found} == set(sweep.FILES)
    lines = {m.what for m in found}
    for what in (
        "LSTM.backward: dc = dc - dh * o * phi_derivative(tau)",  # an operator
        "LSTM.backward: dc = (dh * o * phi_derivative(tau))",  # without a term
        "LSTM.backward: dao = (dh) * sigma_derivative(o)",  # without a factor
        "LSTM.backward: dc_prev = -(dc * f)",  # a sign
        "LSTM.backward: i, g, f, o = saved",  # an order
        "GRU.backward: q = saved[2]",  # an index
        "GRU.backward: dan = dh * (0 - z) * phi_derivative(n)",  # a number
        "ACTIVATIONS: \"relu\": Activation(relu, lambda y: one_where(y >= 0, y)),",  # a comparison
        "backward: dp_sum = [np.where(m, value, 0).sum(0) for value in dp]",  # a sum
    ):
        assert what in lines, what


@pytest.mark.check
def test_what_survives_the_sweep_is_explained():
    tried = drawn(list(sweep.generate()))
    verdicts = sweep.sweep(tried)
    print(sweep.summary(verdicts))
    names = {f"{m.file} {m.what}" for m in tried}
    survivors = {f"{v.mutant.file} {v.mutant.what}" for v in verdicts if not v.check}
    assert not survivors - set(HARMLESS), "survivors without a reason in mutants/harmless.py"
    assert not (set(HARMLESS) & names) - survivors, "reasons for mutants that do not survive"
