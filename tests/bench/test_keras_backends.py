"""python -m bench.keras_backends: the model runs on each backend, and the table has a row for each."""

from importlib.util import find_spec

import pytest

from bench import keras_backends


@pytest.mark.check
@pytest.mark.parametrize("library", keras_backends.LIBRARIES)
@pytest.mark.parametrize("backend", keras_backends.BACKENDS)
def test_an_epoch_runs(backend, library):
    if find_spec(backend) is None:
        pytest.skip(f"needs {keras_backends.BACKENDS[backend]}")
    assert keras_backends.process(backend, library, "mnist-rnn", 300) > 0


def test_the_table_has_medians_and_the_ratio_of_pairs(monkeypatch):
    times = iter([2.0, 5.0, 9.0, 3.0])  # ours, keras.layers; then the other way round
    monkeypatch.setattr(keras_backends, "process", lambda *job: next(times))
    monkeypatch.setattr(keras_backends.machine, "isa", lambda backend: "generic")
    row = keras_backends.table(["torch"], ["mnist-lstm"], 300, 2).splitlines()[2]
    assert row == "| mnist-lstm | PyTorch | 1250.0 ms | 3500.0 ms | 2.75 |"
