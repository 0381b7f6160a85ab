"""Pages of cells as files: one document, the same bytes, nothing from elsewhere; what somebody else wrote is checked by name."""

import copy
import json
import re

import numpy as np
import pytest

from rnn_from_scratch import cells, cli, init_params
from rnn_from_scratch.data import InputError
from rnn_from_scratch.explain import page, pages, save, schema
from rnn_from_scratch.explain.arrays import numbers
from rnn_from_scratch.explain.example import example
from rnn_from_scratch.explain.record import document

from ..conftest import ROOT

HOSTILE = [
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    "]]><img src=x onerror=alert(1)>",
    "\u202eright to left\u202c",
    "\U0001f600 \U0001f469\u200d\U0001f52c",
    "\u2028\u2029",
    '"; alert(1); "',
    "{{script}}",
    "&lt;b&gt; &amp;",
    "\\u003c/script>",
]


def made(cell=None, **more):
    e = example(cell or cells.LSTM())
    return document([(e.cell, e.params)], e.x, loss=e.loss, **more)


def document_of(text):
    """The first application/json script of a page."""
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S)[1])


@pytest.mark.parametrize("name", cells.forms())
def test_a_page_of_a_cell_is_one_small_file_of_its_own(name, tmp_path):
    e = example(cells.forms()[name], units=4, steps=12)
    path = page([(e.cell, e.params)], e.x, loss=e.loss, out=tmp_path / "a.html")
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size <= 90_000
    assert path.read_bytes() == page([(e.cell, e.params)], e.x, loss=e.loss, out=tmp_path / "b.html").read_bytes()
    assert document_of(text) == json.loads(json.dumps(document([(e.cell, e.params)], e.x, loss=e.loss)))
    assert re.search(r"<body data-selftest=", text) and "default-src 'none'" in text
    assert not re.search(r'(href|src)\s*=\s*["\']?\s*(https?:)?//', text)
    assert "fetch(" not in text and "import(" not in text and "XMLHttpRequest" not in text
    assert not re.search(r"<script[^>]*(src|module)", text) and "{{" not in text
    assert re.search(r"<noscript>.*<table>.*saved|states h.*</noscript>", text, re.S)


