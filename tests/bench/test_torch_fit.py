"""python -m bench.torch_fit: both libraries compute the same step, and the table has a row for each model."""

import pytest

pytest.importorskip("torch", reason="needs PyTorch")

from bench import torch_fit


@pytest.mark.parametrize("library", torch_fit.LIBRARIES)
@pytest.mark.parametrize("model", ["GRU, series", "LSTM, packed mid", "LSTM, 2 layers, bidirectional"])
def test_a_step_of_every_kind_runs(library, model, monkeypatch):
    monkeypatch.setattr(torch_fit.processes, "SECONDS", 0)
    name, _, options = torch_fit.MODELS[model]
    monkeypatch.setitem(torch_fit.MODELS, model, (name, (3, 5, 7, 11), options))
    assert 0 < torch_fit.one(library, model)["step"] < 5000


def test_the_table_takes_the_best_process_of_each(monkeypatch):
    times = iter([4.0, 9.0, 8.0, 3.0])  # ours, torch.nn; then the other way round
    monkeypatch.setattr(torch_fit.processes, "process", lambda module, library, model: {"step": next(times)})
    row = torch_fit.table(["LSTM, mid"], 2).splitlines()[2]
    assert row == "| LSTM, mid | 3.00 ms | 8.00 ms | 2.67 |"
