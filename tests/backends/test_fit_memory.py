"""Training over long sequences takes less memory than with tf.keras' layers."""

from pathlib import Path

import pytest

from bench import fit


@pytest.mark.check
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory: only Linux tells it")
def test_peak_memory_of_a_deep_lstm_over_single_pixels():
    ours, theirs = (fit.process(library, fit.PIXELS, 0)["peak"] for library in fit.LIBRARIES)
    assert 0 < ours < theirs
