"""Pages of translations: the encoder, the attention and the decoder in JavaScript say what NumPy says."""

import numpy as np
import pytest

from rnn_from_scratch import cli
from rnn_from_scratch.explain import page, pages, record, schema
from rnn_from_scratch.explain.arrays import array_of
from rnn_from_scratch.explain.encoder import encode
from rnn_from_scratch.explain.head import head_outputs
from rnn_from_scratch.explain.runs import document_of
from rnn_from_scratch.measure import error
from rnn_from_scratch.tasks import training

from ..helpers.browser import Tab
from ..helpers.digit_runs import KERAS_SAVES
from ..helpers.models_to_explain import TRANSLATIONS, model_of, translation
from .test_run_pages import strip


def log_p(args, more, embedding=None, codes=None):
    """log p of the loss's token by NumPy, where the source is read from another embedding or has other codes; complex, too."""
    layers, target = args
    encoder = dict(more["encoder"])
    encoder.update({name: value for name, value in (("embedding", embedding), ("codes", codes)) if value is not None})
    model, read = model_of(layers, more), encode(encoder)
    passed = record.forward(model, record.vectors(model, target), None, read.states)
    loss = more["loss"]
    return head_outputs(model, passed, read.keys if "attention" in more["head"] else None)[loss["step"], loss["output"]]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.check] * (name != "attention")) for name in TRANSLATIONS])
