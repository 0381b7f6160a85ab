"""What an interpreter echoes and a notebook shows: one line or a table, never arrays; print shows the whole text."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from rnn_from_scratch import backward, cells, forward, gradcheck, init_params, shown
from rnn_from_scratch.verify import check_function, parity

NOTEBOOK = Path(__file__).with_name("reports.ipynb")
SHAPES = [(2, 4, 3, 5), (1, 1, 1, 1), (3, 30, 7, 40)]


class Wrong(cells.LSTM):
    def backward(self, *args):
        (dai, daf, dag, dao), _, ds_prev, dp = super().backward(*args)
        return (dai, -daf, dag, dao), (dai, -daf, dag, dao), ds_prev, dp


def run(cell, shape, seed=0, **options):
    B, T, I, H = shape
    x = np.random.default_rng(seed).standard_normal((B, T, I)).astype("float32")
    y, _, tape = forward(cell, init_params(cell, I, H, seed), x, **options)
    return tape, backward(tape, np.ones_like(y))


def parsed(html):
    """The elements of a piece of HTML, which is XML here: nothing in it is left unescaped."""
    return ElementTree.fromstring(f"<div>{html}</div>")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", cells.forms())
def test_tapes_and_gradients_show_shapes(form, shape):
    B, T, I, H = shape
    cell = cells.forms()[form]
    tape, grads = run(cell, shape)
    for made in (tape, grads):
        assert len(repr(made)) <= 250 and "array(" not in repr(made) and "\n" not in repr(made)
        assert str(made) == repr(made)
        assert len(parsed(made._repr_html_()).findall(".//tr")) >= 3
    assert f"x [{B},{T},{I}]" in repr(tape) and "float32" in repr(tape)
    assert f"Wh [{H},{len(cell.gates) * H}]" in repr(grads)
    assert repr(backward(tape, np.ones((B, T, H), "float32"), wrt="x")) == f"<Gradients, float32: x [{B},{T},{I}]>"
    kept = run(cell, shape, recompute_every=2)[0]
    assert repr(kept).endswith("bytes, keeps every 2 steps>") and parsed(kept._repr_html_())


def test_gradients_of_tensors_and_of_no_rows():
    torch = pytest.importorskip("torch", reason="needs torch")
    cell = cells.GRU()
    y, _, tape = forward(cell, init_params(cell, 3, 4), torch.ones(2, 5, 3))
    grads = backward(tape, torch.ones_like(y))
    assert "torch.float32" in repr(grads) and parsed(grads._repr_html_())
    tape, grads = run(cell, (0, 4, 3, 5))
    assert "x [0,4,3]" in repr(tape) and parsed(grads._repr_html_())


@pytest.mark.parametrize("seed", range(3))
def test_reports_show_their_verdict_and_culprit(seed):
    right, wrong = gradcheck(cells.LSTM(), seed=seed), gradcheck(Wrong(), seed=seed)
    assert repr(right) == f"<{str(right).splitlines()[0]}>"
    assert repr(wrong).startswith("<gradcheck of Wrong on reference, float64: WRONG; culprit: ") and "gate f" in repr(wrong)
    assert max(len(repr(r)) for r in (right, wrong)) <= 200
    assert str(wrong).count("\n") > 5  # print shows all of it
    for report in (right, wrong):
        page = parsed(report._repr_html_())
        assert len(page.findall(".//tbody/tr")) == len(report.entries)
        squares = page.findall(".//{http://www.w3.org/2000/svg}rect")
        titles = [square[0].text for square in squares]
        assert any(title.startswith("Wx, f: ") for title in titles)
    assert page.find(".//tbody/tr/td").text == max(wrong.entries, key=lambda e: e.error / e.budget).array  # the worst first
    assert any("born at step" in (part.text or "") for part in page.findall("div"))


@pytest.mark.parametrize("shape", [(2, 4, 3), (1, 2, 1), (2, 6, 30)])
def test_reports_of_functions_have_a_map_where_time_is_known(shape):
    x = np.random.default_rng(0).standard_normal(shape)

    def gradient(x, dy):
        dy = dy.copy()
        dy[:, 1] *= 1.5
        return dy * (1 - np.tanh(x) ** 2)

    report = check_function(np.tanh, gradient, [x], ["x<1>"], time_axis=1)
    assert repr(report).startswith("<gradients are WRONG (") and "culprit: x<1>" in repr(report) and len(repr(report)) <= 160
    page = parsed(report._repr_html_())
    squares = page.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(squares) == shape[1] * shape[2]
    dark = [square[0].text.split(",")[0] for square in squares if float(square[0].text.split(": ")[1]) > 1e-3]
    assert set(dark) == {"t = 1"}
    without = check_function(np.tanh, gradient, [x])
    assert "<svg" not in without._repr_html_() and parsed(without._repr_html_())
    right = check_function(np.tanh, lambda x, dy: dy * (1 - np.tanh(x) ** 2), [x], time_axis=1)
    assert repr(right) == f"<{right}>" and "<svg" not in right._repr_html_()
    stopped = check_function(np.tanh, lambda x, dy: (dy, dy), [x])
    assert "WRONG" in repr(stopped) and "count: backward_fn gives 2 gradients" in stopped._repr_html_()


@pytest.mark.check
def test_rows_of_parity_are_one_line():
    pytest.importorskip("torch", reason="needs torch")
    row = next(r for r in parity.parity("gru", dtype="float64") if r.check == "torch.nn")
    assert repr(row).startswith("<torch.nn: GRU") and "pass, error " in repr(row) and "\n" not in repr(row)


def test_colours_of_a_heat_map():
    assert shown.colour(1e-16) == shown.colour(0.0) == "#f7f7f2"
    assert shown.colour(1.0) == shown.colour(float("inf")) == "#8c1c13"
    assert shown.colour(float("nan")) == "#999999"
    assert len({shown.colour(10.0**-k) for k in range(17)}) == 17


@pytest.mark.check
@pytest.mark.skipif(not (find_spec("nbmake") and find_spec("ipykernel")), reason="needs nbmake and ipykernel: pip install nbmake")
def test_the_notebook_runs_and_shows_tables(tmp_path):
    copy = tmp_path / NOTEBOOK.name
    shutil.copy(NOTEBOOK, copy)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbmake", "--overwrite", str(copy)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    outputs = [out for cell in json.loads(copy.read_text(encoding="utf-8"))["cells"] for out in cell.get("outputs", [])]
    results = [out["data"] for out in outputs if out["output_type"] == "execute_result"]
    assert len(results) == 5
    for data in results:
        plain, html = "".join(data["text/plain"]), "".join(data["text/html"])
        assert len(plain) <= 250 and "array(" not in plain
        assert html.startswith("<table>")
    assert ["<svg" in "".join(data["text/html"]) for data in results] == [False, False, True, True, True]
    printed = "".join("".join(out["text"]) for out in outputs if out["output_type"] == "stream")
    assert "culprit: parameter" in printed and "born at step" in printed
