"""python -m bench.bfloat16: every library runs both passes, and the table has the ratios of the best processes."""

import pytest

from bench import bfloat16, cases, processes
from rnn_from_scratch import backends


@pytest.mark.parametrize("library", list(bfloat16.LIBRARIES))
def test_both_passes_run(library, monkeypatch):
    if library == "torch":
        pytest.importorskip("torch", reason="needs PyTorch")
    elif library == "bfloat16" and not backends.rounds("bfloat16", "native"):
        pytest.skip(f"native: {backends.load('native').lacks('bfloat16')}")
    monkeypatch.setattr(processes, "SECONDS", 0)
    monkeypatch.setitem(cases.SHAPES, "mid", cases.SHAPES["mid"]._replace(B=3, T=5, I=7, H=11))
    assert all(0 < ms < 5000 for ms in bfloat16.one(library, "GRU, mid").values())


def test_the_table_has_the_ratios_of_the_best_processes(monkeypatch):
    if not backends.available()["native"][0]:
        pytest.skip(f"native: {backends.available()['native'][1]}")
    times = iter([(9, 5), (4, 3), (6, 2), (5, 3), (3, 4), (8, 6)])  # float32, bfloat16, torch; then the other way round
    monkeypatch.setattr(processes, "process", lambda module, library, case: dict(zip(bfloat16.PASSES, next(times))))
    rows = bfloat16.table(["LSTM, mid"], 2).splitlines()[2:4]
    assert rows[0] == "| LSTM, mid, training | 8.0 ms | 3.0 ms | 5.0 ms | 2.67 | 1.67 |"
    assert rows[1] == "| LSTM, mid, inference | 5.0 ms | 3.0 ms | 2.0 ms | 1.67 | 0.67 |"
