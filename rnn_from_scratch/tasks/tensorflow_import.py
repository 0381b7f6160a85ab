"""TensorFlow imported without its notes on the screen."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..data import InputError


def load_tensorflow(*needed: str) -> None:
    """Import TensorFlow, if it is there, without its notes on CPU flags and missing GPUs.

    needed: modules without which there is no going on. Raises InputError, with the extra to install.
    """
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f'needs {", ".join(missing)}: pip install "rnn_from_scratch[tensorflow]"')
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # holds for what comes after the import
    if importlib.util.find_spec("tensorflow"):
        with notes_held_back():
            importlib.import_module("tensorflow")


@contextmanager
def notes_held_back() -> Iterator[None]:
    """Drop what native code writes to standard error, unless an exception leaves: then print it all."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(real, notes.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
