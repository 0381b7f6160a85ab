"""Training on digits: it learns, a stopped run goes on to the same bits, nothing foreign is written over, pictures are labelled."""

import json
import signal

import keras
import numpy as np
import pytest
from matplotlib.image import imsave

from rnn_from_scratch.data import InputError
from rnn_from_scratch.data import mnist as data
from rnn_from_scratch.tasks import TASKS, loop, mnist, plots, rundir

# Keras 3.15 saves with np.array(variable), whose __array__ NumPy 2 finds old-fashioned
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

# 250 training digits: four steps an epoch
SMALL = {"cell": "gru", "layers": 2, "units": 6, "epochs": 3, "batch_size": 70, "learning_rate": 0.01, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """300 training and 50 test digits: 50 of the 300 are for validation."""
    folder, d = tmp_path_factory.mktemp("digits"), data.load()
    for name, array in zip(data.FILES, (d.x_train[:300], d.y_train[:300], d.x_test[:50], d.y_test[:50])):
        data.write_idx(folder / name, array)
    return folder


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    mnist.train(out, data=str(folder), **SMALL)
    return out


def record(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


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


def test_one_epoch_learns(tmp_path):
    """1,500 digits, one pass: at least 45 % right, where the majority class and chance have 10 %."""
    folder, d = tmp_path / "digits", data.load()
    folder.mkdir()
    for name, array in zip(data.FILES, (d.x_train[:1800], d.y_train[:1800], d.x_test, d.y_test)):
        data.write_idx(folder / name, array)
    settings = {"cell": "lstm", "units": 32, "epochs": 1, "batch_size": 25, "learning_rate": 0.005}
    results = mnist.train(tmp_path / "run", data=str(folder), **settings)["results"]
    assert results["test_accuracy"] >= 0.45
    assert results["misread"] == round(1000 * (1 - results["test_accuracy"]))


def test_run_json_says_what_was_done(whole, folder):
    run = record(whole)
    assert run["program"] == "rnn_from_scratch"
    assert (run["task"], run["status"], run["backend"]) == ("mnist", "done", "reference")
    assert run["settings"] == {**TASKS["mnist"], **SMALL, "data": str(folder)}
    assert {"python", "rnn_from_scratch", "numpy", "tensorflow", "keras", "machine", "cpus"} <= set(run["versions"])
    assert run["data"]["digits"] == {"training": 250, "validation": 50, "test": 50}
    assert len(run["data"]["sha256"]) == 64
    assert [row["epoch"] for row in run["epochs"]] == [1, 2, 3]
    assert run["epochs"][2]["loss"] < run["epochs"][0]["loss"]
    assert all(row["examples_per_second"] > 0 and 0 <= row["validation_accuracy"] <= 1 for row in run["epochs"])
    assert set(run["results"]) == {"test_loss", "test_accuracy", "misread"}
    assert {path.name for path in whole.iterdir()} == set(rundir.FILES)


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bits(whole, folder, tmp_path, monkeypatch):
    out, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    strike(monkeypatch, 6, ctrl_c)  # the second batch of epoch 2
    with pytest.raises(KeyboardInterrupt, match="interrupted in epoch 2 of 3; --resume goes on after epoch 1"):
        mnist.train(out, data=str(folder), **SMALL)
    assert signal.getsignal(signal.SIGINT) is handler
    assert (record(out)["status"], len(record(out)["epochs"])) == ("interrupted", 1)
    p, _, _ = mnist.predict(out, folder)
    assert p.shape == (50, 10)
    mnist.train(out, resume=True)
    assert bits(out) == bits(whole)


def test_a_run_killed_between_checkpoint_and_record_goes_on_to_the_same_bits(whole, folder, tmp_path, monkeypatch):
    class KilledError(BaseException):
        pass

    def killed(*_):
        raise KilledError

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(plots, "learning_curve", killed)  # after the checkpoint of epoch 1, before model and record
        with pytest.raises(KilledError):
            mnist.train(out, data=str(folder), **SMALL)
    assert (record(out)["status"], record(out)["epochs"]) == ("running", [])
    with pytest.raises(InputError, match=r"model\.keras: no such file: the run was stopped in its first epoch"):
        mnist.predict(out)
    mnist.train(out, resume=True)
    assert bits(out) == bits(whole)


def test_more_epochs_later_are_the_same_as_more_at_once(whole, folder, tmp_path):
    out = tmp_path / "run"
    mnist.train(out, data=str(folder), **{**SMALL, "epochs": 1})
    mnist.train(out, resume=True, epochs=3, cell="GRU")
    assert bits(out) == bits(whole)
    with pytest.raises(InputError, match=r"--epochs: .*run has 3 epochs already, got 2"):
        mnist.train(out, resume=True, epochs=2)


def test_the_bits_depend_on_the_seed(whole, folder, tmp_path):
    mnist.train(tmp_path / "run", data=str(folder), **{**SMALL, "epochs": 1, "seed": 4})
    assert record(tmp_path / "run")["epochs"][0]["loss"] != record(whole)["epochs"][0]["loss"]


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


WRONG = {
    "cell": ({"cell": "transformer"}, "--cell: expected one of simple_rnn, lstm, peephole_lstm, gru, got 'transformer'"),
    "activation": ({"activation": "gelu"}, "--activation: "),
    "backend": ({"backend": "abacus"}, "--backend: expected auto or one of "),
    "units": ({"units": 0}, "--units: expected a whole number of at least 1, got 0"),
    "batch": ({"batch_size": -1}, "--batch-size: expected a whole number of at least 1, got -1"),
    "rate": ({"learning_rate": float("nan")}, "--learning-rate: expected a number above 0, got nan"),
    "seed": ({"seed": -1}, "--seed: expected a whole number of at least 0, got -1"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, given, message):
    with pytest.raises(InputError, match="^" + message):
        mnist.train(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_a_loss_that_is_not_finite_ends_the_run(folder, tmp_path):
    settings = {"activation": "relu", "units": 6, "learning_rate": 1e30, "batch_size": 60}
    with pytest.raises(InputError, match=r"loss: became .* in epoch 1; begin a new run with a smaller --learning-rate"):
        mnist.train(tmp_path / "run", data=str(folder), **settings)
    assert record(tmp_path / "run")["status"] == "diverged"


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


def test_a_second_ctrl_c_strikes_at_once():
    def press_twice():
        with loop.CtrlC() as stop:
            ctrl_c()
            assert stop.pressed
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        press_twice()


def test_predict_reads_folders_idx_files_and_pictures(whole, folder, tmp_path):
    d = data.load(folder)
    p, labels, where = mnist.predict(whole, folder)
    assert p.shape == (50, 10)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(labels, d.y_test)
    assert (p.argmax(axis=1) == labels).mean() == record(whole)["results"]["test_accuracy"]
    again, none, _ = mnist.predict(whole, folder / data.FILES[2])
    np.testing.assert_array_equal(again, p)
    assert none is None
    for image, options in ((d.x_test[4], {}), (255 - d.x_test[4], {"invert": True})):
        imsave(tmp_path / "digit.png", np.stack([image / 255] * 3, axis=2))
        one, _, where = mnist.predict(whole, tmp_path / "digit.png", **options)
        np.testing.assert_allclose(one, p[4:5], rtol=1e-5)
        assert where.endswith("digit.png")
    with pytest.raises(InputError, match=r"missing\.png: no such file or folder"):
        mnist.predict(whole, tmp_path / "missing.png")


def test_predict_refuses_a_damaged_model(whole, tmp_path):
    rundir.write_json(tmp_path / "run.json", record(whole))
    good = (whole / "model.keras").read_bytes()
    middle = len(good) // 2
    for content in (good[:middle], good[:middle] + bytes(9) + good[middle + 9 :]):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(InputError, match=r"model\.keras: damaged"):
            mnist.predict(tmp_path)


def inside(figure):
    """Every visible text and panel lies within the figure."""
    figure.canvas.draw()
    box, artists = figure.bbox, [*figure.axes, *figure.texts, figure._suptitle]
    extents = [artist.get_tightbbox() for artist in artists if artist.get_visible()]
    return all(e.x0 >= box.x0 - 1 and e.x1 <= box.x1 + 1 and e.y0 >= box.y0 - 1 and e.y1 <= box.y1 + 1 for e in extents)


def test_the_learning_curve_says_what_it_shows(whole):
    figure = plots.learning_curve(record(whole)["epochs"], "MNIST, 2 x GRU(6)")
    assert figure._suptitle.get_text() == "MNIST, 2 x GRU(6)"
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert labels == [("epoch", "cross-entropy (nats per digit)"), ("epoch", "digits read right (%)")]
    for axes, key, factor in zip(figure.axes, ("loss", "accuracy"), (1, 100)):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]
        for line, prefix in zip(axes.lines, ("", "validation_")):
            np.testing.assert_allclose(line.get_ydata(), [factor * row[prefix + key] for row in record(whole)["epochs"]])
    assert inside(figure)
    assert (whole / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_sheet_shows_the_surest_mistakes():
    d = data.load()
    x, y = d.x_test[:60], d.y_test[:60].astype(int)
    p = np.full((60, 10), 0.01)
    p[np.arange(60), y] = 0.9
    p[7], p[20] = 0.02, 0.01
    p[7, (y[7] + 1) % 10], p[20, (y[20] + 3) % 10] = 0.6, 0.8
    figure = plots.misread_sheet(x, y, p)
    assert figure._suptitle.get_text().startswith("2 of 60 test digits misread")
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == [f"{(y[20] + 3) % 10} / {y[20]} (80%)", f"{(y[7] + 1) % 10} / {y[7]} (60%)"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), x[20])
    assert inside(figure)
    assert inside(plots.misread_sheet(x, (y + 1) % 10, p))  # 58 wrong: 40 shown
    assert plots.misread_sheet(x[:1], y[:1], p[:1])._suptitle.get_text().startswith("0 of 1 test digits misread")


@pytest.mark.check
def test_the_book_s_configuration_on_the_full_set(shared_data, tmp_path):
    """Three epochs of the book's tanh RNN: at least 95.0 % on the 10,000 test digits."""
    folder = shared_data / "mnist"
    if not folder.is_dir():
        pytest.skip(f"needs the full MNIST in {folder}")
    run = mnist.train(tmp_path / "run", cell="simple_rnn", units=150, epochs=3, batch_size=150, data=str(folder))
    assert run["data"]["digits"] == {"training": 55000, "validation": 5000, "test": 10000}
    assert run["results"]["test_accuracy"] >= 0.95
