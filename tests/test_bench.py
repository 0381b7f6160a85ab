"""The benchmark suites' own logic: the gate, the report, the comparison, and one row from end to end."""

import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench import cases, parity, peers, plots, report, run, time_one, turns
from rnn_from_scratch import backends
from rnn_from_scratch.data import InputError

from .conftest import ROOT

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
    machine = {"ours": "native", "backends": ["reference", "native"], "threads": 2, "versions": {"numpy": "2.0"}, "machine": "mine"}
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


def test_tables_show_every_number_once_it_was_measured(old):
    text = report.markdown(report.load(old), ["a.png"])
    assert "| cell | B,T,I,H | ms | GFLOP/s | share of bound | torch |" in text
    assert "| LSTM | char 50,50,64,128 | 2.00 | 500 | 0.80 | 1.50 |" in text
    assert "| LSTM | char 50,50,64,128 | 2.00 | 500 | 0.50 | 8.00 | 500 | 0.50 |" in text
    assert "| LSTM any mask, against LSTM | char 50,50,64,128, native | 1.90 | 2.00 | 1.05 |" in text
    assert "| LSTM | 32,100,128,128 | 100 |" in text
    assert "mine, x86-64-v3, 2 threads; numpy 2.0." in text and "![a.png](a.png)" in text


def test_a_peer_that_was_not_run_leaves_its_cell_empty(tmp_path):
    found = recorded()
    extra = row("peer keras", "peer", "keras", "mnist", ratio=2.0, ours_ms=[1.0], theirs_ms=[2.0])
    found["benchmarks"].append(extra)
    path = tmp_path / "more.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    text = report.peers_table(report.load(path), TRAIN)
    assert "| 0.80 | 1.50 |  |" in text and "|  |  | 2.00 |" in text


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


def test_readme_is_rewritten_between_the_markers(old, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["report", str(old), "--report", str(tmp_path / "out"), "--readme", str(readme)])
    report.main()
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and "| 1.50 |" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"bench.md", "time_T_LSTM.png"}
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("<!-- bench: ") == 2


# the comparison


def test_the_same_file_is_not_slower(old):
    assert report.compare(report.load(old), report.load(old)) == ([], 7)


def test_a_slower_row_is_named_and_a_slower_peer_is_not(old, tmp_path):
    def change(rows):
        rows["seq"]["stats"]["min"] *= 1.4  # beyond 1.3
        rows["seq reference"]["stats"]["min"] *= 1.2  # within
        rows["peer torch"]["extra_info"]["ratio"] /= 2
        rows["peer gemm"]["stats"]["min"] *= 9  # its own time is not ours to defend
        rows["sweep gemm 10"]["stats"]["min"] *= 9
        rows["variant"]["extra_info"]["ratio"] = float("nan")

    slower, common = report.compare(report.load(old), loaded(tmp_path, change))
    assert common == 7
    assert {name for name, _ in slower} == {"peer torch", "seq", "variant"}
    assert dict(slower)["peer torch"] == pytest.approx(2)


def test_files_without_a_common_row_fail(old, tmp_path):
    new = loaded(tmp_path, lambda rows: [b.update(name=b["name"] + "!") for b in rows.values()])
    out = io.StringIO()
    assert run.grew(report.load(old), new, run.Console(file=out))
    assert "0 rows compared" in out.getvalue()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"benchmarks": [{"name": "other"}], "machine_info": {}}'])
def test_another_file_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"expected the bench\.json of an earlier"):
        report.load(path)


def test_wrong_arguments_are_refused_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "suites", None)
    with pytest.raises(InputError, match="no such file"):
        run.main(True, None, tmp_path / "missing.json")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder, got a file"):
        run.main(True, tmp_path / "file", None)
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "rnn_from_scratch\[bench\]"'):
        run.main(True, None, None)


@pytest.mark.parametrize(("code", "factor", "expected"), [(0, 1, 0), (0, 2, 1), (1, 1, 1), (2, 1, 1)])
def test_exit_codes_and_files(old, tmp_path, monkeypatch, code, factor, expected):
    """1 for a failed row, for a slower one, and for pytest's own failures, which leave no report."""

    def suites(found, options, console):
        written = recorded()
        written["benchmarks"][0]["stats"]["min"] *= factor
        found.write_text(json.dumps(written), encoding="utf-8")
        return code

    monkeypatch.setattr(run, "suites", suites)
    assert run.main(True, tmp_path / "out", old) == expected
    assert (tmp_path / "out/bench.json").exists() == (tmp_path / "out/bench.md").exists() == (code < 2)


# the gate


@pytest.mark.parametrize("fault", ["y", "dx", "nan", "tape"])
def test_a_wrong_backend_is_not_timed(monkeypatch, fault):
    right = backends.load("reference")

    def forward(cell, params, x, *arguments):
        y, state, tape = right.forward(cell, params, x, *arguments, backend="wrong")
        if fault == "y":
            y = y * np.float32(1.0001)
        if fault == "tape" and tape is None:  # wrong in inference alone
            y = y * np.float32(1.0001)
        return y, state, tape

    def backward(tape, dy, dstate, wrt):
        grads = right.backward(tape, dy, dstate, wrt)
        if fault in ("dx", "nan"):
            grads.x[0, 0, 0] = np.nan if fault == "nan" else grads.x[0, 0, 0] + 0.01
        return grads

    wrong = SimpleNamespace(available=lambda: (True, ""), forward=forward, backward=backward)
    monkeypatch.setattr(backends, "BACKENDS", (*backends.BACKENDS, "wrong"))
    monkeypatch.setattr(backends, "load", lambda name: wrong if name == "wrong" else right)
    parity.check("GRU", "load", "plain", "reference")
    parity.check.cache_clear()
    found = {"y": "y", "dx": "dx", "nan": "dx", "tape": "y without a tape"}[fault]
    with pytest.raises(parity.RefusedError, match=f"wrong, GRU at load, plain: {found} is off by"):
        parity.check("GRU", "load", "plain", "wrong")
    parity.check.cache_clear()


