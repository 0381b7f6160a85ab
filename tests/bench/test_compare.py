"""What became slower: beside a file of an earlier run, and beside the folder of an older checkout."""

import io
import json

import pytest

from bench import compare, report, run
from rnn_from_scratch.data import InputError

from ..conftest import ROOT
from .test_bench import loaded, recorded


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(recorded()), encoding="utf-8")
    return path


def slower(changes, threshold=compare.THRESHOLD):
    return {change.name: change.times for change in changes if change.verdict(threshold) == "slower"}


def test_the_same_file_is_not_slower(old):
    changes = compare.compare(report.load(old), report.load(old))
    assert len(changes) == 7 and not slower(changes)


def test_a_slower_row_is_named_and_a_slower_peer_is_not(old, tmp_path):
    def change(rows):
        rows["seq"]["stats"]["min"] *= 1.4  # beyond 1.3
        rows["seq reference"]["stats"]["min"] *= 1.2  # within
        rows["peer torch"]["extra_info"]["ratio"] /= 2
        rows["peer gemm"]["stats"]["min"] *= 9  # its own time is not ours to defend
        rows["sweep gemm 10"]["stats"]["min"] *= 9
        rows["variant"]["extra_info"]["ratio"] = float("nan")

    changes = compare.compare(report.load(old), loaded(tmp_path, change))
    assert len(changes) == 7
    found = slower(changes)
    assert set(found) == {"peer torch", "seq", "variant"}
    assert found["peer torch"] == pytest.approx(2)
    assert set(slower(changes, 1.1)) == {*found, "seq reference"} and set(slower(changes, 1.5)) == {"peer torch", "variant"}


@pytest.mark.parametrize(("noise", "verdict"), [((0.05, 0.0), "slower"), ((0.3, 0.0), "unsteady"), ((0.05, 0.5), "unsteady")])
@pytest.mark.parametrize("which", ["then", "now"])
def test_a_row_that_may_be_off_is_judged_by_what_is_sure(tmp_path, noise, verdict, which):
    """1.6 times slower: told apart from 1.3 if the samples lie 5 % apart, not if 30 %, nor if the threads waited half of the time."""

    def written(quiet, factor):
        def change(rows):
            rows["seq"]["stats"]["min"] *= factor
            if not quiet:
                rows["seq"]["extra_info"].update(spread=noise[0], waited=noise[1])

        return loaded(tmp_path, change)

    changes = compare.compare(written(which == "now", 1), written(which == "then", 1.6))
    assert {change.verdict(1.3) for change in changes if change.name == "seq"} == {verdict}
    out = io.StringIO()
    assert compare.judge(changes, 1.3, run.Console(file=out, width=80)) == (verdict == "slower")
    assert ("slower by 1.60: seq" in out.getvalue()) == (verdict == "slower")
    assert ("1 rows are unsteady" in out.getvalue()) == (verdict == "unsteady")


def test_files_without_a_common_row_fail(old, tmp_path):
    new = loaded(tmp_path, lambda rows: [b.update(name=b["name"] + "!") for b in rows.values()])
    out = io.StringIO()
    assert compare.with_file(report.load(old), new, compare.THRESHOLD, run.Console(file=out))
    assert "0 rows compared" in out.getvalue()


def test_a_folder_that_cannot_be_compared_with_is_one_line(tmp_path):
    (tmp_path / "bench").mkdir()
    for text, message in ((None, "expected a bench.json, or a checkout"), ("old", "too old to take turns")):
        if text:
            (tmp_path / "bench/time_one.py").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            run.main(True, compare=tmp_path)
    for other in ({"report": tmp_path}, {"peer": "torch"}):
        with pytest.raises(InputError, match="not with --compare FOLDER"):
            run.main(True, compare=ROOT, **other)
    with pytest.raises(InputError, match="nothing to time"):
        run.main(True, compare=ROOT, cell="gru", shape="load")
    with pytest.raises(InputError, match="Python found"):
        compare.with_folder(fake_checkout(tmp_path), [("LSTM", "load", "inference")], (0.0, 1, 1), 1.3, run.Console())


def fake_checkout(folder):
    """A checkout whose package is not there: Python finds ours."""
    (folder / "bench/__init__.py").touch()
    text = "import json; print(json.dumps({'package': '/elsewhere'}))"
    (folder / "bench/time_one.py").write_text(text, encoding="utf-8")
    return folder
