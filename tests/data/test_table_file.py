"""Numbers from tables: what the csv module reads, and how each way to write a number is read, told or refused."""

import csv
import io
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import strategies as st

from rnn_from_scratch.data import InputError, load

from ..helpers.fuzz import few_and_many, tried


def read(tmp_path, text, name="", encoding="utf-8", **options):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return load.load(path, name, **options)


RIGHT = {
    "decimal commas": (
        'Time,Load\n1,"1,250"\n2,"1,310"\n3,"0,998"\n',
        [1.25, 1.31, 0.998],
        "reads 1,250 as 1.25: decimal comma; --decimal . if not",
    ),
    "a comma in a name": ('Id,House 7,Load\n"A, 3",5.5,100\n"B, 1",6.5,101\n', [100, 101], None),
    "thousands": ('Time,Load\n1,"1,301.5"\n2,998\n', [1301.5, 998], "reads 1,301.5 as 1301.5: thousands separators"),
    "thousands and millions": ('Time,Load\n1,"1,250,000"\n2,"1,310"\n', [1250000, 1310], "thousands separators"),
    "German": ("Zeit;Load\n1;1.301,5\n2;998,25\n", [1301.5, 998.25], "reads 1.301,5 as 1301.5: decimal comma; --decimal . if not"),
    "spaces between thousands": ("Zeit;Load\n1;1 301,5\n2;998,25\n", [1301.5, 998.25], "thousands separators"),
    "Swiss": ("Zeit;Load\n1;1'301.5\n2;998.25\n", [1301.5, 998.25], "reads 1'301.5 as 1301.5: thousands separators"),
    "three digits after a point": ("Time,Load\n1,1.250\n2,1.310\n", [1.25, 1.31], "reads 1.250 as 1.25; --decimal , if it is 1250"),
    "tabs": ("Time\tLoad\n1\t1.25\n2\t1.3\n", [1.25, 1.3], None),
    "one column": ("Load\n1.25\n1.3\n", [1.25, 1.3], None),
    "in any case": ("time,LOAD\n1,2\n", [2], None),
    "spaces after commas": ('Time, Load\n1, "1,301.5"\n2, 998\n', [1301.5, 998], "thousands separators"),
    "empty lines": ("\nTime,Load\n1,2\n\n  \n2,3\n\n", [2, 3], "empty lines left out: 3, the first is line 4"),
    "line ends": ("Time,Load\r\n1,2\r\n2,3\r\n", [2, 3], None),
    "old line ends": ("Time,Load\r1,2\r2,3\r", [2, 3], None),
    "a total": ("Time,Load\n1,2\n2,3\nTotal,5\n", [2, 3], "line 4 left out: its first field is 'Total'"),
    "a name that says total": ("Kind,Load\ntotal,2\ntotal,3\n", [2, 3], None),
    "a line break in a field": ('Note,Load\n"a\nb",2\nc,3\n', [2, 3], None),
    "an exponent": ("Time,Load\n1,1.5e3\n2,-.5\n3,+7.\n", [1500, -0.5, 7], None),
}


