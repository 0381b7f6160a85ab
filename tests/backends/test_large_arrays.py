"""Arrays of more than 2^31 elements: the kernels' offsets have 64 bits. The memory is promised by the system, and hardly touched."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from rnn_from_scratch import cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import program as emulator
from rnn_from_scratch.backends.gpu.call import tape_arguments
from rnn_from_scratch.backends.gpu.source import step_text

from ..helpers.emulator_cases import put

usable, why_not = emulated.available()
pytestmark = [pytest.mark.check, pytest.mark.skipif(not usable, reason=why_not)]
B, H, LONG = 3, 32, 2**25 + 4
TEXT = step_text(cells.LSTM(), "float32")


def promised(shape, dtype=np.float32):
    """Like emulator.memory, but zero at first, and nobody writes it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE: Python 3.10 has no name for it
    try:
        pages = mmap.mmap(-1, size + 2 * emulator.GUARD, flags=flags)
    except OSError as error:
        pytest.skip(f"the system promises no {size >> 30} GiB: {error}")
    whole = np.ndarray.__new__(emulator.Guarded, (size + 2 * emulator.GUARD,), np.uint8, pages)
    whole.inside = slice(emulator.GUARD, emulator.GUARD + size)
    whole[: emulator.GUARD] = whole[-emulator.GUARD :] = emulator.PATTERN
    return np.ndarray(shape, dtype, buffer=whole, offset=emulator.GUARD)


def last_step(program, T):
    """What forward and backward write at the last of T steps, from data that do not depend on T."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape).astype("f4")

    xg, y, dy, dxg = promised((B, T, 4, H)), promised((B, T, H)), promised((B, T, H)), promised((B, T, 4, H))
    tape0, tape1 = promised((B, T + 1, H)), promised((B, T + 1, H))
    xg[:, -1], s = normal(B, 4, H), put(normal(2, B, H))
    tape0[:, -2], tape1[:, -2] = s
    tapes = tape_arguments([tape0, tape1])
    shared = [np.int32(n) for n in (0, T - 1, B, T, H, 0, 0, 0)]  # phase, step, sizes, scales, rev, zero_masked
    arrays = [xg, None, put(normal(4 * H)), None, None, s, xg, *tapes, None, None, y, None]
    program.launch("forward", (1, 1, 1), (32, B, 1), [*arrays, *shared])
    dy[:, -1], ds, back = normal(B, H), put(normal(2, B, H)), put(normal(1, B, H))
    arrays = [xg, *tapes, None, dy, ds, None, back, None, dxg, None, None, None, None]
    program.launch("backward", (1, 1, 1), (32, B, 1), [*arrays, *shared])
    return [np.array(a) for a in (y[:, -1], tape0[:, -1], tape1[:, -1], xg[:, -1], s, dxg[:, -1], ds)]


def test_a_sequence_of_33_million_steps():
    short, long = (last_step(emulator.Program(TEXT), T) for T in (3, LONG))
    assert B * LONG * H > 2**31
    assert all(a.any() for a in short)
    assert [a.tobytes() for a in long] == [a.tobytes() for a in short]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("size_t row = size_t(b) * T + t, slots", "int row = b * T + t; size_t slots"),
        ("slots = size_t(b) * (T + 1) * H + j", "slots = b * (T + 1) * H + j"),
        ("size_t out = (size_t(b) * T + step) * H + j", "int out = (b * T + step) * H + j"),
        ("dy[(size_t(b) * T + step) * H + j]", "dy[(b * T + step) * H + j]"),
        ("size_t at = (row * G + FIRST + i) * H + j", "int at = (row * G + FIRST + i) * H + j"),
    ],
)
def test_offsets_of_32_bits_are_seen(wide, narrow):
    """Out of bounds, or in the wrong place of an array."""
    assert wide in TEXT
    program = emulator.Program(TEXT.replace(wide, narrow), "-O0")  # an optimiser may widen them
    right = last_step(program, 3)
    try:
        wrong = [not np.array_equal(a, b) for a, b in zip(last_step(program, LONG), right)]
    except emulator.EmulatorError as report:
        wrong = ["out of bounds" in str(report)]
    assert any(wrong)
