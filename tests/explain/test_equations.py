"""The equations of every cell: LaTeX that compiles, that evaluates to the numbers of the cell, and that a slip in its file changes."""

import importlib.util
import inspect
import re

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

from rnn_from_scratch import cells, cli
from rnn_from_scratch.cells.activations import ACTIVATIONS
from rnn_from_scratch.explain.equations import SLOPES, as_latex, equations, handed_back, lines_of, of_lines
from rnn_from_scratch.verify.cases import CELLS

from .test_watch import done

NEXT = r"^{\mathrm{next}}"


def symbols(cell, phase, names):
    """LaTeX symbol -> the array that it stands for, of what a phase begins with; made here by hand, not by the writer."""
    found, gates = {}, [cell.gates[g] for g in cell.phases[phase]]
    for name, value in names.items():
        stem = name.removesuffix("_prev")
        if name in ("xg", "hg"):
            for gate, part in zip(gates, value):
                found[rf"\hat{{{name[0]}}}" + (f"^{{{gate}}}_t" if len(cell.gates) > 1 else "_t")] = part
        elif name in ("s_prev", "saved"):
            kinds = [f"{state}_{{t-1}}" for state in cell.states] if name == "s_prev" else [f"{gate}_t" for gate in cell.saved]
            found |= dict(zip(kinds, value))
        elif stem in (*cell.states, *cell.saved):
            found[f"{stem}_{{t-1}}" if stem != name else f"{stem}_t"] = value
        elif name[:2] == "p_":
            found[f"p_{{{name[2:]}}}"] = value
        elif name in ("dh", "dc", "dm"):
            found[rf"\delta {name[1]}_t"] = found[rf"\delta {name[1]}_t{NEXT}"] = value
    return found


def evaluated(latex, known, cell):
    """The right side of an equation, by Python."""
    phi, sigma = (ACTIVATIONS[getattr(cell, kind, "sigmoid")] for kind in ("activation", "recurrent_activation"))
    functions = {r"\phi'": phi.derivative, r"\phi": phi.f, r"\sigma'": sigma.derivative, r"\sigma": sigma.f}
    text, values = latex.partition(" &= ")[2].replace(r"\odot", "*"), {}
    for sign, value in [*sorted(known.items(), key=lambda row: -len(row[0])), *functions.items()]:
        name = f"V{len(values)}_"
        text, values[name] = text.replace(sign, name), value
    assert "\\" not in text
    return eval(text, values)


@pytest.mark.parametrize("name", CELLS)
def test_every_line_evaluates_to_the_cell(name):
    cell, checked = CELLS[name], 0
    for seed in range(5):
        run = done(cell, seed)
        for step in range(1, 5):
            told = [*run.forward[step], *run.backward[step]]
            parts = {}
            for n, phase in enumerate(told):
                known = {}
                for line in of_lines(cell, phase):
                    known = {**known, **symbols(cell, phase.phase, line.assignment.before), **parts}
                    made = evaluated(line.latex, known, cell)
                    assert np.abs(made - line.assignment.value).max() <= 1e-12
                    parts[line.latex.partition(" &= ")[0]] = made
                    checked += 1
                parts = parts if n + 1 >= len(run.forward[step]) else {}
            if not run.tape.go_backwards:
                dh = backs(cell, run, step, parts)
                assert np.abs(dh - run.arriving[step - 1][0]).max() <= 1e-12
    assert checked >= 5 * 4 * 3


def backs(cell, run, step, parts):
    """dh_prev, by the line that adds what comes back through Wh."""
    line = [made for phase in run.backward[step] for made in handed_back(cell, phase, [])][-1]
    gradients = [row for phase in run.backward[step] if phase.phase == 0 for row in handed_back(cell, phase, []) if row.name == "dxg"]
    names = re.search(r"\((.*)\)", gradients[-1].latex)[1].split(", ")
    Wh = run.tape.params["Wh"][:, : len(names) * len(run.tape.params["Wh"])]
    assert re.search(r"\\delta h_\{t-1\} &= .*\(W_h.*\)\^\{T\}$", line.latex)
    own = sum(value for sign, value in parts.items() if sign.startswith(r"\delta h_{t-1}^{("))
    return own + np.concatenate([np.broadcast_to(parts[sign], own_shape(run)) for sign in names], axis=1) @ Wh.T


