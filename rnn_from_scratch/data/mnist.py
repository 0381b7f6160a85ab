"""MNIST in its original IDX files: a folder of them, Keras' download, or the 6,000 + 1,000 digits that come with the package.

An IDX file is: two zero bytes, 8 (unsigned bytes), the number of dimensions, each dimension as a big-endian int32, the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..typing import Array
from . import InputError

EMBEDDED = Path(__file__).parent / "embedded"
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)  # what Pillow raises for a PNG that is


class Digits(NamedTuple):
    """x: uint8 [N, 28, 28], 0 paper to 255 ink; y: uint8 [N], 0 to 9; source: where they are from, for people."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    source: str


def load(data: str | Path | None = None) -> Digits:
    """The digits from `data`: None, the embedded sample; "keras", Keras' download; else a folder of the four IDX files.

    The files may be plain or end in .gz. Raises InputError, which names the file.
    """
    if data is None:
        return read_folder(EMBEDDED)._replace(source="the embedded sample of MNIST (6,000 + 1,000 digits)")
    if str(data) == "keras":
        return from_keras()
    return read_folder(Path(data))


def from_keras() -> Digits:
    """The full set from Keras' cache, downloaded on first use. Needs TensorFlow."""
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when the download fails
        reason = " ".join(str(error).split())
        raise InputError(f"--data keras: Keras could not load MNIST: {reason}; give a folder of IDX files, or no --data") from error
    return Digits(x_train, y_train, x_test, y_test, "MNIST from Keras' download")


def read_folder(folder: Path) -> Digits:
    """The four standard files of `folder`, checked against each other. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"--data {folder}: no such folder; expected one with {', '.join(FILES)} (plain or .gz)")
    paths = [find(folder, name) for name in FILES]
    x_train, x_test = read_images(paths[0]), read_images(paths[2])
    y_train, y_test = read_labels(paths[1], len(x_train)), read_labels(paths[3], len(x_test))
    return Digits(x_train, y_train, x_test, y_test, f"{folder} ({len(x_train):,} + {len(x_test):,} digits)")


def find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(f"{folder / name}: no such file, plain or .gz; the folder needs {', '.join(FILES)}")


def read_images(path: Path) -> Array:
    """[N, 28, 28] uint8 from an IDX file of images. Raises InputError."""
    images = read_idx(path, 3)
    if images.shape[1:] != (28, 28):
        raise InputError(f"{path}: expected images of 28 x 28, got {images.shape[1]} x {images.shape[2]}")
    if len(images) == 0:
        raise InputError(f"{path}: holds no image")
    return images


def read_labels(path: Path, count: int) -> Array:
    """[N] uint8 from an IDX file of labels. Raises InputError unless there are `count` of them, 0 to 9."""
    labels = read_idx(path, 1)
    if len(labels) != count:
        raise InputError(f"{path}: expected {count:,} labels, one an image, got {len(labels):,}")
    if labels.max() > 9:
        raise InputError(f"{path}: expected labels of 0 to 9, got {labels.max()}")
    return labels


def read_idx(path: Path, dimensions: int) -> Array:
    """The array in an IDX file of unsigned bytes, plain or .gz. Raises InputError."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:  # EOFError: gzip cut short; BadGzipFile (an OSError) and zlib.error: damaged
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])
    if content[:4] != magic:
        what = "images" if dimensions == 3 else "labels"
        got = content[:4].hex(" ") or "an empty file"
        raise InputError(f"{path}: not an IDX file of {what}: expected it to begin with {magic.hex(' ')}, got {got}")
    if len(content) < header:
        raise InputError(f"{path}: truncated: expected a header of {header} bytes, got {len(content)}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        problem = "truncated" if len(content) < expected else "too long"
        raise InputError(f"{path}: {problem}: expected {expected:,} bytes for {' x '.join(map(str, shape))}, got {len(content):,}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def write_idx(path: Path, array: Array) -> None:
    """Write an array of uint8 as an IDX file, compressed if the name ends in .gz."""
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content, 9, mtime=0) if path.suffix == ".gz" else content)


def read_png(path: Path) -> Array:
    """[1, 28, 28] uint8 from a PNG of 28 x 28, 0 black to 255 white, colours as the mean of the three. Needs Pillow. Raises InputError.

    What is transparent shows white paper; black, where white would hide all that is drawn.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pictures with far too many pixels, which are refused here
            with Image.open(path, formats=["PNG"]) as image:
                size, deep = image.size, image.mode.startswith("I")  # deep: 16 bits a pixel
                if size != (28, 28):
                    raise InputError(f"{path}: expected an image of 28 x 28, got {size[0]} x {size[1]}; scale it down first")
                picture = np.asarray(image) / 257 if deep else np.asarray(image.convert("RGBA"), float)
    except InputError:
        raise
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a readable PNG: {error}") from error
    if deep:
        pixels = np.rint(picture).astype(np.uint8)
    else:
        opaque, colour = picture[:, :, 3] / 255, picture[:, :, :3].mean(axis=2)
        pixels = np.rint(colour * opaque + 255 * (1 - opaque)).astype(np.uint8)
        if np.ptp(pixels) == 0:
            pixels = np.rint(colour * opaque).astype(np.uint8)
    if np.ptp(pixels) == 0:
        raise InputError(f"{path}: every pixel is alike, so no digit is drawn")
    return pixels[None]


def on_bright_paper(image: Array) -> bool:
    """Is the border of an image [28, 28] bright? Then its digit is dark; MNIST's are bright on black."""
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return bool(np.median(border) > 127)


def make_sample(source: str | Path, out: Path, train: int = 600, test: int = 100, seed: int = 0) -> None:
    """How the embedded sample was made: `train` + `test` digits of each class, drawn from the full set in folder `source`.

    Every ten digits in a row are the ten classes in random order, so any slice of whole tens is stratified too.
    """
    digits, rng = read_folder(Path(source)), np.random.default_rng(seed)
    for part, (x, y, count) in enumerate(((digits.x_train, digits.y_train, train), (digits.x_test, digits.y_test, test))):
        chosen = np.stack([rng.permutation(np.flatnonzero(y == digit))[:count] for digit in range(10)], axis=1)
        chosen = rng.permuted(chosen, axis=1).reshape(-1)
        write_idx(out / f"{FILES[2 * part]}.gz", x[chosen])
        write_idx(out / f"{FILES[2 * part + 1]}.gz", y[chosen])
