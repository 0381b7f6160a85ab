"""Translation: batches, the loss, decoding, attention, resume, the command."""

import io
import json
import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import cells, cli
from rnn_from_scratch.data import InputError, tokens
from rnn_from_scratch.tasks import PRESETS, training, translate, translate_command
from rnn_from_scratch.tasks.negatives import Negatives
from rnn_from_scratch.tasks.translator import padded

from ..helpers.digit_runs import KERAS_SAVES, bits, killed_at, record, rows

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)
SMALL = {"units": 8, "embedding": 6, "batch_size": 16, "epochs": 2, "vocabulary": 60, "seed": 2, "dropout": 0.1, "max_length": 12}
NUMBERS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory):
    """Digits in words, three at a time, and in figures."""
    path, rng = tmp_path_factory.mktemp("translate") / "pairs.tsv", np.random.default_rng(0)
    digits = rng.integers(0, 10, (600, 3))
    lines = (" ".join(NUMBERS[d] for d in row) + "\t" + " ".join(map(str, row)) for row in digits)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(pairs_file):
    training.train("translate", pairs_file.parent / "whole", data=str(pairs_file), **SMALL)
    return pairs_file.parent / "whole"


@pytest.fixture(scope="module")
def chosen(whole):
    return translate_command.restore(whole)


def some_pairs(count=100):
    rng = np.random.default_rng(1)
    return [(rng.integers(4, 20, rng.integers(1, 9)).tolist(), rng.integers(4, 20, rng.integers(1, 9)).tolist()) for _ in range(count)]


def test_batches_hold_each_pair_once_and_begin_anywhere():
    settings, pairs = {"batch_size": 8, "seed": 3}, some_pairs()
    found = list(translate.batches(pairs, None, settings, 1))
    assert len(found) == 13
    seen = [(tuple(s[s > 0]), tuple(t[t > 0])) for source, target, *_ in found for s, t in zip(source, target)]
    assert sorted(seen) == sorted((tuple(s), (tokens.GO, *t, tokens.EOS)) for s, t in pairs)
    assert all((target > 0).sum(axis=1).max() - (target > 0).sum(axis=1).min() <= 2 for _, target, *_ in found)  # buckets
    for ours, again in zip(found[5:], translate.batches(pairs, None, settings, 1, 5)):
        np.testing.assert_array_equal(ours[1], again[1])
    assert any(a[1].shape != b[1].shape or (a[1] != b[1]).any() for a, b in zip(found, translate.batches(pairs, None, settings, 2)))


def test_padding_has_no_weight(whole, pairs_file):
    """The loss of a padded batch is the mean over all tokens of each sentence alone."""
    work = translate.prepare({**PRESETS["translate"][1], **SMALL, "data": str(pairs_file), "dropout": 0.0})
    pairs, measure = [([5, 6, 7], [8, 9]), ([9], [4, 5, 6, 7, 8]), ([7, 7], [6])], translate.make_measure(work.model, None)
    alone = [float(measure(*translate.arrays([pair]), None, 0)[0]) for pair in pairs]
    together = float(measure(*translate.arrays(pairs), None, 0)[0])
    assert together == pytest.approx(np.average(alone, weights=[3, 6, 2]), rel=1e-5)
    assert translate.evaluate(work.model, pairs, {"batch_size": 2}) == pytest.approx(together, rel=1e-5)
    assert work.size(*translate.arrays(pairs), None, 0) == 11
    assert work.examples == sum(work.size(*batch) for batch in work.batches(1, 0))


def test_the_sampled_loss_is_tensorflows(whole, pairs_file):
    work = translate.prepare({**PRESETS["translate"][1], **SMALL, "data": str(pairs_file), "dropout": 0.0})
    V = work.model.outputs[0].shape[-1]
    drawn = Negatives(V, 9, "--sampled")
    false, tries = drawn.draw(np.random.default_rng(0))
    source, target = translate.arrays([([5, 6], [8, int(false[0])]), ([9], [4])])
    ours = float(translate.make_measure(work.model, drawn)(source, target, tf.constant(false), tries)[0])
    out, wanted = work.model([source, target[:, :-1]])[1].numpy(), target[:, 1:]
    live, dense = wanted != 0, work.model.get_layer("logits")
    expected = [np.exp(drawn.log_expected(codes, tries)) for codes in (wanted[live], false)]
    sampled = tf.constant(false, tf.int64), tf.constant(expected[0])[:, None], tf.constant(expected[1])
    labels = tf.constant(wanted[live], tf.int64)[:, None]
    theirs = tf.nn.sampled_softmax_loss(tf.transpose(dense.kernel), dense.bias, labels, out[live], 9, V, sampled_values=sampled)
    assert ours == pytest.approx(float(tf.reduce_mean(theirs)), rel=1e-4)


