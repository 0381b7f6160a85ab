"""The cells in JavaScript and the cells in NumPy give the same numbers, forward and backward."""

import json
import re

import numpy as np
import pytest

from rnn_from_scratch import cells
from rnn_from_scratch.measure import EXACT

from ..helpers import javascript, mutate_javascript
from ..helpers.twin_cases import MAIN, every_cell, problem, worst

TEXT = javascript.sources("cells.js", "loop.js")
EVERY = every_cell()
SITUATIONS = {  # T, inputs, units, masked, go_backwards
    "one step": (1, 2, 3, False, False),
    "seven steps": (7, 3, 5, False, False),
    "seven steps, masked": (7, 1, 4, True, False),
    "seven steps, masked, backwards": (7, 2, 1, True, True),
    "a hundred steps, backwards": (100, 1, 3, False, True),
}
STACKS = {
    "three forward": ([False] * 3, False),
    "three, the middle backwards, masked": ([False, True, False], True),
    "three, all backwards, masked": ([True] * 3, True),
}


@pytest.mark.parametrize("situation", [pytest.param(name, marks=pytest.mark.check) if "hundred" in name else name for name in SITUATIONS])
def test_every_cell_with_every_activation(situation):
    T, inputs, units, masked, back = SITUATIONS[situation]
    problems = {label: problem([(cell, back)], T, inputs, units, masked, seed) for seed, (label, cell) in enumerate(EVERY.items())}
    answers = javascript.call(TEXT + MAIN, [asked for asked, _ in problems.values()])
    errors = {label: worst(answer, truth, units) for (label, (_, truth)), answer in zip(problems.items(), answers)}
    assert {label: e for label, e in errors.items() if not e[0] <= EXACT} == {}
    assert len(errors) == len(EVERY) >= 55


@pytest.mark.parametrize("engine", javascript.ENGINES or ["none"])
def test_every_engine_that_is_here(engine):
    asked, truth = problem([(cells.GRU(reset_after=False), True)], 7, 2, 3, True)
    (answer,) = javascript.call(TEXT + MAIN, [asked], engine)
    assert worst(answer, truth, 3)[0] <= EXACT


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("T", [1, 7, pytest.param(100, marks=pytest.mark.check)])
def test_three_layers_upon_each_other(stack, T):
    directions, masked = STACKS[stack]
    forms = list(cells.forms().values())
    problems = [
        problem([(forms[(n + k) % len(forms)], back) for k, back in enumerate(directions)], T, 2, 3, masked, n) for n in range(len(forms))
    ]
    answers = javascript.call(TEXT + MAIN, [asked for asked, _ in problems])
    errors = [worst(answer, truth, 3) for (_, truth), answer in zip(problems, answers)]
    assert max(errors)[0] <= EXACT, errors


def test_the_twins_declare_what_the_cells_declare():
    text = TEXT + "function main() { return Object.fromEntries(Object.keys(CELLS).map((name) => "
    found = javascript.call(text + "[name, [true, false].map((reset_after) => CELLS[name]({ reset_after }))])); }", None)
    assert list(found) == list(cells.CELLS)
    for name, kind in cells.CELLS.items():
        for twin, options in zip(found[name], ({"reset_after": True}, {"reset_after": False})):
            cell = kind(**options) if hasattr(kind, "reset_after") else kind()
            for field in ("gates", "states", "saved", "extras", "shared", "phases"):
                assert twin[field] == json.loads(json.dumps(getattr(cell, field))), (name, field)


def test_the_backward_lines_say_what_they_undo_in_the_same_words():
    """Each line of backward with a comment stands in the JavaScript file too, with phi.derivative for phi_derivative."""
    import inspect
    import sys

    ours = javascript.sources("cells.js")
    for kind in cells.CELLS.values():
        text = inspect.getsource(sys.modules[kind.__module__])
        lines = re.findall(r"^ +(d\w+ = .*?)  # (.*)$", text, re.M)
        assert lines
        for code, comment in lines:
            code = code.replace("_derivative(", ".derivative(").replace(
                "(dai * c_prev, daf * c_prev, dao * c)", "[dai * c_prev, daf * c_prev, dao * c]"
            )
            assert f"{code};  // {comment}" in ours, code


def test_nothing_of_a_masked_step_is_seen():
    for seed in range(3):
        asked, truth = problem([(cells.LSTM(), False)], 7, 2, 3, True, seed)
        (answer,) = javascript.call(TEXT + MAIN, [asked])
        assert worst(answer, truth, 3)[0] <= EXACT
        assert not any(isinstance(v, str) or v is None for values in answer.values() for v in values)
        assert np.any(np.array(asked["x"], object) == None)  # noqa: E711


@pytest.mark.check
@pytest.mark.parametrize(("name", "least"), [("cells.js", 50), ("loop.js", 60)])
def test_every_operator_and_index_is_broken_once_and_noticed(name, least):
    every, text = {mutant.line for mutant in mutate_javascript.mutants(name)}, javascript.sources(name).splitlines()
    computing = [n for n, line in enumerate(text, 1) if re.search(r"^ .*( [*+/-] |\.f\(|derivative\()", line.split("//")[0])]
    assert len(computing) > least and set(computing) <= every, set(computing) - every
    assert mutate_javascript.survivors(name) == []
