"""Every test starts from the same seed, on a quiet TensorFlow, with a drawing library that opens no window."""

import os
import random
import signal
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest

# a job begun in the background ignores Ctrl-C, and so would the programs that the tests start and stop
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def seed():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for libraries that draw from the global generator


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of full data sets: $RNN_DATA, or ../shared/data; tests that need it are skipped where it is missing."""
    folder = Path(os.environ.get("RNN_DATA", ROOT.parent / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"needs the full data sets in {folder} (set RNN_DATA)")
    return folder
