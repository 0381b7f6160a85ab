"""Pairs of sentences: files, the split, what is near; dates; tokens and back without loss."""

import datetime
import gzip
import itertools

import numpy as np
import pytest

from rnn_from_scratch.data import InputError, dates, pairs, tokens

LINES = [f"Sentence {chr(97 + n % 26)}{chr(97 + n // 26)} is here.\tPhrase {n}." for n in range(400)]


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_file_of_two_columns_and_two_files_are_the_same(tmp_path):
    split = pairs.load(write(tmp_path / "a.tsv", LINES))
    assert sum(map(len, split[:3])) == 400 and all(split[:3])
    with gzip.open(tmp_path / "a.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(LINES))
    assert pairs.load(str(tmp_path / "a.tsv.gz"))[:3] == split[:3]
    sides = [write(tmp_path / f"a.{n}", [line.split("\t")[n] for line in LINES]) for n in (0, 1)]
    assert pairs.load(",".join(sides))[:3] == split[:3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no tab", "line 3: expected two columns with a tab between them, got 1 column"),
        ("a\tb\tc", "line 3: expected two columns with a tab between them, got 3 columns"),
        ("a\t ", "line 3: the second side is empty"),
        ("\tb", "line 3: the first side is empty"),
        ("", "line 3: expected two columns with a tab between them, got 1 column"),
    ],
)
def test_a_wrong_line_is_named(line, message, tmp_path):
    with pytest.raises(InputError, match=f"a.tsv, {message}"):
        pairs.load(write(tmp_path / "a.tsv", [*LINES[:2], line, *LINES[2:]]))


def test_files_that_do_not_fit_are_refused(tmp_path):
    one, other = write(tmp_path / "a.en", ["a"] * 200), write(tmp_path / "a.fr", ["b"] * 199)
    with pytest.raises(InputError, match="expected two files with as many lines, but .*a.en has 200 and .*a.fr has 199"):
        pairs.load(f"{one},{other}")
    write(tmp_path / "a.fr", ["b"] * 100 + [""] + ["b"] * 99)
    with pytest.raises(InputError, match="a.en and .*a.fr, line 101: the second side is empty"):
        pairs.load(f"{one},{other}")
    with pytest.raises(InputError, match="few.tsv: expected at least 100 pairs, got 3"):
        pairs.load(write(tmp_path / "few.tsv", LINES[:3]))
    with pytest.raises(InputError, match="too few pairs: of 150 none is left for validation"):
        pairs.load(write(tmp_path / "same.tsv", LINES[:1] * 150))
    with pytest.raises(InputError, match="none.tsv: cannot be read: No such file"):
        pairs.load(str(tmp_path / "none.tsv"))
    (tmp_path / "latin.tsv").write_bytes("a\tb\né\tb\n".encode("latin-1"))
    with pytest.raises(InputError, match="latin.tsv, line 2: not UTF-8: byte 0xe9"):
        pairs.load(str(tmp_path / "latin.tsv"))