@pytest.mark.parametrize("name", cells.CELLS)
def test_the_command_writes_the_page(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", name, "--units", "2", "--steps", "5", "--activation", "relu", "--out", "x.html"]) == 0
    assert capsys.readouterr().out.startswith("x.html: ")
    doc = document_of((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert (doc["layers"][0]["cell"], doc["layers"][0]["units"], doc["layers"][0]["activation"]) == (name, 2, "relu")
    assert doc["input"]["x"]["shape"] == [5, 1]
    assert cli.main(["explain", name]) == 0 and (tmp_path / f"{name}.html").exists()


def test_a_document_that_was_saved_makes_the_same_page(tmp_path, capsys):
    cell = cells.GRU()
    args = [(cell, init_params(cell, 2, 3)), (cells.LSTM(), init_params(cells.LSTM(), 3, 2))], np.ones((4, 2), "float32")
    save(*args, out=tmp_path / "mine.json", title="mine")
    assert cli.main(["explain", str(tmp_path / "mine.json")]) == 0
    direct = page(*args, out=tmp_path / "direct.html", title="mine")
    assert (tmp_path / "mine.html").read_bytes() == direct.read_bytes()
    assert document_of(direct.read_text(encoding="utf-8"))["layers"][0]["params"]["Wx"]["dtype"] == "float32"


@pytest.mark.parametrize("text", HOSTILE)
def test_untrusted_words_stay_words(text):
    shown = pages.render(made(title=text, inputs=[text]))
    assert document_of(shown)["title"] == text
    assert shown.count("<script") == 2 and shown.count("</script>") == 2
    assert "onerror=alert(1)>" not in re.sub(r"<script.*?</script>", "", shown, flags=re.S)


def test_a_page_above_8_mb_is_refused(tmp_path):
    cell = cells.SimpleRNN()
    params = {name: np.zeros(shape) for name, shape in (("Wx", (1, 900)), ("Wh", (900, 900)), ("b", (900,)))}
    with pytest.raises(InputError, match=r"big.html: expected at most 8 MB, got 8\.\d MB; choose fewer steps or units"):
        page([(cell, params)], np.zeros((1, 1)), out=tmp_path / "big.html")
    assert not (tmp_path / "big.html").exists()


def test_wrong_arrays_are_told_as_by_forward(tmp_path):
    cell = cells.LSTM()
    with pytest.raises(ValueError, match=r"Wx: expected \[I, 4H\] = \[2, 12\] for LSTM, got \[1, 12\]"):
        page([(cell, init_params(cell, 1, 3))], np.ones((4, 2)), out=tmp_path / "x.html")


def spoil(change):
    doc = copy.deepcopy(made())
    change(doc)
    return doc


WRONG = {
    "schema: expected 'rnn-explain/1', got 'rnn-explain/2'; a newer version": lambda d: d.update(schema="rnn-explain/2"),
    "schema: expected 'rnn-explain/1', got None": lambda d: d.pop("schema"),
    'kind: expected one of cell, text, rows, series, translation, got "cel"': lambda d: d.update(kind="cel"),
    "layers: expected a list of at least one layer, got list of 0": lambda d: d.update(layers=[]),
    "layers[0].units: expected a whole number of at least 1, got 0": lambda d: d["layers"][0].update(units=0),
    "layers[0].params.Wh: expected [4, 16], got [4, 12]": lambda d: d["layers"][0]["params"]["Wh"].update(shape=[4, 12]),
    "layers[0].params.b.data: expected 128 bytes for [16] of float64, got 3": lambda d: d["layers"][0]["params"]["b"].update(data="AAAA"),
    "layers[0].params.b.data: expected base64, got ": lambda d: d["layers"][0]["params"]["b"].update(data="AA"),
    'layers[0].params.b.dtype: expected one of float32, float64, got "float16"': lambda d: d["layers"][0]["params"]["b"].update(
        dtype="float16"
    ),
    "input.x: expected [T, I] = [T, 1], got [4, 3]": lambda d: d["input"]["x"].update(shape=[4, 3]),
    "before: expected an embedding, since input.codes are given": lambda d: d.update(input={"codes": [1]}),
    "lengths: expected null or 0 to 12, got 13": lambda d: d.update(lengths=13),
    'loss.state: expected one of h, c, got "x"': lambda d: d.update(loss={"state": "x", "unit": 0}),
    "loss.unit: expected 0 to 3, got 4": lambda d: d.update(loss={"state": "c", "unit": 4}),
    "check: expected allowed, above 0": lambda d: d["check"].pop("allowed"),
    "names.outputs: expected a list of texts": lambda d: d["names"].update(outputs=[1]),
    "source.backward[0].undoes_lines: expected numbers of lines": lambda d: d["source"]["backward"][0].pop("undoes_lines"),
    "initial_state: expected null or 2 arrays": lambda d: d.update(initial_state=[]),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_in_a_document_is_said_by_name(said, tmp_path, capsys):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(spoil(WRONG[said])), encoding="utf-8")
    assert cli.main(["explain", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: {said}") and error.count("\n") == 1


def test_nan_and_what_is_no_json_are_refused(tmp_path, capsys):
    a = made()["layers"][0]["params"]["b"]
    nan = spoil(lambda d: d["layers"][0]["params"].update(b=numbers(np.full(16, np.nan))))
    with pytest.raises(schema.DocumentError, match="b.data: expected finite numbers"):
        schema.check(nan)
    assert a["shape"] == [16]
    for text, said in (
        ("{", "not JSON"),
        ('{"a": NaN}', "not JSON: NaN is no number in JSON"),
        ("[" * 100_000, "not "),
        ("[]", "document: expected"),
    ):
        (tmp_path / "x.json").write_text(text, encoding="utf-8")
        assert cli.main(["explain", str(tmp_path / "x.json")]) == 2
        assert said in capsys.readouterr().err


def test_fields_that_nobody_knows_are_left_alone():
    schema.check(spoil(lambda d: d.update(more={"of": "them"})))


def test_the_schema_file_and_the_checks_agree():
    """Every field that schema.json requires is one that a document has, and what the checks refuse at the top, it names."""
    told = json.loads((ROOT / "rnn_from_scratch/explain/schema.json").read_text(encoding="utf-8"))
    doc = made()
    assert set(told["required"]) == set(doc) == set(told["properties"]) - {"encoder"}  # which a translation alone has
    layer = told["$defs"]["layer"]
    assert set(layer["required"]) <= set(doc["layers"][0]) and set(doc["layers"][0]) - {"listed"} <= set(layer["properties"])
    assert told["properties"]["kind"]["enum"] == list(schema.KINDS)
    assert set(told["$defs"]["lines"]["items"]["properties"]) == set(doc["source"]["backward"][0])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lstm --step 3", "--step: the page shows every step and unit; add --terminal for one; leave it out"),
        ("lstm --terminal --out a.html", "--out: --terminal prints; it makes no page; leave it out"),
        ("a.json --units 3", "--units: a document has its own numbers; leave it out"),
        ("missing.json", "missing.json: cannot be read: No such file"),
        ("lstm --out missing/a.html", "missing/a.html: cannot be written: No such file"),
    ],
)
def test_wrong_use_is_one_line(line, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["explain", *line.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {said}") and error.count("\n") == 1
