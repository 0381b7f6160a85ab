"""The MNIST task: it learns, says what it did, refuses wrong settings, predicts, and draws pictures that are labelled."""

import itertools

import numpy as np
import pytest
from matplotlib.image import imsave

from rnn_from_scratch import backends, cells
from rnn_from_scratch.data import InputError
from rnn_from_scratch.data import mnist as data
from rnn_from_scratch.tasks import PRESETS, mnist, plots, rundir

from ..helpers.digit_runs import KERAS_SAVES, SMALL, record, rows, train, write_digits

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES)


def test_one_epoch_learns(tmp_path, plain_pictures):
    """1,000 digits, one pass: at least 35 % right, where the majority class and chance have 10 %."""
    folder = write_digits(tmp_path / "digits", 1200, 1000)
    settings = {"cell": "lstm", "units": 32, "epochs": 1, "batch_size": 20, "learning_rate": 0.005}
    results = train(tmp_path / "run", data=str(folder), **settings)["results"]
    assert results["test_accuracy"] >= 0.35
    assert results["misread"] == round(1000 * (1 - results["test_accuracy"]))


def test_run_json_says_what_was_done(whole, folder):
    run = record(whole)
    assert run["program"] == "rnn_from_scratch"
    assert (run["task"], run["status"]) == ("mnist", "done")
    assert run["backend"] in backends.BACKENDS
    assert run["settings"] == {**PRESETS["mnist"][1], **SMALL, "data": str(folder)}
    known = {"python", "rnn_from_scratch", "numpy", "tensorflow", "keras", "machine", "cpus", "blas", "isa", "threads"}
    assert set(run["versions"]) == known
    assert run["data"]["sizes"] == {"training": 250, "validation": 50, "test": 50}
    assert len(run["data"]["sha256"]) == 64
    first, second = rows(whole)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["loss"] < first["loss"]
    assert all(row["examples_per_second"] > 0 and 0 <= row["validation_accuracy"] <= 1 for row in (first, second))
    assert set(run["results"]) == {"best_epoch", "test_loss", "test_accuracy", "misread", "majority_class_accuracy"}
    files = {"run.json", "metrics.jsonl", "checkpoint.npz", "model.keras", "loss.png", "misread.png", "tensorboard"}
    assert {path.name for path in whole.iterdir()} == files


def test_tensorboard_gets_every_number(whole):
    import tensorflow as tf

    found = {}
    for written in tf.data.TFRecordDataset(str(whole / rundir.EVENTS)):
        event = tf.compat.v1.Event.FromString(written.numpy())
        found.update({(event.step, value.tag): value.simple_value for value in event.summary.value})
    expected = {(row["epoch"], name): value for row in rows(whole) for name, value in row.items() if name != "epoch"}
    assert found == pytest.approx(expected)


def test_the_order_of_the_digits_depends_on_seed_and_epoch_alone():
    x = np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    split = mnist.Split(x, np.arange(10), x, x, x, x)

    def order(seed, epoch, first=0, examples=0):
        settings = {"seed": seed, "batch_size": 4, "examples": examples}
        return [list(y) for _, y in mnist.batches(split, settings, epoch, first)]

    assert [len(batch) for batch in order(0, 1)] == [4, 4, 2]
    assert sorted(itertools.chain(*order(0, 1))) == list(range(10))
    assert order(0, 1) == order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)
    assert order(0, 1, first=1) == order(0, 1)[1:]
    assert order(0, 1, examples=6) == [order(0, 1)[0], order(0, 1)[1][:2]]
    for pixels, y in mnist.batches(split, {"seed": 0, "batch_size": 4, "examples": 0}, 1):
        np.testing.assert_array_equal(pixels[:, 0, 0], (y / np.float32(255)).astype("float32"))


