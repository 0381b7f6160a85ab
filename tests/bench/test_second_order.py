"""python -m bench.second_order: every library runs every pass, and the table has the ratios of the best processes."""

import pytest

from bench import cases, processes, second_order


@pytest.mark.parametrize("library", ["ours", "torch", pytest.param("keras", marks=pytest.mark.check)])
def test_every_pass_runs(library, monkeypatch):
    pytest.importorskip({"ours": "numpy", "torch": "torch", "keras": "tensorflow"}[library], reason=f"needs {library}")
    monkeypatch.setattr(processes, "SECONDS", 0)
    monkeypatch.setitem(cases.SHAPES, "mid", cases.SHAPES["mid"]._replace(B=3, T=5, I=7, H=11))
    assert all(0 < ms < 5000 for ms in second_order.one(library, "GRU, mid").values())


def test_the_table_takes_the_best_process_of_each(monkeypatch):
    times = iter([(4, 9, 20), (5, 5, 80), (5, 5, 60), (5, 8, 16)])  # ours, torch; then the other way round
    monkeypatch.setattr(processes, "process", lambda module, library, case: dict(zip(second_order.PASSES, next(times))))
    row = second_order.table(["LSTM, mid"], ["ours", "torch"], 2).splitlines()[2]
    assert row == "| LSTM, mid | 4 ms | 8 ms | 16 ms | 2.00 | 4.00 | 60 ms | 3.75 |"