def test_the_gradient_by_the_source_is_that_of_differences(name):
    args, more = TRANSLATIONS[name]
    doc, encoder = record.document(*args, **more), more["encoder"]
    schema.check(doc)
    found, E = np.array(doc["check"]["source_reach"]), np.asarray(encoder["embedding"], "float64")[encoder["codes"]]
    S = len(E)
    expected = np.zeros(E.shape)
    for place in np.ndindex(*E.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = E.copy()
            moved[place] += step
            ends.append(log_p(args, more, moved, np.arange(S)))
        expected[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(found, np.sqrt((expected**2).sum(axis=1)), rtol=1e-5, atol=1e-9)
    if "attention" in more["head"]:
        np.testing.assert_allclose(array_of(doc["check"]["attention"]).sum(axis=1), 1, rtol=1e-12)


WRONG = {
    "encoder.codes: expected codes below": lambda doc: doc["encoder"].update(codes=[99]),
    "encoder.names: expected ": lambda doc: doc["encoder"].update(names=[]),
    "encoder.layers: expected 2 layers, as the decoder has": lambda doc: doc["encoder"]["layers"].pop(),
    "encoder.layers[1].states: expected ['h', 'c'], as in the decoder": lambda doc: doc["encoder"]["layers"][1].update(states=["h"]),
    "head.attention.V: expected [10, 3], got [3]": lambda doc: doc["head"]["attention"].update(V=doc["head"]["attention"]["b"]),
    "head.attention: expected W, V, b": lambda doc: doc.update(encoder=None),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_damaged_document_is_refused_by_name(message):
    args, more = translation()
    doc = record.document(*args, **more)
    WRONG[message](doc)
    with pytest.raises(schema.DocumentError) as refused:
        schema.check(doc)
    assert str(refused.value).startswith(message)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small translation run."""
    home, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    digits = rng.integers(0, 10, (600, 3))
    lines = (" ".join("abcdefghij"[d] for d in row) + "\t" + "".join(map(str, row)) for row in digits)
    (home / "pairs.tsv").write_text("\n".join(lines), encoding="utf-8")
    small = {"cell": "lstm", "layers": 2, "units": 8, "embedding": 6, "epochs": 1, "tokens": "characters", "vocabulary": 60}
    training.train("translate", home / "mine", data=str(home / "pairs.tsv"), **small)
    return home / "mine"


@pytest.mark.check
@pytest.mark.filterwarnings(KERAS_SAVES)
def test_the_document_of_a_run_says_what_its_model_says(run):
    doc = document_of(run, text="b c d")
    _, model = training.load_model(run, "translate")
    encoder, target = doc["encoder"], doc["input"]["codes"]
    assert "".join(encoder["names"][code] for code in encoder["codes"]) == "d c b" and encoder["reversed"]
    names = doc["names"]["vocabulary"]
    source = [names.index(encoder["names"][code]) for code in encoder["codes"]]
    logits, _, p = (np.asarray(part)[0].astype("float64") for part in model([np.array([source]), np.array([target])]))
    said = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert error(np.array(doc["check"]["log_p"]), said[np.arange(len(target) - 1), target[1:]]) <= 1e-5
    assert error(array_of(doc["check"]["attention"]), p) <= 1e-5
    assert len(doc["layers"]) == len(encoder["layers"]) == 2


@pytest.mark.check
@pytest.mark.filterwarnings(KERAS_SAVES)
def test_the_command_writes_a_page_and_figures_of_a_run(browser, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for args in ([], ["--text", "b c d", "--out", "other.html"]):
        assert cli.main(["explain", str(run), *args]) == 0
    for name in ("mine.html", "other.html"):
        tab = Tab(browser, tmp_path / name)
        assert (tab.selftest, tab.errors) == ("ok", [])
    assert set("bcd") <= set(tab.text("attention"))
    assert cli.main(["plot", "gates", str(run)]) == 0  # of the encoder
    assert cli.main(["plot", "attention", str(run), "--text", "b c d", "--csv", "p.csv"]) == 0
    head, *rows = [line.split(",") for line in (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()]
    assert head == ["written", *"b c d"] and rows[-1][0] == "<eos>"
    assert all(abs(sum(map(float, row[1:])) - 1) < 1e-5 for row in rows)
    assert cli.main(["plot", "attention", str(run), "--out", "again.png"]) == 0
    assert cli.main(["plot", "embedding", str(run)]) == 2
    capsys.readouterr()
    assert cli.main(["explain", str(run), "--digit", "3", "--out", "x.html"]) == 2
    assert capsys.readouterr().err == "error: --digit: a run of translate has --text instead; leave it out\n"


@pytest.mark.check
@pytest.mark.filterwarnings(KERAS_SAVES)
def test_a_run_too_large_for_a_page_is_told_what_to_do(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pages, "MOST", 20_000)
    assert cli.main(["explain", str(run)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: mine.html: expected at most 0.02 MB, got 0.") and said.count("\n") == 1
    assert "train one with fewer units, layers or tokens, or draw it by plot" in said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {name: page(*args, **more, out=folder / f"{n}.html") for n, (name, (args, more)) in enumerate(TRANSLATIONS.items())}


@pytest.mark.check
@pytest.mark.parametrize("name", TRANSLATIONS)
def test_a_page_proves_its_numbers(browser, written, name):
    tab = Tab(browser, written[name])
    assert (tab.selftest, tab.errors, len(tab.requests)) == ("ok", [], 1), tab.text("check")


@pytest.mark.check
@pytest.mark.parametrize("name", TRANSLATIONS)
def test_the_strips_and_the_matrix_say_what_numpy_says(browser, written, name):
    args, more = TRANSLATIONS[name]
    tab, encoder, doc = Tab(browser, written[name]), more["encoder"], record.document(*args, **more)
    turn = slice(None, None, -1 if encoder["reversed"] else 1)
    assert error(strip(tab, "by-gradient"), np.array(doc["check"]["source_reach"])[turn]) <= 1e-12
    before, expected = log_p(args, more), []
    for s in range(len(encoder["codes"])):
        codes = encoder["codes"].copy()
        codes[s] = 0 if codes[s] != 0 else 1
        expected.append(abs(log_p(args, more, codes=codes) - before))
    assert error(strip(tab, "by-trying"), np.array(expected)[turn]) <= 1e-10 and max(expected) > 1e-4
    shown = np.array(tab.page.evaluate("[...document.querySelectorAll('#attention td.look')].map((e) => +e.dataset.value)"))
    if name == "no attention":
        assert len(shown) == 0
    else:
        p = array_of(doc["check"]["attention"])[:-1, turn]
        assert error(shown, p.ravel()) <= 1e-12


@pytest.mark.check
def test_a_token_is_chosen_by_keys_and_in_the_matrix(browser, written):
    tab = Tab(browser, written["attention"])
    said, asked, first = tab.text("next"), tab.text("asked"), strip(tab, "by-gradient")
    tab.page.locator("#written button[tabindex='0']").focus()
    tab.page.keyboard.press("ArrowRight")
    assert tab.text("next") != said and error(strip(tab, "by-gradient"), first) > 1e-3
    tab.page.locator("#attention tbody tr").nth(3).locator("td").nth(2).click()
    assert tab.text("next") == said and tab.text("asked") != asked
    assert tab.page.evaluate("document.querySelectorAll('td.look.chosen').length") == 6
    tab.page.get_by_role("button", name="copy link").click()
    again = Tab(browser, written["attention"], tab.page.locator("#keep input").input_value().split("#")[1])
    assert np.array_equal(strip(again, "by-gradient"), strip(tab, "by-gradient")) and tab.errors == []


@pytest.mark.check
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_a_small_screen_loses_nothing(browser, written, scheme):
    assert Tab(browser, written["attention"], size=(360, 700)).page.evaluate("document.documentElement.scrollWidth") <= 360
    for name in ("attention", "no attention"):
        assert Tab(browser, written[name], scheme=scheme).violations() == []
