"""The figures of `plot`: what they show is what was measured another way; files, formats, refusals."""

import csv
import itertools
import re

import numpy as np
import pytest
from matplotlib.text import Text

from rnn_from_scratch import backends, cells, cli
from rnn_from_scratch.explain import plot as command
from rnn_from_scratch.explain import subject as subjects
from rnn_from_scratch.explain.figures import Sheet, memory, reaches, spectrum
from rnn_from_scratch.explain.unroll import unroll

from ..helpers.digit_runs import KERAS_SAVES

FORMS = cells.forms()


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", FORMS)
def test_jacobians_are_complex_step_derivatives(name):
    for seed in range(5):
        subject = subjects.of_cell(FORMS[name], 3, 6, seed)
        cell, tape, S = subject.cell, subjects.run(subject), len(FORMS[name].states)
        start, steps = 1, 4
        found = subjects.jacobian(subject, start, steps)
        params = {key: a.astype(complex) for key, a in subject.params.items()}
        for k, unit in itertools.product(range(S), range(3)):
            state = [s[:, start].astype(complex) for s in tape.states]
            state[k][0, unit] += 1e-30j
            x = subject.x[:, start : start + steps].astype(complex)
            end = backends.reference.forward(cell, params, x, tuple(state), None, False, False, None, None, False)[1]
            column = np.concatenate([s[0].imag / 1e-30 for s in end])
            assert np.abs(found[:, k * 3 + unit] - column).max() < 1e-13


@pytest.mark.parametrize("name", FORMS)
def test_what_a_unit_keeps_is_its_gate(name):
    """f of an LSTM, 1 - i of the coupled one, z of a GRU; nothing of a plain RNN. A peephole adds its own way."""
    subject = subjects.of_cell(FORMS[name], 3, 6, 1)
    tape = subjects.run(subject)
    if getattr(subject.cell, "extras", ()):
        subject.params["p"][:] = 0
        tape = subjects.run(subject)
    share, gates = subjects.kept(subject, tape), subject.cell.gates
    if "f" in gates or "z" in gates:
        assert np.abs(share - tape.gate("f" if "f" in gates else "z")[0]).max() < 1e-15
    elif "i" in gates:
        assert np.abs(share - (1 - tape.gate("i")[0])).max() < 1e-15
    else:
        assert not share.any()


def test_reach_is_one_call_of_backward():
    for name, seed in itertools.product(FORMS, range(2)):
        subject = subjects.of_cell(FORMS[name], 4, 7, seed)
        norms = subjects.reach(subject, seed)
        dh = np.random.default_rng(seed).standard_normal((1, 4)) / 2
        whole = backends.backward(subjects.run(subject), None, (dh, *(None for _ in subject.cell.states[1:]))).initial_state
        assert norms[-1] == pytest.approx(np.linalg.norm(dh))
        assert norms[0] == pytest.approx(np.sqrt(sum((a**2).sum() for a in whole)), rel=1e-12)


def test_a_half_life_is_known():
    """With a forget gate that is always 1/2 the half-life is one step."""
    subject = subjects.of_cell(cells.LSTM(), 3, 20, 0)
    subject.params["b"].reshape(4, 3)[1] = 0
    for name in ("Wx", "Wh"):
        subject.params[name][:] = 0
    rows = memory(Sheet(), subject)[1]
    assert [row[1] for row in rows[1:]] == pytest.approx([1, 1, 1])


def test_a_spectrum_of_a_linear_network_is_that_of_Wh():
    """Over any number of steps each eigenvalue is a power: as a factor a step it has the same size."""
    subject = subjects.of_cell(cells.SimpleRNN(activation="linear"), 5, 60, 0)
    rows = spectrum(Sheet(), subject, 0)[1][1:]
    sizes = {name: sorted(abs(complex(a, b)) for what, a, b in rows if what == name) for name in {row[0] for row in rows}}
    assert set(sizes) == {"Wh of h", "1 steps", "10 steps", "50 steps"}
    for found in sizes.values():
        assert found == pytest.approx(sizes["Wh of h"], rel=1e-4)


def texts(figure):
    """The boxes of all texts that are drawn, in pixels. A tick outside of its axis has a text, too, but nobody draws it."""
    drawn, draw = [], Text.draw

    def record(text, renderer, *more):
        drawn.append(text)
        draw(text, renderer, *more)

    figure.draw_without_rendering()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)
        figure.draw_without_rendering()
    return [(text.get_text(), text.get_window_extent()) for text in dict.fromkeys(drawn) if text.get_text().strip() and text.get_visible()]


@pytest.mark.check
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", command.KINDS)
def test_no_label_lies_on_another(kind, wide, tmp_path, monkeypatch):
    """And on a slide no type is below 15 points."""
    kept = []
    monkeypatch.setattr(command, "save", lambda figure, path: kept.append((texts(figure), figure)))
    for name in ("lstm", "gru"):
        assert cli.main(["plot", kind, name, "--out", str(tmp_path / "a.png"), *["--wide"] * wide]) == 0
    for shown, figure in kept:
        for (one, a), (other, b) in itertools.combinations(shown, 2):
            across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across < 1 or down < 1, (one, other)
        width, height = figure.get_size_inches() * figure.dpi
        for one, box in shown:
            assert box.x0 > -2 and box.x1 < width + 2 and box.y0 > -2 and box.y1 < height + 2, one


