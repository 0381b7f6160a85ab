"""Run directories: a stopped or killed run goes on to the same bits, nothing foreign is written over, files are whole."""

import json
import signal

import keras
import numpy as np
import pytest
from rich.console import Console

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks import loop, mnist, plots, rundir

from .digit_runs import KERAS_SAVES, SMALL, draw_nothing, record, train_whole, write_digits

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def whole(folder):
    return train_whole(folder)


@pytest.fixture
def plain_pictures(monkeypatch):
    draw_nothing(monkeypatch)


def bits(out):
    """All that must not depend on interruptions: every variable, every row without its clock fields, the results."""
    with np.load(out / "checkpoint.npz") as file:
        arrays = {name: file[name].tobytes() for name in file.files if name != "epochs"}
    clock = ("seconds", "examples_per_second")
    rows = [{k: v for k, v in row.items() if k not in clock} for row in record(out)["epochs"]]
    weights = [v.numpy().tobytes() for v in keras.saving.load_model(out / "model.keras").weights]
    return arrays, rows, record(out)["results"], weights


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


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bits(whole, folder, tmp_path, monkeypatch, plain_pictures):
    out, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    strike(monkeypatch, 6, ctrl_c)  # the second batch of epoch 2
    with pytest.raises(KeyboardInterrupt, match="interrupted in epoch 2 of 2; --resume goes on after epoch 1"):
        mnist.train(out, data=str(folder), **SMALL)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (record(out)["status"], len(record(out)["epochs"])) == ("interrupted", 1)
    assert mnist.predict(out, folder)[0].shape == (50, 10)
    mnist.train(out, resume=True)
    assert bits(out) == bits(whole)


def test_a_killed_run_goes_on_and_further_to_the_same_bits(whole, folder, tmp_path, monkeypatch, plain_pictures):
    """Killed after the checkpoint of epoch 1 of 1, before model and record are written; finished; then one epoch more."""

    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(plots, "learning_curve", killed)
        with pytest.raises(KilledError):
            mnist.train(out, data=str(folder), **{**SMALL, "epochs": 1})
    assert (record(out)["status"], record(out)["epochs"]) == ("running", [])
    with np.load(out / "checkpoint.npz") as file:
        assert len(json.loads(str(file["epochs"]))) == 1
    with pytest.raises(InputError, match=r"model\.keras: no such file: the run was stopped in its first epoch"):
        mnist.predict(out)
    mnist.train(out, resume=True)
    assert (record(out)["status"], len(record(out)["epochs"])) == ("done", 1)
    assert mnist.predict(out, folder)[0].shape == (50, 10)
    mnist.train(out, resume=True, epochs=2, cell="G-R-U")
    assert bits(out) == bits(whole)


def test_what_is_there_is_not_written_over(whole, folder, tmp_path):
    def content(path):
        return {p.name: p.read_bytes() for p in path.iterdir()}

    before = content(whole)
    with pytest.raises(InputError, match="whole: exists already; --resume goes on with it, --overwrite replaces it"):
        mnist.train(whole, data=str(folder), **SMALL)
    for bad in ({"data": str(tmp_path / "nowhere")}, {"units": 0}, {"backend": "abacus"}):
        with pytest.raises(InputError):
            mnist.train(whole, overwrite=True, **bad)
    assert content(whole) == before
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "run.json").write_text('{"program": "another"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"foreign: --overwrite replaces run directories only, and this has no run\.json of ours"):
        mnist.train(foreign, overwrite=True, data=str(folder), **SMALL)
    with pytest.raises(InputError, match="--resume and --overwrite: expected one of them, got both"):
        mnist.train(foreign, overwrite=True, resume=True)
    assert [p.name for p in foreign.iterdir()] == ["run.json"]


def test_overwrite_deletes_our_files_alone(folder, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "notes.txt").write_text("keep me", encoding="utf-8")
    (out / "misread.png").write_text("of the earlier run", encoding="utf-8")
    (out / "run.json").write_text('{"program": "rnn_from_scratch"}', encoding="utf-8")
    run = rundir.begin(out, "mnist", {"epochs": 1}, overwrite=True)
    assert (out / "misread.png").exists()  # nothing happens before start
    run.start([])
    assert {p.name for p in out.iterdir()} == {"notes.txt", "run.json", "checkpoint.npz"}


RESUME = {
    "settings": ({"units": 7}, "--resume: .* was begun with --units 6, got 7; leave it out"),
    "data": ({"data": None}, "--resume: .* was begun on another data, with other numbers: .*sha256"),
    "epochs": ({"epochs": 1}, "--epochs: .* has 2 epochs already, got 1"),
    "unknown": ({"momentum": 1}, "--momentum: mnist has no such setting; it has cell, layers"),
}


@pytest.mark.parametrize(("given", "message"), RESUME.values(), ids=RESUME)
def test_resume_keeps_to_its_settings(whole, given, message):
    with pytest.raises(InputError, match=message):
        mnist.train(whole, resume=True, **given)


def test_resume_refuses_what_is_no_run_or_damaged(whole, folder, tmp_path):
    with pytest.raises(InputError, match="nothing: no such run directory"):
        mnist.train(tmp_path / "nothing", resume=True)
    with pytest.raises(InputError, match="not a run directory"):
        mnist.train(tmp_path, resume=True)
    rundir.write_json(tmp_path / "run.json", {**record(whole), "task": "weather"})
    with pytest.raises(InputError, match="is a run of weather, not of mnist"):
        mnist.train(tmp_path, resume=True)
    with pytest.raises(InputError, match="a run of weather, which reads no digits"):
        mnist.predict(tmp_path)
    rundir.write_json(tmp_path / "run.json", record(whole))
    good = (whole / "checkpoint.npz").read_bytes()
    damaged = good[:5000] + bytes(9) + good[5009:]
    for content in (None, b"", good[:-100], damaged):
        if content is not None:
            (tmp_path / "checkpoint.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"checkpoint\.npz: missing or damaged"):
            mnist.train(tmp_path, resume=True)
    np.savez(tmp_path / "checkpoint.npz", variable_0000=np.zeros(3), epochs=np.array("[]"))
    with pytest.raises(InputError, match=r"checkpoint\.npz: holds the variables of another model"):
        mnist.train(tmp_path, resume=True)


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


def test_resume_says_what_may_change_the_bits(whole, monkeypatch):
    run = rundir.read(whole)
    assert run.drift() == ""
    run.record["versions"]["numpy"] = "1.0"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert f"numpy '1.0' -> '{np.__version__}'" in run.drift()
    assert "OMP_NUM_THREADS=7" in run.drift()


def test_an_epoch_s_row_weighs_every_example_alike(tmp_path):
    run = rundir.begin(tmp_path / "run", "mnist", {"epochs": 1}, overwrite=False)
    run.start([])
    answers = {3: (1.0, 2), 1: (5.0, 0)}  # batch size -> mean loss, right
    batches = [(np.zeros(3),), (np.zeros(1),)]
    means = {"validation_loss": 4.0, "validation_accuracy": 0.25}
    options = {"validate": lambda: means, "variables": [], "publish": lambda: None, "ctrl_c": loop.CtrlC(), "console": Console()}
    loop.fit(run, lambda x: answers[len(x)], lambda epoch: iter(batches), 4, **options)
    (row,) = record(run.path)["epochs"]
    assert (row["epoch"], row["loss"], row["accuracy"], row["validation_loss"]) == (1, 2.0, 0.5, 4.0)


def test_a_second_ctrl_c_strikes_at_once():
    def press_twice():
        with loop.CtrlC() as stop:
            ctrl_c()
            assert stop.pressed
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        press_twice()
