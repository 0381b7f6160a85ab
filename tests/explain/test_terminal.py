"""rnn-from-scratch explain CELL --terminal"""

import numpy as np
import pytest

from rnn_from_scratch import cells, cli
from rnn_from_scratch.backends import forward
from rnn_from_scratch.explain.example import example


@pytest.mark.parametrize("name", cells.CELLS)
@pytest.mark.parametrize(("step", "unit"), [(0, 0), (3, 1), (11, 3)])
def test_lines_of_a_step_fit_the_terminal_and_end_in_the_states(capsys, name, step, unit):
    assert cli.main(["explain", name, "--terminal", "--step", str(step), "--unit", str(unit)]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert f"step {step} of 0 to 11, unit {unit} of 0 to 3: cells/{name}.py" in shown
    e = example(cells.by_name(name))
    y, _, _ = forward(e.cell, e.params, e.x, backend="reference")
    forward_lines = " ".join(shown.split("\nbackward")[0].split())
    assert f"= {y[0, step, unit]:.4g}" in forward_lines.rsplit(" h = ", 1)[1]


def test_a_gru_says_the_form_and_the_phase(capsys):
    assert cli.main(["explain", "gru", "--reset-before", "--terminal"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("GRU reset before, ") and "\nforward, phase 0\n" in shown and "\nbackward, phase 1\n" in shown
    assert "operand = " in shown


def test_the_number_shown_is_that_of_the_unit(capsys):
    e = example(cells.LSTM(), units=3, steps=6)
    _, _, tape = forward(e.cell, e.params, e.x, backend="reference")
    for unit in range(3):
        assert cli.main(["explain", "lstm", "--units", "3", "--steps", "6", "--step", "2", "--unit", str(unit), "--terminal"]) == 0
        shown = capsys.readouterr().out
        assert f"= {tape.gate('f')[0, 2, unit]:.4g}\n" in shown and f"c = {tape.states[1][0, 2, unit]:.4g};" in shown
    assert len(np.unique(tape.gate("f")[0, 2])) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["lstn"], "cell: expected one of simple_rnn, lstm, "),
        (["lstm", "--step", "12"], "--step: expected 0 to 11, since there are --steps 12, got 12"),
        (["lstm", "--unit", "4"], "--unit: expected 0 to 3, since there are --units 4, got 4"),
        (["lstm", "--reset-before"], "--reset-before: lstm has no reset gate; leave it out"),
        (["lstm", "--activation", "tan"], "activation: expected one of tanh, "),
    ],
)
def test_wrong_use_is_one_line(capsys, given, said):
    assert cli.main(["explain", *given, "--terminal"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1
