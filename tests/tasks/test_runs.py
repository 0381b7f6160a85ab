"""Run directories: a stopped or killed run goes on to the same bits, nothing foreign is written over, files are whole."""

import json
import signal
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks import loop, mnist, rundir

from ..helpers.digit_runs import KERAS_SAVES, SMALL, KilledError, bits, killed_at, record, rows, train

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)


def strike(monkeypatch, at, act):
    """Call act() when the task asks for batch number `at`."""
    count, batches = [0], mnist.batches

    def counted(*args):
        for batch in batches(*args):
            count[0] += 1
            if count[0] == at:
                act()
            yield batch

    monkeypatch.setattr(mnist, "batches", counted)


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def kill(*_):
    raise KilledError


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bits(whole, folder, tmp_path, monkeypatch, plain_pictures):
    out, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    strike(monkeypatch, 6, ctrl_c)  # the second batch of epoch 2
    with pytest.raises(KeyboardInterrupt, match="interrupted in epoch 2 of 2, batch 2; --resume goes on from there"):
        train(out, data=str(folder), **SMALL)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (record(out)["status"], len(rows(out))) == ("interrupted", 1)
    assert mnist.predict(out, folder)[0].shape == (50, 10)
    with np.load(out / "checkpoint.npz") as file:
        assert json.loads(str(file["progress"]))["batch"] == 2  # nothing is lost
    train(out, resume=True)
    assert bits(out) == bits(whole)