def test_the_sampled_loss_stands_beside_no_full_one(pairs_file, tmp_path):
    said = []
    given = {**SMALL, "data": str(pairs_file), "sampled": 9, "epochs": 1}
    training.train("translate", tmp_path / "run", tell=lambda row, line: said.append(line), **given)
    assert len(said) == 1 and said[0].startswith("epoch 1/1: validation ") and "bleu" in said[0]


@pytest.mark.parametrize("cell", [pytest.param(name, marks=() if name == "lstm" else pytest.mark.check) for name in cells.CELLS])
def test_any_cell_translates(cell, pairs_file, tmp_path):
    given = {**SMALL, "data": str(pairs_file), "cell": cell, "epochs": 1, "layers": 2, "tokens": "words"}
    results = training.train("translate", tmp_path / "run", **given)["results"]
    assert np.isfinite(results["bleu_greedy"])
    assert len(translate.translate(["one two"], *translate_command.restore(tmp_path / "run"))) == 1


def test_a_run_stopped_at_a_batch_goes_on_to_the_same_bits(pairs_file, whole, tmp_path, monkeypatch):
    run = partial(training.train, "translate", tmp_path / "run", data=str(pairs_file), save_every=0.0, **SMALL)
    killed_at(monkeypatch, translate, 2, 7, run)
    training.train("translate", tmp_path / "run", resume=True, save_every=60.0)
    assert bits(tmp_path / "run") == bits(whole)
    assert (tmp_path / "run/translations.txt").read_bytes() == (whole / "translations.txt").read_bytes()


