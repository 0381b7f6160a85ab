"""What the benchmark suites make of their JSON: tables, plots, the comparison with an older file, exit codes."""

import io
import json
import sys

import pytest
from rich.console import Console

from bench import cases, interleaved, peers, plots, report, run
from rnn_from_scratch.data import InputError

from ..conftest import ROOT

TRAIN = cases.TRAIN


def row(name, suite, impl="native", shape="char", what=TRAIN, ms=2.0, **more):
    """One benchmark as pytest-benchmark writes it."""
    info = {"suite": suite, "impl": impl, "cell": "LSTM", "shape": shape, "sizes": cases.sizes(shape), "pass": what, "ms": ms}
    info.update(gflop=1.0, gflops=500.0, share=0.5, isa="x86-64-v3", **more)
    return {"name": name, "extra_info": info, "stats": {"min": ms / 1e3, "median": ms / 1e3}}


def recorded():
    rows = [row("seq", "sequence"), row("seq reference", "sequence", impl="reference", ms=8.0)]
    for impl, ratio in (("gemm", 0.8), ("torch", 1.5)):
        pairs = {"ours_ms": [2.0, 4.0, 2.0], "theirs_ms": [2 * ratio, 4 * ratio, 2 * ratio], "ratio": ratio}
        rows.append(row(f"peer {impl}", "peer", impl=impl, ms=2 * ratio, **pairs))
    rows.append(row("variant", "variant", variant="LSTM any mask", plain="LSTM", plain_ms=1.9, ratio=1.05))
    for at in (10, 100):
        for impl in ("native", "gemm"):
            memory = {} if impl == "gemm" else {"peak_bytes": at * 2**20, "tape_bytes": at * 2**19}
            rows.append(row(f"sweep {impl} {at}", "sweep", impl, f"32,{at},128,128", axis="T", at=at, **memory))
    machine = {"ours": "native", "backends": ["reference", "native"], "machine": "mine", "isa": "x86-64-v3", "threads": 2}
    machine.update(versions={"numpy": "2.0"}, settings={"RNN_NATIVE_ISA": "x86-64-v3"})
    return {"benchmarks": rows, "machine_info": machine}


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(recorded()), encoding="utf-8")
    return path


def loaded(tmp_path, change):
    """The recorded file after change(rows by name)."""
    found = recorded()
    change({b["name"]: b for b in found["benchmarks"]})
    path = tmp_path / "new.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return report.load(path)


# the report


def test_tables_show_every_number_once_it_was_measured(tmp_path):
    def change(rows):  # the reference is unsteady, and faster than its products alone by far: that is nonsense
        rows["seq reference"]["extra_info"].update(spread=0.3, waited=0.0, unsteady=True)
        del rows["seq reference"]["extra_info"]["share"]

    text = report.markdown(loaded(tmp_path, change), ["a.png"])
    assert "| cell | B,T,I,H | ms | GFLOP/s | products alone | torch |" in text
    assert "| LSTM | char 50,50,64,128 | 2.00 | 500 | 0.80 | 1.50 |" in text
    assert "| LSTM | char 50,50,64,128 | 2.00 |  | 500 | 0.50 | ~8.00 | ±30% | 500 | ? |" in text
    assert "| LSTM any mask, against LSTM | char 50,50,64,128, native | 1.90 | 2.00 | 1.05 |" in text
    assert "| LSTM | 32,100,128,128 | 100 |" in text
    assert "mine, x86-64-v3, 2 threads, RNN_NATIVE_ISA=x86-64-v3; numpy 2.0." in text and "![a.png](a.png)" in text


def test_a_peer_that_was_not_run_leaves_its_cell_empty(tmp_path):
    found = recorded()
    extra = row("peer keras", "peer", "keras", "mnist", ratio=2.0, ours_ms=[1.0], theirs_ms=[2.0])
    found["benchmarks"].append(extra)
    path = tmp_path / "more.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    text = report.peers_table(report.load(path), TRAIN)
    assert "| 0.80 | 1.50 |  |" in text and "|  |  | 2.00 |" in text


def test_on_the_screen_every_peer_of_the_longest_names_fits_80_columns(capsys):
    both = [(cell, shape) for cell in cases.CELLS for shape in cases.SHAPES]
    noise = {"spread": 1.23, "waited": 0.0, "unsteady": True}
    rows = [
        {**row("", "peer", peer, shape, ratio=12.34, ours_ms=[123.4], **noise)["extra_info"], "cell": cell, "pass": what}
        for cell, shape in both
        for peer in report.TITLES
        for what in (TRAIN, "inference")
    ]
    run.summary(report.Results(rows, recorded()["machine_info"]), Console(width=80))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out
    assert out.count(" ~12.3") == out.count("±123%") == len(rows)
    assert all(word in out for title in report.TITLES.values() for word in title.split())


def test_plots_draw_what_was_run_and_the_bound(old):
    rows = report.load(old).rows
    figures = plots.figures(rows, "native")
    assert list(figures) == ["ratio_LSTM_forward_backward", "time_T_LSTM", "memory_T_LSTM"]
    (axes,) = figures["time_T_LSTM"].axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["native (ours)", "matrix products"] and lines["matrix products"].get_linestyle() == "--"
    assert list(lines["native (ours)"].get_xdata()) == [10, 100]
    assert {line.get_label() for line in figures["memory_T_LSTM"].axes[0].lines} == {"native (ours)", "our tape alone"}
    for figure in figures.values():
        figure.savefig(io.BytesIO())


