"""Words as numbers: ranks, the unknown ones, pieces that cut words."""

import gzip

import numpy as np
import pytest

from rnn_from_scratch.data import InputError, words

TEXT = "The cat's here. The dog, the CAT and l’été; the dog_2 3rd!\n"


def test_the_commonest_word_is_0():
    found = words.encode([TEXT], "text", 100)
    assert found.words[:2] == ["the", "dog"]
    assert found.words[2:] == ["cat's", "here", "cat", "and", "l’été", "2", "3rd"]
    assert [found.words[code] for code in found.codes[:4]] == ["the", "cat's", "here", "the"]
    assert found.counts.tolist() == [4, 2, 1, 1, 1, 1, 1, 1, 1]
    assert found.codes.dtype == np.int32


def test_unknown_words_have_a_place_by_their_count():
    found = words.encode(["a a a a b b b c c d e f g"], "text", 4)
    assert (found.words, found.counts.tolist(), found.types) == (["a", words.UNKNOWN, "b", "c"][:4], [4, 4, 3, 2], 7)
    assert found.codes.tolist() == [0, 0, 0, 0, 2, 2, 2, 3, 3, 1, 1, 1, 1]
    rare = words.encode(["a a a b b b c c d"], "text", 4)
    assert (rare.words, rare.codes.tolist()) == (["a", "b", "c", "d"], [0, 0, 0, 1, 1, 1, 2, 2, 3])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
def test_no_word_is_cut_between_pieces(size):
    whole = words.encode([TEXT * 3], "text", 100)
    parts = words.encode([(TEXT * 3)[n : n + size] for n in range(0, 3 * len(TEXT), size)], "text", 100)
    assert parts.words == whole.words
    np.testing.assert_array_equal(parts.codes, whole.codes)
    assert parts.sha256 == whole.sha256


def test_files_of_any_kind(tmp_path):
    with gzip.open(tmp_path / "a.txt.gz", "wt", encoding="utf-8") as file:
        file.write("one two two")
    assert words.load(tmp_path / "a.txt.gz", 10).words == ["two", "one"]
    (tmp_path / "long.txt").write_text("x" * 3_000_000, encoding="utf-8")
    assert {len(word) for word in words.load(tmp_path / "long.txt", 10).words} == {words.LONGEST_WORD}
    (tmp_path / "none.txt").write_text("... !!! ...", encoding="utf-8")
    with pytest.raises(InputError, match="none.txt: holds no word"):
        words.load(tmp_path / "none.txt", 10)
    with pytest.raises(InputError, match="missing.txt: cannot be read: No such file"):
        words.load(tmp_path / "missing.txt", 10)
    (tmp_path / "bytes.txt").write_bytes(b"good\nbad \xff\n")
    with pytest.raises(InputError, match="bytes.txt, line 2: not UTF-8: byte 0xff"):
        words.load(tmp_path / "bytes.txt", 10)


def test_the_embedded_text_has_kin_and_titles():
    found = words.load(None, 50_000)
    assert found.types == len(found.words) < 50_000
    assert {"father", "daughter", "king", "duke", "three"} <= set(found.words[:2000])
