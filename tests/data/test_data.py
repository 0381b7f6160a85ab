"""The embedded digits, IDX files and pictures read right, and every wrong file refused with its name."""

import gzip

import numpy as np
import pytest

from rnn_from_scratch.data import InputError, mnist


@pytest.fixture(scope="module")
def digits():
    """60 training and 20 test digits."""
    d = mnist.load()
    return mnist.Digits(d.x_train[:60], d.y_train[:60], d.x_test[:20], d.y_test[:20], "")


@pytest.fixture
def folder(digits, tmp_path):
    """The four files: images plain, labels compressed."""
    for name, array in zip(mnist.FILES, digits):
        mnist.write_idx(tmp_path / (name if array.ndim == 3 else f"{name}.gz"), array)
    return tmp_path


def test_the_embedded_sample_is_stratified():
    d = mnist.load()
    assert d.x_train.shape == (6000, 28, 28)
    assert d.x_test.shape == (1000, 28, 28)
    assert d.x_train.dtype == d.y_train.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(d.y_train), [600] * 10)
    np.testing.assert_array_equal(np.bincount(d.y_test), [100] * 10)
    np.testing.assert_array_equal(np.bincount(d.y_train[:1000]), [100] * 10)  # the validation digits
    assert abs(d.x_train.mean() / 255 - 0.1307) < 0.002  # the full set's mean
    assert "embedded" in d.source
    assert sum(path.stat().st_size for path in mnist.EMBEDDED.glob("*ubyte.gz")) < 1.6e6
    attribution = (mnist.EMBEDDED / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(name in attribution for name in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0"))


def test_the_embedded_data_is_small():
    assert sum(path.stat().st_size for path in mnist.EMBEDDED.iterdir()) <= 3e6


def test_the_embedded_sample_is_the_one_that_make_sample_draws(shared_data, tmp_path):
    mnist.make_sample(shared_data("mnist"), tmp_path)
    for ours, again in zip(mnist.load()[:4], mnist.read_folder(tmp_path)[:4]):
        np.testing.assert_array_equal(ours, again)


def test_idx_files_come_back_as_written(digits, folder):
    read = mnist.load(folder)
    for array, again in zip(digits[:4], read[:4]):
        assert again.dtype == np.uint8
        np.testing.assert_array_equal(again, array)
    assert str(folder) in read.source
    assert "60 + 20" in read.source


def test_idx_is_big_endian(tmp_path):
    mnist.write_idx(tmp_path / "labels", np.array([7, 2, 1], np.uint8))
    assert (tmp_path / "labels").read_bytes() == bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1])


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


IMAGES, LABELS, TEST_IMAGES, _ = mnist.FILES
WRONG = {
    "missing file": (IMAGES, lambda p: p.unlink(), "no such file, plain or .gz"),
    "empty": (IMAGES, lambda p: cut(p, 0), "not an IDX file of images: expected it to begin with 00 00 08 03, got an empty file"),
    "magic": (IMAGES, lambda p: p.write_bytes(b"GIF8" + p.read_bytes()[4:]), "to begin with 00 00 08 03, got 47 49 46 38"),
    "labels for images": (TEST_IMAGES, lambda p: mnist.write_idx(p, np.zeros(20, np.uint8)), "got 00 00 08 01"),
    "cut header": (IMAGES, lambda p: cut(p, 9), "truncated: expected a header of 16 bytes, got 9"),
    "cut": (IMAGES, lambda p: cut(p, 47055), "truncated: expected 47,056 bytes for 60 x 28 x 28, got 47,055"),
    "too long": (IMAGES, lambda p: p.write_bytes(p.read_bytes() + b"x"), "too long: expected 47,056 bytes"),
    "size": (IMAGES, lambda p: mnist.write_idx(p, np.zeros((9, 28, 27), np.uint8)), "expected images of 28 x 28, got 28 x 27"),
    "no image": (IMAGES, lambda p: mnist.write_idx(p, np.zeros((0, 28, 28), np.uint8)), "holds no image"),
    "count": (LABELS + ".gz", lambda p: mnist.write_idx(p, np.zeros(59, np.uint8)), "expected 60 labels, one an image, got 59"),
    "label": (LABELS + ".gz", lambda p: mnist.write_idx(p, np.full(60, 10, np.uint8)), "expected labels of 0 to 9, got 10"),
    "cut gzip": (LABELS + ".gz", lambda p: cut(p, 30), "cannot be read"),
    "not gzip": (LABELS + ".gz", lambda p: p.write_bytes(b"plain text, not gzip"), "cannot be read"),
    "damaged gzip": (LABELS + ".gz", lambda p: p.write_bytes(gzip.compress(b"abc")[:12] + b"\xff" * 9), "cannot be read"),
}


@pytest.mark.parametrize(("name", "damage", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_by_name(folder, name, damage, message):
    damage(folder / name)
    with pytest.raises(InputError) as caught:
        mnist.load(folder)
    text = str(caught.value)
    assert str(folder / name.removesuffix(".gz")) in text
    assert message in text
    assert "\n" not in text


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; expected one with train-images-idx3-ubyte"):
        mnist.load(tmp_path / "nowhere")


def test_keras_download(digits, monkeypatch):
    import keras

    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (digits[:2], digits[2:4]))
    read = mnist.load("keras")
    np.testing.assert_array_equal(read.x_test, digits.x_test)
    assert "Keras" in read.source

    def fail():
        raise Exception("URL fetch failure on\nsomewhere")  # what Keras raises

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(InputError, match="--data keras: Keras could not load MNIST: URL fetch failure on somewhere; give a folder"):
        mnist.load("keras")