def test_every_implementation_has_a_look():
    assert set(peers.PEERS) - {"emulated"} <= set(plots.LOOKS)


def test_the_guide_is_rewritten_between_the_markers(old, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["report", str(old), "--report", str(tmp_path / "out"), "--readme", str(readme)])
    report.main()
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and "| 1.50 |" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"bench.md", "time_T_LSTM.png"}
    assert (ROOT / "bench/README.md").read_text(encoding="utf-8").count("<!-- bench: ") == 2


def test_parts_are_joined_if_one_machine_timed_them(old, tmp_path, monkeypatch, capsys):
    part = recorded()
    part["benchmarks"] = [row("other", "variant", variant="LSTM relu", plain="LSTM", plain_ms=1.9, ratio=1.7)]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(part), encoding="utf-8")
    assert len(report.joined([old, other]).rows) == 1 + len(report.load(old).rows)
    monkeypatch.setattr(sys, "argv", ["report", str(old), str(other), "--report", str(tmp_path / "out")])
    report.main()
    assert "LSTM any mask" in (page := (tmp_path / "out" / "bench.md").read_text(encoding="utf-8")) and "LSTM relu" in page
    other.write_text(json.dumps({**part, "machine_info": {**part["machine_info"], "threads": 1}}), encoding="utf-8")
    with pytest.raises(SystemExit):
        report.main()
    assert "one machine" in capsys.readouterr().err


def test_rows_that_were_not_run_are_counted_by_reason():
    lines = [f"SKIPPED [{rows}] bench/{file}.py:3: needs torch: pip install torch" for rows, file in ((3, "a"), (2, "b"))]
    assert run.not_run(lines) == {"needs torch: pip install torch": 5}
    assert run.row_name("bench/a.py::test_peer[torch-LSTM-mnist-inference] PASSED [ 3/45]").strip() == "torch-LSTM-mnist-inference"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"benchmarks": [{"name": "other"}], "machine_info": {}}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"expected the bench\.json of an earlier"):
        report.load(path)


WRONG = {
    "cell lstmm": "--cell: expected one of SimpleRNN, .*, got lstmm",
    "shape chr": "--shape: expected B,T,I,H, as in .*, got chr; did you mean char",
    "shape 3,4": "--shape: expected B,T,I,H",
    "shape 3,0,4,4": "--shape: expected B,T,I,H",
    "peer tourch": "--peer: expected one of gemm, torch, .*; did you mean torch",
    "what infer": "--what: expected one of inference, forward, ",
    "threshold 1": "--threshold: expected a number above 1, got 1",
    "threshold nan": "--threshold: expected a number above 1, got nan",
    "within -3": "--within: expected a number above 0, got -3",
}


def test_what_is_asked_for_reaches_the_suites(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(run, "suites", lambda found, options, console: given.append(options) or run.NO_ROW)
    with pytest.raises(InputError, match="no row is all of --cell GRU reset before, --shape 3,4,5,6, --peer torch, --what inference"):
        run.main(True, cell="gru_reset_before", shape="3,4,5,6", peer="torch", what="inference", within=7)
    assert given[0][-5:] == ["--cell=GRU reset before", "--shape=3,4,5,6", "--peer=torch", "--what=inference", "--within=7"]


def test_wrong_arguments_are_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "suites", None)
    with pytest.raises(InputError, match="no such file"):
        run.main(True, None, tmp_path / "missing.json")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder, got a file"):
        run.main(True, tmp_path / "file", None)
    for asked, message in WRONG.items():
        name, value = asked.split(" ", 1)
        with pytest.raises(InputError, match=message):
            run.main(True, **{name: float(value) if name in ("threshold", "within") else value})
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "rnn_from_scratch\[bench\]"'):
        run.main(True, None, None)


def test_a_share_that_cannot_be_is_timed_again_and_left_out(monkeypatch):
    times = []
    monkeypatch.setattr(interleaved, "process", lambda impl, jobs, seconds: [{"min_ms": times.pop(0)}])
    monkeypatch.setattr(interleaved, "products", interleaved.products.__wrapped__)
    rows = [([13.6], {"bound_ms": 13.6, "share": 1.36})]
    rows += [([136.0, 9.0], {"bound_ms": 9.0, "share": 0.9}), ([136.0, 140.0], {"bound_ms": 136.0})]
    for times[:], expected in rows:
        assert interleaved.share_of_bound(("LSTM", "char", TRAIN), 10.0, 0.0) == pytest.approx(expected)
        assert not times


@pytest.mark.parametrize(("code", "factor", "expected"), [(0, 1, 0), (0, 2, 1), (1, 1, 1), (2, 1, 1), (-9, 1, 1), (0, None, 1)])
def test_exit_codes_and_files(old, tmp_path, monkeypatch, code, factor, expected):
    """1 for a failed row, for a slower one, for pytest's own failures and where no row was reached: these leave no report."""

    def suites(found, options, console):
        written = recorded()
        if factor is None:
            return code
        written["benchmarks"][0]["stats"]["min"] *= factor
        found.write_text(json.dumps(written), encoding="utf-8")
        return code

    monkeypatch.setattr(run, "suites", suites)
    assert run.main(True, tmp_path / "out", old) == expected
    assert (tmp_path / "out/bench.json").exists() == (tmp_path / "out/bench.md").exists() == (code in (0, 1) and factor is not None)