@pytest.mark.check
@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_bytes_twice(suffix, tmp_path, capsys):
    files = [tmp_path / f"{n}.{suffix}" for n in range(2)]
    for file in files:
        assert cli.main(["plot", "gates", "lstm", "--out", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    if suffix == "svg":
        assert "<text" in files[0].read_text(encoding="utf-8")


def test_numbers_and_the_default_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plot", "reach", "--csv", "a.csv"]) == 0
    rows = table("a.csv")
    assert rows[0] == ["steps back", *cells.CELLS, "relu"]
    assert [float(v) for v in rows[-1][1:]] != []
    assert (tmp_path / "reach.svg").exists()
    assert cli.main(["plot", "reach"]) == 2
    assert capsys.readouterr().err == "error: reach.svg: is here already; --out reach.svg writes it again\n"


@pytest.mark.check
def test_a_film(tmp_path, capsys):
    from PIL import Image

    assert cli.main(["plot", "unroll", "gru", "--steps", "3", "--out", str(tmp_path / "a.gif"), "--csv", str(tmp_path / "a.csv")]) == 0
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 6
    assert [row[0] for row in table(tmp_path / "a.csv")] == ["step", "0", "1", "2"]


def test_the_numbers_of_unroll_are_those_of_backward():
    subject = subjects.of_cell(cells.LSTM(), 2, 5, 3)
    rows = unroll(Sheet(), subject, 1)[1]
    tape = subjects.run(subject)
    assert [row[2:4] for row in rows[1:]] == [[float(s[0, t + 1, 1]) for s in tape.states] for t in range(5)]
    dc = np.eye(2)[1:]
    for t in range(4):  # the rest of the sequence, back to the states after step t
        part = backends.forward(subject.cell, subject.params, subject.x[:, t + 1 :], tuple(s[:, t + 1] for s in tape.states))[2]
        back = backends.backward(part, None, (None, dc)).initial_state
        assert rows[t + 1][4:] == pytest.approx([float(a[0, 1]) for a in back], abs=1e-15)
    assert rows[5][4:] == [0, 1]


@pytest.mark.check
@pytest.mark.parametrize(
    ("of", "option"),
    [
        *((["gates", "lstm"], option) for option in ("--units 3", "--steps 5", "--seed 1", "--activation relu")),
        (["gates", "gru"], "--reset-before"),
        (["spectrum", "gru"], "--step 3"),
        (["unroll", "lstm"], "--unit 1"),
    ],
)
def test_an_option_changes_the_numbers(of, option, tmp_path, capsys):
    for name, more in (("a", []), ("b", option.split())):
        assert cli.main(["plot", *of, *more, "--out", str(tmp_path / f"{name}.png"), "--csv", str(tmp_path / f"{name}.csv")]) == 0
    assert table(tmp_path / "a.csv") != table(tmp_path / "b.csv")


WRONG = {
    "gate lstm": "plot: expected one of gates, reach, spectrum, saturation, memory, unroll, attention, embedding, sharpness, got gate",
    "attention": "plot attention: of what? rnn-from-scratch plot attention RUN_DIR",
    "attention lstm": "lstm: no such run directory",
    "embedding lstm": "lstm: no such run directory",
    "sharpness lstm": "lstm: no such run directory",
    "embedding runs/none --wide": "--wide: embedding has one form; leave it out",
    "attention runs/none --seed 3": "--seed: attention draws nothing at random; leave it out",
    "gates lstm --text a": "--text: only attention has it; leave it out",
    "gates": "plot gates: of what? rnn-from-scratch plot gates CELL, or a run directory",
    "gates lsmt": "cell: expected one of ",
    "gates runs/none": "runs/none: no such run directory",
    "gates lstm --out a.jpg": "--out a.jpg: expected a name that ends in one of svg, png, pdf",
    "gates lstm --out a.gif": "--out a.gif: expected a name that ends in one of svg, png, pdf",
    "gates lstm --out none/a.png": "--out none/a.png: no such folder: none",
    "gates lstm --unit 1": "--unit: only unroll has it; leave it out",
    "unroll lstm --unit 7": "--unit: expected 0 to 1, got 7",
    "unroll lstm --steps 20": "unroll: expected at most 8 steps, got 20; --steps 8, or a cell instead of a run",
    "spectrum lstm --step 99": "--step: expected 0 to 59, got 99",
    "memory simple_rnn": "memory: expected a cell with a gate that keeps its state, got ",
    "saturation simple_rnn": "saturation: expected a cell with gates, or relu units, got ",
    "gates lstm --layer 1": "--layer: a cell is one layer; leave it out",
    "reach --units 3": "--units: reach without a cell compares all of them; leave it out",
    "gates lstm --reset-before": "--reset-before: lstm has no reset gate; leave it out",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_use_is_one_line(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plot", *line.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {WRONG[line]}")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_trained_beside_fresh():
    subject = subjects.of_cell(cells.GRU(), 4, 9, 0)
    named = {"trained": subject, "at the start": subjects.at_start(subject, 1)}
    rows = reaches(Sheet(), named, "x", 0)[1]
    assert rows[0] == ["steps back", "trained", "at the start"]
    assert len(rows) == 11
    assert rows[1][1] == pytest.approx(rows[1][2])
    assert abs(rows[9][1] - rows[9][2]) > 0


@pytest.mark.check
@pytest.mark.filterwarnings(KERAS_SAVES)
def test_of_a_run(tmp_path, capsys):
    from rnn_from_scratch.tasks import training

    training.train("series", tmp_path / "mine", epochs=1, units=4, batch_size=2, cell="gru")
    for kind in ("gates", "reach", "spectrum", "saturation", "memory"):
        out = tmp_path / f"{kind}.svg"
        assert cli.main(["plot", kind, str(tmp_path / "mine"), "--out", str(out)]) == 0
        assert re.search(r"mine: GRU", out.read_text(encoding="utf-8"))
    assert cli.main(["plot", "gates", str(tmp_path / "mine"), "--layer", "3", "--out", str(tmp_path / "x.svg")]) == 2
    assert "--layer: expected 0 to 0, got 3" in capsys.readouterr().err
