"""Skip-gram embeddings as a run: batches, files, resume, neighbours, what is refused."""

import json
import shutil
from functools import partial

import numpy as np
import pytest

from rnn_from_scratch import cli
from rnn_from_scratch.data import InputError
from rnn_from_scratch.data import words as data
from rnn_from_scratch.tasks import PRESETS, nearest, training, word2vec
from rnn_from_scratch.tasks.negatives import Negatives

from ..helpers.digit_runs import KERAS_SAVES, bits, killed_at, record, rows

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)
SMALL = {"vocabulary": 40, "embedding": 6, "negatives": 5, "batches": 12, "batch_size": 8, "epochs": 2, "seed": 3}
TEXT = "one two three king queen father mother the a of said told red blue green north south he she will would may\n" * 30


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("word2vec") / "text.txt"
    words = TEXT.split()
    path.write_text(" ".join(words[n] for n in np.random.default_rng(0).permutation(len(words))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(text):
    training.train("word2vec", text.parent / "whole", data=str(text), **SMALL)
    return text.parent / "whole"


@pytest.mark.parametrize("window", [1, 2])
def test_batches_are_words_with_a_neighbour_each(window):
    codes = np.arange(200, dtype=np.int32)  # the word says where it stands
    settings = {"window": window, "batch_size": 8, "batches": 15, "seed": 1}
    drawn = Negatives(200, 5, "--negatives")
    found = [batch for epoch in range(1, 12) for batch in word2vec.batches(codes, drawn, settings, epoch)]
    words, neighbours = (np.concatenate([batch[n] for batch in found]) for n in (0, 1))
    sides, often = np.unique(neighbours - words, return_counts=True)
    assert sides.tolist() == [n for n in range(-window, window + 1) if n]
    assert often.min() > len(words) / len(sides) * 0.85
    per_pass = (200 - 2 * window) // 8 * 8
    for start in range(0, len(words) - per_pass, per_pass):
        assert len(set(words[start : start + per_pass].tolist())) == per_pass  # each word once in a pass
    assert words[:per_pass].tolist() != words[per_pass : 2 * per_pass].tolist()
    later = list(word2vec.batches(codes, drawn, settings, 2, 4))
    for ours, again in zip(found[19:30], later):
        for a, b in zip(ours, again):
            np.testing.assert_array_equal(a, b)


def test_a_run_stopped_at_a_batch_goes_on_to_the_same_bits(text, whole, tmp_path, monkeypatch):
    run = partial(training.train, "word2vec", tmp_path / "run", data=str(text), save_every=0.0, **SMALL)
    killed_at(monkeypatch, word2vec, 2, 5, run)
    training.train("word2vec", tmp_path / "run", resume=True, save_every=60.0)
    assert bits(tmp_path / "run") == bits(whole)
    for name in ("embeddings.npy", "embeddings.txt", "vocabulary.json"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_files_of_a_run(whole):
    vectors, words = nearest.load(whole)
    head, *lines = (whole / "embeddings.txt").read_text(encoding="utf-8").splitlines()
    assert head == f"{len(words)} 6" and len(lines) == len(words) == 22
    for line, word, vector in zip(lines, words, vectors):
        name, *numbers = line.split(" ")
        assert name == word
        np.testing.assert_allclose(np.array(numbers, float), vector, rtol=1e-5)
    assert (whole / "tsne.png").read_bytes().startswith(b"\x89PNG")
    assert set(record(whole)["results"]) >= {"loss_at_start", "number_words", "closed_groups"}


def test_the_start_is_the_loss_before_the_first_step(text, whole):
    settings = {**PRESETS["word2vec"][1], **SMALL, "data": str(text), "learning_rate": 1e-30, "batches": 20, "epochs": 1}
    work = word2vec.prepare(settings)
    losses = [float(work.step(*batch)[0]) for batch in work.batches(1, 0)]
    assert record(whole)["results"]["loss_at_start"] == pytest.approx(np.mean(losses), rel=0.3)
    assert work.finish()[0]["loss_at_start"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_predict_from_a_run_that_was_moved(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "elsewhere")
    assert cli.main(["predict", str(tmp_path / "elsewhere"), "--words", "three, KING", "--limit", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["three", "king"]
    assert all(len(line.split()) == 5 for line in lines)
    assert cli.main(["predict", str(whole), "--words", "three", "--limit", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["three"]
    assert list(found) == lines[0].split()[1:]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    vectors, words = nearest.load(whole)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    best = np.argsort(-unit @ unit[words.index("three")])
    assert [words[n] for n in best if words[n] != "three"][:4] == list(found)
    assert cli.main(["predict", str(whole), "--words", "three", "--among", "3"]) == 0
    assert set(capsys.readouterr().out.split()[1:]) <= set(words[:3])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--words", "thre"], "--words: 'thre' is not in the vocabulary of 22 words; close to it: three, the, he"),
        (["--words", "xylophone"], "--words: 'xylophone' is not in the vocabulary of 22 words"),
        (["--words", "\x1b[31mthree\x07"], "--words: '\\x1b[31mthree\\x07' is not in the vocabulary of 22 words; close to it: three"),
        (["--words", "שלום"], "--words: 'שלום' is not in the vocabulary of 22 words"),
        (["--words", "x" * 10_000], f"--words: '{'x' * 40}…' is not in the vocabulary of 22 words"),
        (["--words", ""], "--words: expected words with commas between them, like three,king, got ''"),
        (["--words", "three,,king"], "--words: expected words with commas between them, like three,king, got 'three,,king'"),
        ([], "--words: expected words with commas between them, like three,king, got None"),
        (["--words", "three", "--data", "x"], "--data: word2vec reads words alone; leave it out"),
    ],
)
def test_wrong_words_are_one_line(args, message, whole, capsys):
    assert cli.main(["predict", str(whole), *args]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_damaged_and_unfinished_runs_are_refused(whole, tmp_path):
    for name in ("run.json", "vocabulary.json"):
        shutil.copy(whole / name, tmp_path)
    with pytest.raises(InputError, match="embeddings.npy or vocabulary.json is missing or damaged"):
        nearest.load(tmp_path)
    (tmp_path / "embeddings.npy").write_bytes((whole / "embeddings.npy").read_bytes()[:200])
    with pytest.raises(InputError, match="is missing or damaged"):
        nearest.load(tmp_path)
    shutil.copy(whole / "embeddings.npy", tmp_path)
    (tmp_path / "vocabulary.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="vocabulary.json: damaged: expected a list of 22 words"):
        nearest.load(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 2000}, "text.txt: expected at least 2,002 words for --batch-size and --window, got 660"),
        ({"negatives": 22}, "--negatives: expected less than the 22 words of the vocabulary, got 22"),
        ({"init_range": 0.0}, "--init-range: expected a number above 0, got 0.0"),
        ({"vocabulary": 0}, "--vocabulary: expected a whole number of at least 1, got 0"),
        ({"cell": "lstm"}, "--cell: word2vec has no such setting"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_nothing_is_written(given, message, text, tmp_path):
    with pytest.raises(InputError, match=message):
        training.train("word2vec", tmp_path / "run", data=str(text), **{**SMALL, **given})
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_above_what_is_there_shrinks_with_a_note(text):
    work = word2vec.prepare({**PRESETS["word2vec"][1], **SMALL, "data": str(text)})
    assert work.data["notes"] == ["--vocabulary 40: there are only 22 different words"]
    assert work.data["sizes"] == {"words": 660, "in the vocabulary": 22}


def test_judging_by_groups():
    words = ["two", "three", "father", "mother", "red", "xyz", data.UNKNOWN]
    vectors = np.array([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 1, 0.1], [0, 0, 1], [0, 0.1, 1], [1, 0, 0]])
    assert nearest.judge(vectors, words) == {"number_words": 1.0, "closed_groups": 1.0}
    assert nearest.judge(vectors[[0, 2, 1, 3, 4, 5, 6]], words) == {"number_words": 0.0, "closed_groups": 0.0}
    assert nearest.judge(vectors, list("abcdefg")) == {}


@pytest.mark.check
@pytest.mark.parametrize("seed", range(3))
def test_on_the_corpus(seed, shared_data, tmp_path):
    """40,000 steps, a minute for each seed."""
    given = {"data": str(shared_data("words/corpus.txt.gz")), "seed": seed}
    results = training.train("word2vec", tmp_path / "run", **given)["results"]
    assert 265 < results["loss_at_start"] < 300
    assert rows(tmp_path / "run")[-1]["loss"] < 10
    assert results["number_words"] >= 0.85
    assert results["closed_groups"] >= 0.78