@pytest.mark.parametrize(("text", "values", "note"), RIGHT.values(), ids=RIGHT)
def test_a_number_is_read_as_it_was_written(text, values, note, tmp_path):
    found = read(tmp_path, text)
    assert found.values.tolist() == values
    assert (not found.notes) if note is None else any(note in line for line in found.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
def test_a_byte_order_mark_is_no_part_of_a_name(encoding, tmp_path):
    text = "Load;Zeit ä\r\n1,5;1\r\n"
    if encoding.endswith("-bom"):
        text, encoding = "\ufeff" + text, encoding.removesuffix("-bom")
    assert read(tmp_path, text, encoding=encoding).values.tolist() == [1.5]


WRONG = {
    "comma, three digits": ('Time,Load\n1,"1,250"\n2,7\n', "line 2: Load: '1,250' can be 1250 or 1.25, and no other row decides; say with"),
    "point, three digits": ("Zeit;Load\n1;7\n2;1.310\n", "line 3: Load: '1.310' can be 1.31 or 1310"),
    "two marks": ('Time,Load\n1,1.5\n2,"2,5"\n', "line 3: Load: expected a number with a decimal point, got '2,5'"),
    "two styles": ('Time,Load\n1,1250.5\n2,"1,310"\n', "line 3: Load: '1,310' and '1250.5' (in another line) mark thousands in two ways"),
    "two separators": ("Load;b,Load\n1;2,3\n", "line 1: ',' and ';' both separate its fields"),
    "one field more": ("Time,Load\n1,2\n2,1,250\n", "line 3: expected 2 fields, as the first line has, got 3; quote what holds"),
    "after a field of two lines": ('Note,Load\n"a\nb",2\nc\n', "line 4: expected 2 fields"),
    "an open quote": ('Time,Load\n1,2\n2,"3\n', "line 3: not a row of a table: unexpected end of data"),
    "no such column": ("Time,House 7\n1,2\n", "line 1: expected a column 'Load', got Time, House 7; --column NAME reads another"),
    "two columns in another case": ("load,LOAD\n1,2\n", "line 1: 2 columns are named 'Load'"),
    "the sum of all": ("Load\n" + "3.1\n" * 12 + "37.2\n", "line 14: Load: 37.2 is the sum of all rows before; leave that line out"),
    "digits apart": ("Load\n1_000\n", "got '1_000'"),
    "too large": ("Load\n1e999\n", "expected a number that float64 can hold, got '1e999'"),
    "not grouped by three": ('Time,Load\n1,"12,50.5"\n', "expected a number, got '12,50.5'"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_sure_is_refused_with_its_line(text, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_exact_name_is_meant_where_cases_differ(tmp_path):
    assert read(tmp_path, "load,Load\n1,2\n").values.tolist() == [2]
    assert read(tmp_path, "load,Load\n1,2\n", "load").values.tolist() == [1]


def test_decimal_decides(tmp_path):
    text = 'Time,Load\n1,"1,250"\n2,"1,310"\n'
    assert read(tmp_path, text, decimal=",").values.tolist() == [1.25, 1.31]
    assert read(tmp_path, text, decimal=".").values.tolist() == [1250, 1310]
    with pytest.raises(InputError, match=r"line 2: Load: expected a number with a decimal point, got '0,998'"):
        read(tmp_path, 'Time,Load\n1,"0,998"\n', decimal=".")


def test_gaps_are_filled_as_asked(tmp_path):
    text = "Load\n1\n2\n\n?\nnan\n8\n"
    assert read(tmp_path, text, fill="linear").values.tolist() == [1, 2, 3.5, 5, 6.5, 8]
    found = read(tmp_path, text, fill="previous-day", period=2)
    assert found.values.tolist() == [1, 2, 1, 2, 1, 8]
    assert found.notes == ["Load: 3 of 6 values (50.00%) were missing and are filled: previous-day"]
    assert found.filled == 0.5
    with pytest.raises(InputError, match=r"line 4: Load: --fill previous-day: no value 3 rows before \(--period\)"):
        read(tmp_path, text, fill="previous-day", period=3)
    for edge in ("Load\n?\n1\n", "Load\n1\n?\n", "Load\n?\n"):
        with pytest.raises(InputError, match="--fill linear: no value on both sides of the gap"):
            read(tmp_path, edge, fill="linear")


def grouped(number, places, decimal, thousands):
    """A number with so many places after the mark, and a mark between thousands."""
    return f"{number:,.{places}f}".translate(str.maketrans({",": thousands, ".": decimal}))


TABLES = st.fixed_dictionaries(
    {
        "numbers": st.lists(st.floats(-9e6, 9e6), min_size=1, max_size=30),
        "places": st.integers(0, 4),
        "marks": st.sampled_from([(".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", "'"), (",", "\u202f")]),
        "separator": st.sampled_from(",;\t"),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "label": st.text(st.sampled_from('ab ,;\t"\n.1'), max_size=6),
        "end": st.sampled_from(["\n", "\r\n"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    }
)


def agrees(tmp_path, table):
    """A table that the csv module has written gives its numbers, or is refused because it can be read in two ways."""
    texts = [grouped(number, table["places"], *table["marks"]) for number in table["numbers"]]
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=table["separator"], quoting=table["quoting"], lineterminator=table["end"])
    writer.writerows([["Label", "Load"], *(["x" + table["label"], text] for text in texts)])
    try:
        found = read(tmp_path, file.getvalue(), encoding=table["encoding"])
        if any("; --decimal , if it is " in note for note in found.notes):  # read as a fraction, and told
            assert (table["separator"], table["marks"][0 if table["places"] else 1]) == (",", ".")
            found = read(tmp_path, file.getvalue(), encoding=table["encoding"], decimal=table["marks"][0])
    except InputError as error:
        assert any(words in str(error) for words in ("can be", "both separate", "is the sum of"))  # noqa: PT017
        return
    np.testing.assert_array_equal(found.values, [round(number, table["places"]) for number in table["numbers"]])


def survives(tmp_path, text):
    """Any text at all: refused in one line, or every value is what csv and float say of a field of that column."""
    try:
        found = read(tmp_path, text)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    lines, known = text.replace("\r", "\n").split("\n"), set()
    readers = (csv.reader([line + "\n" for line in lines], delimiter=separator, skipinitialspace=True) for separator in ",;\t")
    for field in (field.strip() for reader in readers for row in reader for field in row):
        for decimal in ".,":
            plain = field.replace({".": ",", ",": "."}[decimal], "").replace("'", "").replace(" ", "").replace(decimal, ".")
            try:
                known.add(float(plain))
            except ValueError:
                continue
    assert set(found.values) <= known
    assert all(map(math.isfinite, found.values))


TEXTS = st.text(st.sampled_from('01259.,;\t\n\r"\' -+eLx'), max_size=40).map(lambda text: "Load" + text)


@few_and_many
def test_a_table_of_the_csv_module_is_read_right(tmp_path, count):
    tried(count, TABLES, partial(agrees, tmp_path))


@few_and_many
def test_no_text_ends_in_a_traceback(tmp_path, count):
    tried(count, TEXTS, partial(survives, tmp_path))
