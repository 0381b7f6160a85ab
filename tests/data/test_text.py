"""Text for character models: numbers and back, pieces of any size, wrong files; ABC tunes and the judge of them."""

import codecs
import gzip
import importlib.util
import lzma
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import strategies as st

from rnn_from_scratch.data import InputError, abc, files
from rnn_from_scratch.data import text as data

from ..helpers.fuzz import few_and_many, tried
from ..helpers.wrong_files import UNREADABLE, refused

TUNE = """X:12
T:The Tune
M:6/8
L:1/8
K:G
|: G2B dBd | (3efg a>b g | {c}B^c'2 z [GBd]3 :|"""


def test_the_embedded_shakespeare():
    text = data.load()
    assert 990_000 < len(text.codes) <= 1_000_000
    assert text.codes.dtype == np.uint8
    assert text.characters == sorted(set(text.characters))
    start = data.decode(text.codes[:30], text.characters)
    assert start == "THESEUS:\nNow, fair Hippolyta, "
    np.testing.assert_array_equal(data.numbers_of(start, text.characters, "x"), text.codes[:30])


def test_pieces_of_any_size_give_the_same_numbers(tmp_path, monkeypatch):
    original = "First ß line\r\nsecond — line\rthird 𝄞\n" * 9
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + original.encode())
    (tmp_path / "text.txt.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "text.txt.xz").write_bytes(lzma.compress(path.read_bytes()))
    expected = original.replace("\r\n", "\n").replace("\r", "\n")
    for size in (1, 2, 3, 7, 100_000):
        monkeypatch.setattr(files, "PIECE", size)
        for name in ("text.txt", "text.txt.gz", "text.txt.xz"):
            text = data.load(tmp_path / name)
            assert data.decode(text.codes, text.characters) == expected
        assert list(files.text_lines(path)) == expected.splitlines()


def test_more_than_256_characters_need_wider_numbers():
    letters = [chr(0x4E00 + n) for n in range(300)]
    text = data.encode(["".join(letters[:200]), "".join(letters[100:])], "")
    assert text.codes.dtype == np.uint32
    assert data.decode(text.codes, text.characters) == "".join(letters[:200] + letters[100:])


WRONG = {
    **UNREADABLE,
    "blank": (b" \n\n ", "holds no text"),
    "cut": ("one\nß".encode()[:-1], ", line 2: not UTF-8: byte 0xc3"),
}


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_its_line(content, message, size, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIECE", size)
    refused(tmp_path / "bad.txt", content, message, data.load)


def test_damaged_archives_and_folders_are_refused(tmp_path):
    for name, content in (("a.gz", b"plain"), ("b.gz", gzip.compress(b"text" * 99)[:-9]), ("c.xz", lzma.compress(b"text")[:-9])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}: cannot be read: "):
            data.load(tmp_path / name)
    with pytest.raises(InputError, match="expected a file, got a folder"):
        data.load(tmp_path)


def test_a_character_that_is_unknown_is_named():
    with pytest.raises(InputError, match="--prime: character 3 is 'é', which the text of the training never had"):
        data.numbers_of("abé", ["a", "b"], "--prime")


def test_music21_s_tunes_are_read_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--data music21: needs music21: pip install music21"):
        data.load("music21")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(InputError, match="holds none of airdsAirs"):
        data.load("music21")
    folder = tmp_path / "corpus/airdsAirs"
    folder.mkdir(parents=True)
    (folder / "one.abc").write_text("% about\nX:1\nT:A\nB:a book\nK:G\nGAB|\n|: c\nX:2\nT:B % why\nK:C\nc|\n", encoding="utf-8")
    text = data.load("music21")
    assert data.decode(text.codes, text.characters) == "X:1\nT:A\nK:G\nGAB|\n|: c\n\n\nX:2\nT:B\nK:C\nc|\n\n\n"


def test_tunes_are_cut_at_x_and_at_empty_lines():
    assert abc.tunes_of("words\nX:1\nK:C\n\nmore\n\nX:2\nK:D\nX:3\n") == ["X:1\nK:C", "X:2\nK:D", "X:3"]


FAULTS = {
    "no key": (TUNE.replace("K:G\n", ""), "no line K: ends the header"),
    "header": (TUNE.replace("M:6/8", "8/M:6"), "line 3: no header line: '8/M:6'"),
    "number": (TUNE.replace("X:12", "T:12"), "line 1: expected X:, got 'T:12'"),
    "length alone": (TUNE.replace("G2B", "2GB"), "line 6: no note, bar or sign at '2GB"),
    "open chord": (TUNE.replace("d]3", "d3"), "line 6: no note, bar or sign at '[GBd3 :|'"),
    "open grace": (TUNE.replace("{c}", "{c"), "no note, bar or sign at \"{cB"),
    "broken": (TUNE.replace("a>b", "|>b"), "'>' does not follow a note"),
    "tuplet": (TUNE.replace("(3efg", "(3|efg"), "'|' follows a tuplet"),
    "accidental": (TUNE.replace("^c'2", "^2c"), "no note, bar or sign at '^2c"),
    "short": (TUNE.replace("G2B dBd | (3efg a>b g |", ""), "4 notes and 2 bar lines; expected at least 8 and 2"),
    "no bar": (TUNE + "\n" + "abcdefg" * 3, "line 7: no bar line"),
}


@pytest.mark.parametrize(("tune", "message"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named(tune, message):
    assert abc.fault(TUNE) == ""
    assert message in abc.fault(tune)


def test_real_tunes_pass_and_shuffled_ones_do_not(shared_data):
    text = data.load(shared_data("abc/tunes.abc.gz"))
    tunes = abc.tunes_of(data.decode(text.codes, text.characters))
    held_out = tunes[-len(tunes) // 20 :]
    shuffled = [abc.shuffled(tune, n) for n, tune in enumerate(held_out)]
    music = [abc.shuffled_music(tune, n) for n, tune in enumerate(held_out)]
    rates = [abc.accepted(part) for part in (tunes, held_out, shuffled, music)]
    print("well formed: all {:.1%}, held out {:.1%}, lines shuffled {:.1%}, lines of music alone {:.1%}".format(*rates))
    assert min(rates[:2]) >= 0.98
    assert max(rates[2:]) <= 0.05
    assert sorted(shuffled[0]) == sorted(held_out[0])


def decoded(content: bytes) -> str:
    """What a text file of these bytes holds."""
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = content.decode("utf-16" if content.startswith(marks) else "utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_read_right(tmp_path, given):
    """The very text, or one line that says why not; so for bytes of any kind, and for text in three encodings."""
    content, piece = given
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PIECE", piece)
        try:
            found = data.load(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
            try:
                text = decoded(content)
            except UnicodeDecodeError:
                return
            assert "\0" in text or not text.strip()
            return
    assert data.decode(found.codes, found.characters) == decoded(content)


LETTERS = st.text(st.sampled_from("ab \r\n\tß—𝄞\u202e\ufeff\x07"), max_size=30)
ENCODED = st.tuples(LETTERS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])).map(lambda pair: pair[0].encode(pair[1]))
CONTENTS = st.tuples(st.one_of(st.binary(max_size=30), ENCODED), st.integers(3, 9))  # the mark of an encoding is in the first piece


@few_and_many
def test_a_text_file_is_read_right_or_refused_in_one_line(tmp_path, count):
    tried(count, CONTENTS, partial(is_read_right, tmp_path))


def goes_there_and_back(prime):
    """What `generate` begins with: the codes of these very characters, or one line that names the first strange one."""
    characters = sorted("ab\n ß𝄞")
    try:
        codes = data.numbers_of(prime, characters, "--prime")
    except InputError as error:
        strange = next(place for place, character in enumerate(prime, 1) if character not in characters)
        assert str(error).startswith(f"--prime: character {strange} is ") and str(error).isprintable()  # noqa: PT017
        return
    assert data.decode(codes, characters) == prime


@few_and_many
def test_a_prime_goes_there_and_back_or_is_refused_in_one_line(count):
    tried(count, st.one_of(st.text(max_size=9), st.text(st.sampled_from("ab\n ß𝄞"), max_size=9)), goes_there_and_back)