@pytest.mark.parametrize("seed", range(5))
def test_no_sentence_leaks_by_case_numbers_or_punctuation(seed):
    """Planted near-duplicates of every sentence land on its side of the split."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("abcdefghij"))
    base = [" ".join("".join(rng.choice(letters, 4)) for _ in range(5)) + f" {rng.integers(10, 99)}" for _ in range(3000)]
    twins = [source.upper().replace(" ", ", ")[:-2] + f"{rng.integers(10, 99)}!" for source in base]
    split = pairs.divide([(source, "x") for source in (*base, *twins)], "planted")
    sides = [{pairs.plain(source) for source, _ in part} for part in split[:3]]
    assert all(sides) and not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert all(len(part) == 2 * len(side) for part, side in zip(split[:3], sides))


def test_near_and_far():
    training = [("the red house is old", "A"), ("a cat sat on the mat", "B"), ("open the file menu", "C")]
    near = pairs.Nearest(training)
    assert near.translation("The cat sat on the MAT!") == "B"
    assert near.find("open the file menu") == (2, 1.0)
    index = len({"open the", "the file", "<s> open"}) / 7
    assert near.find("open the file now") == (2, pytest.approx(index))
    assert near.find("zebra") == (0, 0.0)
    assert near.far(("open the file now", "D")) and not near.far(("open the file menu", "D"))
    assert not near.far(("zebra", "b")) and near.far(("zebra", "zèbre"))


def test_dates_are_held_out_by_date():
    split = dates.load()
    assert [len(part) for part in split[:3]] == [20_000, 500, 1_000]
    days = [target for part in split[:3] for _, target in part]
    assert len(set(days)) == len(days)
    assert all(datetime.date.fromisoformat(day) for day in days)
    assert split == dates.load()
    date = datetime.date(1984, 3, 3)
    forms = [dates.written(date, form) for form in range(8)]
    assert forms[0] == "march 3rd, 1984" and forms[2] == "3rd of march 1984" and forms[6] == "saturday, march 3, 1984"
    assert len(set(forms)) == 8
    written = [dates.written(datetime.date(2000, 1, d), 0).split()[1] for d in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)]
    assert written == ["1st,", "2nd,", "3rd,", "4th,", "11th,", "12th,", "13th,", "21st,", "22nd,", "23rd,", "31st,"]


SENTENCES = ["Hello, world!  Two spaces", "l'été est là: 12,5 %", "snake_case  __x__", "tab\there", "日本語 שלום", "a" * 50, " lead"] * 3


@pytest.mark.parametrize("kind", tokens.KINDS)
def test_what_is_encoded_is_decoded_without_loss(kind):
    vocabulary = tokens.learn(SENTENCES, kind, 100)
    for text in SENTENCES:
        codes = vocabulary.encode(text)
        assert vocabulary.decode([tokens.GO, *codes, tokens.EOS, 7]) == text
        assert tokens.UNKNOWN not in codes
    again = tokens.from_json(vocabulary.as_json())
    assert [again.encode(text) for text in SENTENCES] == [vocabulary.encode(text) for text in SENTENCES]
    assert tokens.UNKNOWN in vocabulary.encode("ÿ")
    assert len(vocabulary) <= 100


def test_pairs_are_joined_as_by_counting_everything_anew():
    """Byte pair encoding written once more: count all pairs of all words before each merge."""
    rng = np.random.default_rng(0)
    texts = [" ".join("".join(rng.choice(list("abcd"), rng.integers(1, 7))) for _ in range(6)) for _ in range(60)]
    learned = tokens.learn(texts, "bpe", 4 + 5 + 20)
    words = [(list(chunk), 1) for text in texts for chunk in tokens.chunks(text, "bpe")]
    merges = []
    for _ in range(20):
        counts = {}
        for parts, n in words:
            for pair in itertools.pairwise(parts):
                counts[pair] = counts.get(pair, 0) + n
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        words = [(tokens.joined(parts, best), n) for parts, n in words]
    assert learned.merges == merges


def test_tokens_are_sorted_by_how_common_they_are():
    vocabulary = tokens.learn(["b b b b a a c"], "words", 7)
    assert vocabulary.tokens == [*tokens.SPECIAL, " b", " a", " c"]
    assert len(tokens.learn(["b b b b a a c"], "words", 6)) == 6
    with pytest.raises(InputError, match="--vocabulary: expected at least 8, one token for each character, got 7"):
        tokens.learn(["ab c"], "bpe", 7)


@pytest.mark.parametrize("value", [{}, [], {"kind": "x", "tokens": tokens.SPECIAL, "merges": []}, {"kind": "bpe", "tokens": ["a"]}])
def test_damaged_vocabularies_are_not_read(value):
    with pytest.raises((KeyError, TypeError, ValueError)):
        tokens.from_json(value)