def test_a_peer_that_computes_something_else_is_not_timed():
    p = cases.problem("LSTM", "load")
    y, dx = cases.runner(p, TRAIN, "reference")()
    parity.check_peer("peer", "LSTM", "load", y, dx)
    swapped = {**p.params, "b": np.roll(p.params["b"], 5)}
    other, _ = cases.runner(p._replace(params=swapped), TRAIN, "reference")()
    for wrong in ((other, dx), (y, -dx), (y * np.nan, dx), (y[:, 1:], dx)):
        with pytest.raises(parity.RefusedError, match="not timed"):
            parity.check_peer("peer", "LSTM", "load", *wrong)


def test_a_refused_job_has_no_time(monkeypatch):
    monkeypatch.setattr(parity, "SAME", 0.0)
    monkeypatch.setitem(peers.PEERS, "peer", peers.own("reference")._replace(build=slightly_off))
    found = time_one.time_job("peer", ("LSTM", "load", TRAIN), 0.0)
    assert list(found) == ["refused"]


def slightly_off(p, what):
    y, dx = cases.runner(p, what, "reference")()
    return (lambda: (y * np.float32(1.0001), dx)), lambda found: found


# cases and processes


def test_problems_are_the_same_in_every_process_and_hostile():
    for cell in cases.CELLS:
        a, b = (cases.problem(cell, "load", "any mask") for _ in range(2))
        assert all(np.array_equal(a.params[name], b.params[name]) for name in a.params)
        assert all(value.dtype == np.float32 and np.count_nonzero(value) for value in a.params.values())
        assert not a.options["mask"].all()


def test_flops_are_those_of_the_products():
    assert cases.flops("LSTM", "mid", "inference") == 2 * 64 * 100 * 4 * 256 * 512
    assert cases.flops("GRU", "1,2,3,5", TRAIN) == 3 * 2 * 2 * 15 * 8
    tape = cases.runner(cases.problem("LSTM", "load"), "forward", "reference")
    assert tape()[1] is None
    _, _, kept = backends.forward(*cases.problem("LSTM", "load")[:3])
    assert cases.tape_bytes("LSTM", "load") == kept.nbytes


def test_processes_report_time_memory_and_reasons():
    jobs = (("LSTM", "1,2,3,4", TRAIN), ("GRU", "2,5,3,4", "inference"))
    assert all(0 < result["min_ms"] <= result["ms"] for result in turns.process("gemm", jobs, 0.0))
    if sys.platform == "linux":
        (result,) = turns.process("reference", (("LSTM", "32,200,64,64", TRAIN),), 0.0, memory=True)
        tape = cases.tape_bytes("LSTM", "32,200,64,64")
        assert tape < result["peak_bytes"] < 10 * tape
    with pytest.raises(RuntimeError, match="invalid choice: 'nobody'"):
        turns.process("nobody", jobs, 0.0)


def test_the_clock_moves_by_what_processes_measure(monkeypatch):
    monkeypatch.setattr(turns, "process", lambda impl, jobs, seconds: [{"ms": 1500.0}])
    before = turns.clock()
    assert turns.turn("torch", ("LSTM", "char", TRAIN), 0.1) == 1500.0
    assert turns.clock() - before == pytest.approx(1.5)
    assert turns.paired_ratio([2.0, 9.0, 8.0], [1.0, 3.0, 8.0]) == 2.0


def test_a_missing_peer_is_named(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert peers.missing("onnxruntime") == "needs onnx and onnxruntime: pip install onnx onnxruntime"
    assert peers.missing("gemm") == ""


def test_a_row_from_end_to_end(tmp_path):
    """pytest on the suites, its JSON, the report."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench/test_sequence.py"), "-q", "-k", "reference-LSTM-load-forward"]
    command += ["--seconds=0", "--benchmark-max-time=0.01", f"--benchmark-json={tmp_path}/bench.json", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert done.returncode == 0, done.stdout
    results = report.load(tmp_path / "bench.json")
    found = {row["pass"]: row for row in results.rows}
    assert set(found) == {"forward", TRAIN}
    timed = found[TRAIN]
    assert timed["gflops"] == pytest.approx(cases.flops("LSTM", "load", TRAIN) / timed["ms"] / 1e6)
    assert timed["share"] == pytest.approx(timed["bound_ms"] / timed["ms"])
    assert timed["threads"] >= 1 and timed["versions"]["numpy"] == np.__version__ and timed["isa"]
    assert "node" not in results.machine


@pytest.mark.check
@pytest.mark.parametrize("peer", [name for name in peers.PEERS if name not in backends.BACKENDS])
def test_every_peer_computes_what_we_compute(peer):
    """Each cell and pass that the peer knows, through the gate, in the peer's own process."""
    if reason := peers.missing(peer):
        pytest.skip(reason)
    jobs = [
        (cell, "3,7,2,5", what)
        for cell in cases.CELLS
        for what in ("inference", TRAIN)
        if not peers.PEERS[peer].cannot(cases.problem(cell, "load"), what)
    ]
    jobs = jobs[:4] if peer == "keras-xla" else jobs  # it compiles each for seconds
    assert len(jobs) >= 3
    assert all("ms" in result for result in turns.process(peer, tuple(jobs), 0.0))