def test_files_and_results_of_a_run(whole):
    found = record(whole)["results"]
    assert {"bleu_greedy", "bleu_beam_4", "bleu_copy", "bleu_nearest", "bleu_far_greedy", "far_pairs"} <= set(found)
    assert 0 <= found["chrf_greedy"] <= 100 and "chrf_beam_4" in found
    lines = (whole / "translations.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "source | output | reference" and all(line.count(" | ") == 2 for line in lines)
    assert (whole / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert {"validation_loss", "validation_bleu"} <= set(rows(whole)[0])


def test_decoding_feeds_back_and_greedy_is_the_beam_of_one(chosen):
    translator, vocabulary, settings = chosen
    sources = [translate.as_read(vocabulary.encode(text), settings) for text in ("one two three", "nine", "four four")]
    made = translator.translate(sources, 8)
    for source, text in zip(sources, made):  # step by step by the whole model
        target = [tokens.GO]
        while len(target) <= 8:
            logits = translator.model([np.array([source]), np.array([target])], training=False)[0].numpy()[0, -1]
            logits[[tokens.PAD, tokens.GO]] = -np.inf
            target.append(int(logits.argmax()))
            if target[-1] == tokens.EOS:
                break
        assert text == [code for code in target[1:] if code != tokens.EOS]


def test_a_beam_that_holds_all_finds_the_best(chosen):
    """Against all texts of two tokens, by the mean of log p."""
    translator, vocabulary, settings = chosen
    V, source = len(vocabulary), translate.as_read(vocabulary.encode("one two"), settings)
    codes = [code for code in range(V) if code not in (tokens.PAD, tokens.GO)]
    texts = [[a, b] for a in codes for b in codes if a != tokens.EOS] + [[tokens.EOS]]
    target = padded([[tokens.GO, *text] for text in texts])
    logits = translator.model([np.repeat([source], len(texts), axis=0), target[:, :-1]], training=False)[0]
    log_p = tf.nn.log_softmax(logits).numpy()
    means = [np.mean([log_p[n, t, code] for t, code in enumerate(text)]) for n, text in enumerate(texts)]
    best = [code for code in texts[int(np.argmax(means))] if code != tokens.EOS]
    assert translator.translate([source], 2, V) == [best]


def test_attention_is_drawn_from_left_to_right(chosen):
    read, written, p = translate.look("one two three", *chosen, 1)
    assert "".join(read) == "one two three" and written[-1] == "<eos>" and p.shape == (len(written), len(read))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    translator, vocabulary, settings = chosen
    assert settings["reverse"]
    (made,) = translator.translate([vocabulary.encode("one two three")[::-1]], 24)
    np.testing.assert_array_equal(p[:, ::-1], translator.weights(vocabulary.encode("one two three")[::-1], made))


def test_the_command_translates_lines_wherever_the_run_lies(whole, tmp_path, capsys, monkeypatch):
    shutil.copytree(whole, tmp_path / "elsewhere")
    run = str(tmp_path / "elsewhere")
    odd = ["one two three", "", "שלום ÿ", "\x1b[31mone\x0b", "seven " * 1700, "nine"]
    (tmp_path / "lines.txt").write_text("\n".join(odd), encoding="utf-8")
    assert cli.main(["translate", run, "--file", str(tmp_path / "lines.txt"), "--beam", "2"]) == 0
    out, err = capsys.readouterr()
    lines = out.split("\n")[:-1]
    assert len(lines) == 6 and lines[1] == "" and out.isprintable() == ("\n" not in out)
    assert err.splitlines() == [
        "note: line 3 and 1 more: has what the training never had; it is read as <unk>",
        "note: line 5: longer than the 12 tokens of training; expect little",
    ]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"one two three\r\n\r\nnine")))
    assert cli.main(["translate", run, "--beam", "2"]) == 0
    assert capsys.readouterr().out.split("\n")[:-1] == [lines[0], "", lines[5]]
    picture = tmp_path / "new.png"
    assert cli.main(["translate", run, "--text", "one two three", "--beam", "2", "--attention", str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["translation"] == lines[0] and "".join(found["read"]) == "one two three"
    assert np.array(found["attention"]).shape == (len(found["written"]), len(found["read"]))
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--text", " "], "--text: expected some text, got none"),
        (["--text", "a\nb"], "--text: expected one line; give several by --file or standard input"),
        (["--text", "a", "--file", "b"], "--text and --file: expected one of them, got both"),
        (["--file", "none.txt"], "none.txt: cannot be read: No such file or directory"),
        (["--text", "a", "--attention", "a.xyz"], "--attention a.xyz: expected a name that ends in one of "),
        (["--text", "a", "--attention", "none/a.png"], "--attention none/a.png: no such folder: none"),
        (["--text", "a", "--attention", "there.png"], "--attention there.png: exists already; nothing is written over"),
    ],
)
def test_wrong_use_is_one_line(args, message, whole, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").write_bytes(b"")
    assert cli.main(["translate", str(whole), *args]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {message}") and err.count("\n") == 1
    assert (tmp_path / "there.png").read_bytes() == b"" and len(list(tmp_path.iterdir())) == 1


def test_what_is_no_utf8_and_what_has_no_attention_is_refused(pairs_file, whole, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"one\n\xff")))
    assert cli.main(["translate", str(whole)]) == 2
    assert capsys.readouterr().err == "error: standard input, line 2: not UTF-8: byte 0xff\n"
    training.train("translate", tmp_path / "run", data=str(pairs_file), **{**SMALL, "epochs": 1, "attention": False, "reverse": False})
    assert not (tmp_path / "run/attention.png").exists()
    capsys.readouterr()
    assert cli.main(["translate", str(tmp_path / "run"), "--text", "one", "--attention", str(tmp_path / "a.png")]) == 2
    assert "run was trained with --no-attention: there is nothing to draw" in capsys.readouterr().err
    (tmp_path / "run/vocabulary.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="vocabulary.json: damaged: expected kind, tokens and merges"):
        translate_command.restore(tmp_path / "run")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampled": 500}, "--sampled: expected less than the [0-9]+ words of the vocabulary, got 500"),
        ({"tokens": "letters"}, "--tokens: expected one of bpe, words, characters, got letters"),
        ({"batch_size": 5000}, "pairs.tsv: expected at least 5000 pairs within --max-length, got "),
        ({"vocabulary": 9}, "--vocabulary: expected at least [0-9]+, one token for each character, got 9"),
        ({"bptt": 9}, "--bptt: translate has no such setting"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_is_written(given, message, pairs_file, tmp_path):
    with pytest.raises(InputError, match=message):
        training.train("translate", tmp_path / "run", data=str(pairs_file), **{**SMALL, **given})
    assert not (tmp_path / "run").exists()