WRONG = {
    "cell": ({"cell": "transformer"}, f"--cell: expected one of {', '.join(cells.CELLS)}, got 'transformer'"),
    "activation": ({"activation": "gelu"}, "--activation: "),
    "backend": ({"backend": "abacus"}, "--backend: expected auto or one of "),
    "units": ({"units": 0}, "--units: expected a whole number of at least 1, got 0"),
    "batch": ({"batch_size": -1}, "--batch-size: expected a whole number of at least 1, got -1"),
    "rate": ({"learning_rate": float("nan")}, "--learning-rate: expected a number above 0, got nan"),
    "seed": ({"seed": -1}, "--seed: expected a whole number of at least 0, got -1"),
    "readout": ({"readout": "some"}, "--readout: expected one of top, all, got some"),
    "data": ({"data": ""}, "--data: expected the name of a file or folder, got "),
    "foreign": ({"bptt": 5}, "--bptt: mnist has no such setting; it has --cell, --layers"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, given, message):
    with pytest.raises(InputError, match="^" + message):
        train(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_a_loss_that_is_not_finite_ends_the_run(folder, tmp_path, plain_pictures):
    settings = {"activation": "relu", "units": 6, "learning_rate": 1e30, "batch_size": 60}
    with pytest.raises(InputError, match=r"loss: became .* in epoch 1; begin a new run with a smaller --learning-rate"):
        train(tmp_path / "run", data=str(folder), **settings)
    assert record(tmp_path / "run")["status"] == "diverged"


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
    one, _, where = mnist.predict(whole, tmp_path / "digit.png")  # dark ink on white
    np.testing.assert_allclose(one, p[4:5], rtol=1e-5)
    assert where.endswith("digit.png, read as dark ink on bright paper; --no-invert if not")
    other, _, where = mnist.predict(whole, tmp_path / "digit.png", invert=False)
    assert np.abs(other - one).max() > 0.01
    assert where.endswith("digit.png")
    with pytest.raises(InputError, match=r"missing\.png: no such file or folder"):
        mnist.predict(whole, tmp_path / "missing.png")


def test_predict_refuses_a_damaged_model(whole, tmp_path):
    rundir.write_json(tmp_path / "run.json", record(whole))
    good = (whole / "model.keras").read_bytes()
    middle = len(good) // 2
    for content in (good[:middle], good[:middle] + bytes(255 - b for b in good[middle : middle + 9]) + good[middle + 9 :]):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(InputError, match=r"model\.keras: damaged"):
            mnist.predict(tmp_path)


def test_the_sheet_shows_the_surest_mistakes():
    d = data.load()
    x, y = d.x_test[:60], d.y_test[:60].astype(int)
    p = np.full((60, 10), 0.01)
    p[np.arange(60), y] = 0.9
    p[7], p[20] = 0.02, 0.01
    p[7, (y[7] + 1) % 10], p[20, (y[20] + 3) % 10] = 0.6, 0.8
    figure = plots.misread_sheet(x, y, p)
    assert figure._suptitle.get_text().startswith("2 of 60 test digits misread")
    (axes,) = figure.axes
    labels = [f"{(y[20] + 3) % 10} / {y[20]} (80%)", f"{(y[7] + 1) % 10} / {y[7]} (60%)"]
    assert [text.get_text() for text in axes.texts] == labels
    np.testing.assert_array_equal(axes.images[0].get_array()[10:38, 4:32], x[20])
    np.testing.assert_array_equal(axes.images[0].get_array()[10:38, 40:68], x[7])
    assert [text.get_position()[0] for text in axes.texts] == [18, 54]  # the middle of each digit
    assert plots.misread_sheet(x[:1], y[:1], p[:1])._suptitle.get_text().startswith("0 of 1 test digits misread")


@pytest.mark.check
def test_the_book_s_configuration_on_the_full_set(shared_data, tmp_path):
    """Three epochs of the book's tanh RNN: at least 95.0 % on the 10,000 test digits."""
    settings = {"cell": "simple_rnn", "units": 150, "epochs": 3, "batch_size": 150}
    run = train(tmp_path / "run", data=str(shared_data("mnist")), **settings)
    assert run["data"]["sizes"] == {"training": 55000, "validation": 5000, "test": 10000}
    assert run["results"]["test_accuracy"] >= 0.95
