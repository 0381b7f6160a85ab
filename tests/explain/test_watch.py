"""The lines that ran are those of the file, each with the numbers that NumPy had there."""

import inspect
import math
import sys

import numpy as np
import pytest

from rnn_from_scratch import backends, cells, init_params
from rnn_from_scratch.cells.activations import ACTIVATIONS
from rnn_from_scratch.explain.steps import loss_gradient, steps
from rnn_from_scratch.explain.watch import number, watch, with_numbers
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS

T, INPUTS, H = 5, 2, 3


def done(cell, seed=0, loss=None, **options):
    rng = np.random.default_rng(seed)
    params = {name: a + 0.1 * rng.standard_normal(a.shape) for name, a in init_params(cell, INPUTS, H, seed, "float64").items()}
    x = rng.standard_normal((1, T, INPUTS))
    return steps(cell, params, x, *loss_gradient(cell, (T, H), loss or {"state": cell.states[-1], "unit": 1}), **options)


def told(told_steps):
    return [(t, line) for t, step in enumerate(told_steps) for phase in step for line in phase.lines]


@pytest.mark.parametrize("name", CELLS)
def test_every_right_side_with_its_numbers_gives_the_number_made(name):
    """The text is evaluated again with plain floats: it equals what the line assigned."""
    cell, checked = CELLS[name], 0
    phi, sigma = (ACTIVATIONS[getattr(cell, kind, "sigmoid")] for kind in ("activation", "recurrent_activation"))
    made = {"phi": phi.f, "sigma": sigma.f, "phi_derivative": phi.derivative, "sigma_derivative": sigma.derivative}
    for seed in range(5):
        run = done(cell, seed)
        for _, line in told(run.forward) + told(run.backward):
            for a in line.assignments:
                value = eval(a.text, {}, {**a.before, **{k: v for k, v in made.items() if k in a.text}})
                assert error(value, a.value) <= 1e-15, (line.code, a.name)
                checked += 1
    assert checked >= 5 * T * 3


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("go_backwards", [False, True])
def test_the_lines_make_the_tape_and_the_gradients(name, go_backwards):
    cell, after = CELLS[name], 0 if go_backwards else 1
    run = done(cell, 3, go_backwards=go_backwards)
    for t in range(T):
        rows = {a.name: a.value for phase in run.forward[t] for line in phase.lines for a in line.assignments}
        for k, gate in enumerate(cell.saved):
            assert np.array_equal(rows[gate], run.tape.saved[:, t, k])
        for k, state in enumerate(cell.states):
            assert np.array_equal(rows[state], run.tape.states[k][:, t + after])
        back = {a.name: a.value for phase in run.backward[t] for line in phase.lines for a in line.assignments}
        if cell.gates == ("h",):
            back = {"dah": back["da"]}
        dxg = np.concatenate([back[f"da{gate}"] for gate in cell.gates], axis=1)
        assert error(dxg @ run.tape.params["Wx"].T, run.gradients.x[:, t]) <= 1e-14


def test_lines_and_comments_are_those_of_the_file():
    for cell in cells.forms().values():
        text = inspect.getsource(sys.modules[type(cell).__module__]).splitlines()
        run = done(cell)
        for _, line in told(run.forward) + told(run.backward):
            assert text[line.number - 1].strip() == line.code + (f"  # {line.comment}" if line.comment else "")


def test_returns_subscripts_and_both_values_of_dc():
    run = done(cells.GRU())
    first = [a for phase in run.forward[2] for line in phase.lines for a in line.assignments]
    assert [f"{a.name} = {a.text}" for a in first] == [
        *("z = sigma(xg[0] + hg[0])", "r = sigma(xg[1] + hg[1])", "q = hg[2]"),
        *("n = phi(xg[2] + r * q)", "h = z * h_prev + (1 - z) * n"),
    ]
    assert number(first[0].before["xg"][0], 1) != number(first[0].before["hg"][0], 1)
    run = done(cells.LSTM())
    (dc,) = [a for _, line in told(run.backward[2:3]) for a in line.assignments if a.name == "dc"]
    assert dc.before["dc"] is not dc.value and number(dc.before["dc"], 0) == number(run.arriving[2][1], 0) != number(dc.value, 0)
    text = with_numbers(dc, 0)
    assert text.startswith(f"{number(dc.before['dc'], 0):.4g} + ") and text.count("phi_derivative") == 1 and "dc" not in text


def test_a_line_that_changes_an_array_in_place_keeps_both_values():
    class Mine:
        gates, states, saved, extras, shared, phases = ("h",), ("h",), (), (), True, ((0,),)

        def forward(self, k, xg, hg, s_prev, saved, p):
            a = np.multiply(
                xg[0],
                1.0,
            )
            a += hg[0]
            return (np.tanh(a) * 0.5,), ()

        def backward(self, k, d, saved, s_prev, s, p):
            da = d[0] * (0.5 - 2 * s[0] ** 2)
            return (da,), (da,), (0.0,), ()

    run = done(Mine())
    lines = [a for _, line in told(run.forward[:1]) for a in line.assignments]
    assert [(a.name, a.text) for a in lines] == [("a", "np.multiply(xg[0], 1.0)"), ("a", "a + hg[0]"), ("h", "np.tanh(a) * 0.5")]
    assert np.array_equal(lines[1].before["a"] + lines[1].before["hg"][0], lines[1].value)
    params = run.tape.params
    y, _, _ = backends.forward(Mine(), params, run.tape.x)
    assert np.array_equal(y, run.y)


def test_an_object_without_source_runs_and_tells_no_lines():
    names = {"np": np}
    text = "def forward(self, k, xg, hg, s_prev, saved, p):\n    return (np.tanh(xg[0] + hg[0]),), ()\n"
    exec(text, names)
    cell = type("Typed", (), {"forward": names["forward"], "gates": ("h",), "states": ("h",), "saved": (), "phases": ((0,),)})()
    result, lines = watch(cell, "forward", 0, np.ones((1, 1, 1)), np.ones((1, 1, 1)), (), (), ())
    assert lines == [] and float(result[0][0][0, 0]) == math.tanh(2)


def test_what_watched_before_watches_again():
    before = sys.gettrace()
    done(cells.LSTM())
    assert sys.gettrace() is before
    with pytest.raises(ValueError):
        watch(cells.LSTM(), "forward", 0, np.ones((3, 1, 1)), np.ones((3, 1, 1)), (0, 0), (), ())
    assert sys.gettrace() is before