def own_shape(run):
    return 1, run.y.shape[2]


def forms():
    return {**cells.forms(), "no bias": cells.SimpleRNN(use_bias=False)}


@pytest.mark.parametrize("name", forms())
def test_every_line_compiles(name):
    parser = MathTextParser("path")
    for lines in lines_of(forms()[name]).values():
        for line in lines:
            assert line.count("&") == 1
            parser.parse(f"${line.replace('&', '')}$")


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_those_of_the_activations(name):
    y = ACTIVATIONS[name].f(np.linspace(-7, 7, 101))
    text = SLOPES[name].replace("y (", "y * (").replace("^{2}", "**2")
    parts = re.split(r" \\; ", text)
    if len(parts) == 1:
        made = eval(text, {"y": y}) + 0 * y
    else:
        inside = (y > 0) & (y < 1) if "< 1" in text else y > 0
        made = np.where(inside, eval(parts[0].strip(",")), 0)
    assert np.abs(made - ACTIVATIONS[name].derivative(y)).max() < 1e-15


SLIPS = [
    ("        c = f * c_prev + i * g", "        c = f * c_prev - i * g", "forward", 1),
    ("h = o * phi(c)\n        return", "h = o * sigma(c)\n        return", "forward", 1),
    ("        dai = dc * g *", "        dai = dc * i *", "backward", 1),
    ("dc = dc + dh * o", "dc = dh * o", "backward", 1),
    ("ai, af, ag, ao = xg + hg", "af, ai, ag, ao = xg + hg", "forward", 2),
]


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip[1][:25])
def test_a_slip_in_the_file_changes_its_line(slip, tmp_path):
    old, new, way, lines = slip
    text = inspect.getsource(inspect.getmodule(cells.LSTM))
    assert text.count(old) == 1
    file = tmp_path / "slipped.py"
    file.write_text(text.replace(old, new).replace("from .activations", "from rnn_from_scratch.cells.activations")
                    .replace("from ..typing", "from rnn_from_scratch.typing"), encoding="utf-8")  # fmt: skip
    spec = importlib.util.spec_from_file_location("slipped", file)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["slipped"] = module
    try:
        spec.loader.exec_module(module)
        right, wrong = (getattr(equations(cell), way) for cell in (cells.LSTM(), module.LSTM()))
    finally:
        del sys.modules["slipped"]
    assert len(right) == len(wrong)
    assert sum(a.latex != b.latex for a, b in zip(right, wrong)) == lines


@pytest.mark.parametrize("name", cells.CELLS)
def test_the_command(name, capsys):
    assert cli.main(["equations", name]) == 0
    out = capsys.readouterr().out
    assert out == as_latex(cells.by_name(name)) + "\n"
    assert out.count(r"\begin{aligned}") == out.count(r"\end{aligned}") == 3
    assert cli.main(["equations", name, "--text"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("forward\n    ")
    assert max(map(len, out.splitlines())) <= 80


def test_the_other_gru(capsys):
    assert cli.main(["equations", "gru", "--reset-before", "--activation", "relu"]) == 0
    out = capsys.readouterr().out
    assert r"m_t &= r_t \odot h_{t-1}" in out
    assert r"\phi'(y) &= 1 \; (y > 0)" in out


WRONG = {
    "lstm --latex --text": "--latex and --text: expected one of them",
    "lstm --reset-before": "--reset-before: lstm has no reset gate; leave it out",
    "lsmt": "cell: expected one of ",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_use_is_one_line(line, capsys):
    assert cli.main(["equations", *line.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {WRONG[line]}")
    assert said.count("\n") == 1
