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
# minutes each: begun first, so that at the end no core waits for one of them
LONGEST = (
    *("tests/layers/test_keras_backends.py", "tests/tasks/test_killed_runs.py", "tests/tasks/test_fast.py"),
    *("tests/verify/test_score.py", "tests/verify/test_check_conventions.py", "tests/kernels/test_mutants_of_sequence.py"),
    *("tests/lessons/test_site.py", "tests/lessons/test_claims.py", "tests/layers/test_layers_product.py", "tests/cli/test_options.py"),
)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.location[0] not in LONGEST)


@pytest.fixture(autouse=True)
def seed():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for libraries that draw from the global generator


@pytest.fixture(scope="session")
def shared_data():
    """shared_data(name): a file or folder of the full data sets, in $RNN_DATA or ../shared/data; the test is skipped if it is missing."""
    folder = Path(os.environ.get("RNN_DATA", ROOT.parent / "shared/data"))

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"needs {folder / name} (RNN_DATA names the folder of the full data sets)")
        return folder / name

    return find


# those below import TensorFlow, and only where a test asks for them


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """300 digits for training and 50 for tests, as IDX files."""
    from .helpers.digit_runs import write_digits

    return write_digits(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="session")
def whole(folder) -> Path:
    """A run on the digits of `folder` that was never stopped."""
    from .helpers.digit_runs import SMALL, train

    train(folder.parent / "whole", data=str(folder), **SMALL)
    return folder.parent / "whole"


@pytest.fixture
def plain_pictures(monkeypatch):
    """Half of a small run's time goes into drawing."""
    from matplotlib.figure import Figure

    from rnn_from_scratch.tasks import plots

    for name in ("learning_curve", "misread_sheet"):
        monkeypatch.setattr(plots, name, lambda *_: Figure(figsize=(1, 1)))
