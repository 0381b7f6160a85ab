"""Pictures of digits: what Pillow shows on white paper, whatever the kind of PNG; dark ink is told from bright; none is refused."""

import io
from functools import partial

import numpy as np
import pytest
from hypothesis import strategies as st
from matplotlib.image import imsave
from PIL import Image

from rnn_from_scratch.data import InputError, mnist

from ..helpers.fuzz import few_and_many, tried

QUICK, LONG = 40, 2000  # inputs in the quick tests, and in the check tier
DIGITS = mnist.load().x_test[:50]


def saved(tmp_path, image):
    path = tmp_path / "digit.png"
    image.save(path)
    return path


def ink(digit, mode):
    """Black ink as thick as the digit, on a transparent ground."""
    black = Image.fromarray(np.zeros_like(digit)).convert(mode.removesuffix("A"))
    black.putalpha(Image.fromarray(digit))
    return black


@pytest.mark.parametrize("n", range(5))
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_black_ink_on_a_transparent_ground_is_dark_on_white(mode, n, tmp_path):
    image = mnist.read_png(saved(tmp_path, ink(DIGITS[n], mode)))
    np.testing.assert_array_equal(image[0], 255 - DIGITS[n])
    assert mnist.on_bright_paper(image[0])


def test_grey_colour_and_white_ink(tmp_path):
    digit, path = DIGITS[3], tmp_path / "digit.png"
    grey = digit / 255
    for image in (np.stack([grey] * 3, axis=2), np.stack([np.ones((28, 28))] * 3 + [grey], axis=2)):  # colour; ink as opacity
        imsave(path, image)
        np.testing.assert_array_equal(mnist.read_png(path), digit[None])
    np.testing.assert_array_equal(mnist.read_png(saved(tmp_path, Image.fromarray(digit))), digit[None])
    deep = Image.fromarray(digit.astype(np.uint16) * 257)
    np.testing.assert_array_equal(mnist.read_png(saved(tmp_path, deep)), digit[None])


def test_a_palette_and_a_transparent_grey_value(tmp_path):
    two = np.where(DIGITS[0] > 127, 255, 0).astype(np.uint8)
    np.testing.assert_array_equal(mnist.read_png(saved(tmp_path, Image.fromarray(two).convert("P")))[0], two)
    np.testing.assert_array_equal(mnist.read_png(saved(tmp_path, Image.fromarray(two).convert("1")))[0], two)
    path = tmp_path / "grey.png"
    Image.fromarray(255 - two).save(path, transparency=0)  # black is what the ground is: all is white then, but for black paper
    np.testing.assert_array_equal(mnist.read_png(path)[0], 255 - two)


@pytest.mark.parametrize("digit", DIGITS[:20], ids=str)
def test_dark_ink_is_told_from_bright(digit):
    assert not mnist.on_bright_paper(digit)
    assert mnist.on_bright_paper(255 - digit)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_a_picture_of_one_colour_is_refused(mode, tmp_path):
    with pytest.raises(InputError, match=r"digit\.png: every pixel is alike, so no digit is drawn"):
        mnist.read_png(saved(tmp_path, Image.new(mode, (28, 28))))


def test_a_wrong_png_is_refused(tmp_path):
    path = tmp_path / "digit.png"
    imsave(path, np.zeros((27, 30)))
    with pytest.raises(InputError, match=r"digit\.png: expected an image of 28 x 28, got 30 x 27"):
        mnist.read_png(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"digit\.png: not a readable PNG"):
        mnist.read_png(path)


PICTURES = st.tuples(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA"]), st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 256]))


def agrees(tmp_path, picture):
    """Random pixels: what Pillow shows over white, to half a grey value for its rounding; or over black, where that is blank."""
    mode, seed, levels = picture
    pixels = np.random.default_rng(seed).integers(0, levels, (28, 28, 4)) * (255 // (levels - 1))
    image = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
    found = mnist.read_png(saved(tmp_path, image))[0].astype(float)
    shown = image.convert("RGBA")
    for paper in ("white", "black"):
        ground = Image.new("RGBA", (28, 28), paper)
        expected = np.asarray(Image.alpha_composite(ground, shown).convert("RGB"), float).mean(axis=2)
        if np.ptp(expected):
            break
    assert np.abs(found - expected).max() <= 1


def survives(tmp_path, damage):
    """A damaged file is refused in one line, or read."""
    content = io.BytesIO()
    ink(DIGITS[0], "RGBA").save(content, "png")
    whole = bytearray(content.getvalue())
    for place, byte in damage:
        whole[place % len(whole)] = byte
    path = tmp_path / "damaged.png"
    path.write_bytes(whole[: len(whole) - damage[0][0] % 2 * damage[0][1]])
    try:
        assert mnist.read_png(path).shape == (1, 28, 28)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017


DAMAGE = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4)


@few_and_many
def test_pictures_are_what_pillow_shows(tmp_path, count):
    tried(count, PICTURES, partial(agrees, tmp_path))


@few_and_many
def test_no_damage_ends_in_a_traceback(tmp_path, count):
    tried(count, DAMAGE, partial(survives, tmp_path))