def test_a_killed_run_goes_on_and_further_to_the_same_bits(whole, folder, tmp_path, monkeypatch, plain_pictures):
    """Killed within epoch 1; killed after its last checkpoint, before model and record are written; finished; then one epoch more."""
    out, given = tmp_path / "run", {**SMALL, "epochs": 1, "save_every": 0.0}
    killed_at(monkeypatch, mnist, 1, 2, partial(train, out, data=str(folder), **given))
    with np.load(out / "checkpoint.npz") as file:
        assert json.loads(str(file["progress"]))["batch"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_rows", kill)
        with pytest.raises(KilledError):
            train(out, resume=True)
    assert not (out / "metrics.jsonl").exists()
    with np.load(out / "checkpoint.npz") as file:
        assert len(json.loads(str(file["progress"]))["rows"]) == 1
    with pytest.raises(InputError, match=r"model\.keras: no such file: the run was stopped in its first epoch"):
        mnist.predict(out)
    train(out, resume=True)
    assert (record(out)["status"], len(rows(out))) == ("done", 1)
    assert mnist.predict(out, folder)[0].shape == (50, 10)
    train(out, resume=True, epochs=2, cell="G-R-U")
    assert bits(out) == bits(whole)


def test_what_is_there_is_not_written_over(whole, folder, tmp_path):
    def content(path):
        return {p.name: p.read_bytes() for p in path.rglob("*") if p.is_file()}

    before = content(whole)
    with pytest.raises(InputError, match="whole: exists already; --resume goes on with it, --overwrite replaces it"):
        train(whole, data=str(folder), **SMALL)
    for bad in ({"data": str(tmp_path / "nowhere")}, {"units": 0}, {"backend": "abacus"}):
        with pytest.raises(InputError):
            train(whole, overwrite=True, **bad)
    assert content(whole) == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "run.json").write_text('{"program": "another"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"foreign: --overwrite replaces run directories only, and this has no run\.json of ours"):
        train(foreign, overwrite=True, data=str(folder), **SMALL)
    with pytest.raises(InputError, match="--resume and --overwrite: expected one of them, got both"):
        train(foreign, overwrite=True, resume=True)
    assert [p.name for p in foreign.iterdir()] == ["run.json"]


def test_overwrite_deletes_our_files_alone(folder, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "notes.txt").write_text("keep me", encoding="utf-8")
    (out / "misread.png").write_text("of the earlier run", encoding="utf-8")
    rundir.write_json(out / "run.json", {"program": "rnn_from_scratch", "task": "load", "settings": {}, "versions": {}})
    run = rundir.begin(out, "mnist", {"epochs": 1}, overwrite=True)
    run.ground("data", {"sha256": "0"})
    assert (out / "misread.png").exists()  # nothing happens before start
    run.start([])
    assert {p.name for p in out.iterdir()} == {"notes.txt", "run.json", "checkpoint.npz", "tensorboard"}


RESUME = {
    "settings": ({"units": 7}, "--resume: .* was begun with --units 6, got 7; leave it out"),
    "data": ({"data": None}, "--resume: .* was begun on another data, with other numbers: .*sha256"),
    "epochs": ({"epochs": 1}, "--epochs: .* has 2 epochs already, got 1"),
    "unknown": ({"momentum": 1}, "--momentum: mnist has no such setting; it has --cell, --layers"),
}


@pytest.mark.parametrize(("given", "message"), RESUME.values(), ids=RESUME)
def test_resume_keeps_to_its_settings(whole, given, message):
    with pytest.raises(InputError, match=message):
        train(whole, resume=True, **given)


def test_resume_refuses_what_is_no_run_or_damaged(whole, folder, tmp_path):
    with pytest.raises(InputError, match="nothing: no such run directory"):
        train(tmp_path / "nothing", resume=True)
    with pytest.raises(InputError, match="not a run directory"):
        train(tmp_path, resume=True)
    rundir.write_json(tmp_path / "run.json", {**record(whole), "task": "weather"})
    with pytest.raises(InputError, match="is a run of weather, not of mnist"):
        train(tmp_path, resume=True)
    with pytest.raises(InputError, match="a run of weather; expected a run of mnist"):
        mnist.predict(tmp_path)
    rundir.write_json(tmp_path / "run.json", record(whole))
    good = (whole / "checkpoint.npz").read_bytes()
    damaged = good[:5000] + bytes(9) + good[5009:]
    for content in (None, b"", good[:-100], damaged):
        if content is not None:
            (tmp_path / "checkpoint.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"checkpoint\.npz: missing or damaged"):
            train(tmp_path, resume=True)
    with np.load(whole / "checkpoint.npz") as file:
        arrays = dict(file)
    for wrong in ({"variable_0000": np.zeros(3)}, {"identity": np.array("another run")}):
        np.savez(tmp_path / "checkpoint.npz", **{**arrays, **wrong})
        with pytest.raises(InputError, match=r"checkpoint\.npz: holds the state of another run; start anew with --overwrite"):
            train(tmp_path, resume=True)


def test_files_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before", encoding="utf-8")

    def half(temporary):
        temporary.write_text("ha", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"file\.txt: cannot be written: No space left on device"):
        rundir.replace(path, half)
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
    assert path.read_text(encoding="utf-8") == "before"


def test_resume_elsewhere_is_refused_unless_allowed(whole, tmp_path, monkeypatch):
    run = rundir.read(whole)
    assert run.check_drift(allowed=False) == ""
    run.record["versions"]["numpy"] = "1.0"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with pytest.raises(InputError, match=r"--resume: .*numpy '1\.0' -> .*OMP_NUM_THREADS=7.*; --allow-drift goes on all the same$"):
        run.check_drift(allowed=False)
    assert f"numpy '1.0' -> '{np.__version__}'" in run.check_drift(allowed=True)
    assert run.record["drift"][0]["versions"]["numpy"] == run.record["versions"]["numpy"] == np.__version__
    assert run.check_drift(allowed=False) == ""


def work(batches, answers, **more):
    """A program without a model, whose step gives the answer for the batch's size."""
    rate = keras.Variable(0.0)
    model, optimizer = SimpleNamespace(variables=[]), SimpleNamespace(variables=[], learning_rate=rate)
    parts = {"data": {}, "title": "", "model": model, "optimizer": optimizer, "labels": {"loss": "", "accuracy": ""}, "examples": 4}
    parts.update(batches=lambda epoch, first: iter(batches[first:]), step=lambda x: answers[len(x)], finish=lambda: ({}, {}))
    return loop.Program(**{**parts, "validate": lambda: {"validation_loss": 4.0}, **more})


def fit(tmp_path, program, **settings):
    settings = {"epochs": 1, "learning_rate": 0.5, "decay": 0.1, "save_every": 60.0, **settings}
    run = rundir.begin(tmp_path / "run", "mnist", settings, overwrite=False)
    run.ground("data", {"sha256": "0"})
    run.record["begun"] = 0.0
    run.start([])
    told, published = [], []
    loop.fit(run, program, lambda: published.append(len(run.rows)), loop.CtrlC(), Console(quiet=True), lambda row, line: told.append(row))
    return run, told, published


def test_an_epoch_s_row_weighs_every_example_alike(tmp_path):
    answers = {3: (1.0, 2 / 3), 1: (5.0, 0.0)}  # batch size -> mean loss, accuracy
    program = work([(np.zeros(3),), (np.zeros(1),)], answers)
    _, (row,), _ = fit(tmp_path, program)
    assert (row["epoch"], row["loss"], row["accuracy"], row["validation_loss"]) == (1, 2.0, 0.5, 4.0)
    assert rows(tmp_path / "run") == [row]


def test_the_best_epoch_is_kept_and_patience_ends_a_run(tmp_path):
    losses = iter([3.0, 2.0, 2.5, 2.0, 1.0])
    program = work([(np.zeros(4),)], {4: (1.0, 1.0)}, validate=lambda: {"validation_loss": next(losses)})
    run, told, published = fit(tmp_path, program, epochs=9, patience=2)
    assert [row["epoch"] for row in told] == [1, 2, 3, 4]
    assert published == [1, 2]
    assert run.progress["best_epoch"] == 2
    assert float(program.optimizer.learning_rate) == pytest.approx(0.5 * 0.1**3)


def test_a_second_ctrl_c_strikes_at_once():
    def press_twice():
        with loop.CtrlC() as stop:
            ctrl_c()
            assert stop.pressed
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_a_finished_run_says_so_and_stays_as_it_is(whole, capsys):
    before, results = bits(whole), record(whole)
    capsys.readouterr()
    again = train(whole, resume=True)
    out = capsys.readouterr().out
    assert "whole: finished after 2 epochs; --epochs M goes on to M epochs" in out.replace("\n", "")
    assert "nan" not in out
    assert (bits(whole), record(whole), again["results"]) == (before, results, results["results"])


def test_two_processes_do_not_meet_in_one_run(whole, folder, tmp_path):
    before = record(whole)
    first = rundir.read(whole)
    first.lock()
    for options in ({"resume": True, "epochs": 3}, {"overwrite": True, "data": str(folder), **SMALL}):
        with pytest.raises(InputError, match="whole: another process is training here; wait for its end, or choose another --out"):
            train(whole, **options)
    assert record(whole) == before
    first.unlock()
    first.lock()
    first.unlock()
