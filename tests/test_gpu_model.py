"""The model of time: what it says, that it says so, and that it finds the constants behind a report."""

from __future__ import annotations

import json

import pytest

from bench import gpu_model
from bench.cases import sizes
from bench.gpu_model import DEVICES, DRAWN, Costs, errors, fit, markdown, predict
from rnn_from_scratch.backends import planner


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def test_a_prediction_by_hand():
    p = predict("H100", "char", "LSTM")
    B, T, I, H = sizes("char")
    assert (p.operations, p.bytes) == (8 * B * H * H, 4 * (4 * H * H + 12 * B * H))
    peak = 132 * 128 * 2 * 1.755e9 * gpu_model.LARGE
    assert p.hoisted[0] == pytest.approx(2e3 * B * T * I * 4 * H / peak)
    assert p.step[0] == pytest.approx(p.hoisted[0] + T * 18e-3)  # Python's time for a step
    assert p.sequence[0] < p.step[0] / 4


def test_the_sequence_tier_wins_small_and_middle_sizes_by_2_to_8():
    for name in ("char", "mid"):
        p = predict("H100", name, "LSTM")
        assert 2 < sum(p.step) / sum(p.sequence) < 8, name
    assert predict("T4", "big", "LSTM").sequence is None


def test_the_table_says_that_nothing_was_measured():
    text = markdown()
    assert text.startswith("# Predicted times, float32; no GPU has run this")
    for device in DRAWN:
        assert text.count(f"\n| {device} |") > 25
    assert "| T4 | big | LSTM | 134.2 | 5632 | 2, - |" in text
    assert "FlashRNN fused bf16" in text


def report(costs, limits):
    """What gpu-check would write if these constants were the truth."""
    rows = []
    for name in ("mnist", "char", "mid", "big", "latency", "deepbench-512-16", "deepbench-512-128", "deepbench-1024-25"):
        B, T, I, H = sizes(name)
        cell = gpu_model.CELLS["LSTM"]
        hoisted = 2 * B * T * I * 4 * H / (2e9 * limits.multiprocessors * limits.lanes * limits.clock * gpu_model.LARGE) * 1e3
        us = planner.step_us(limits, costs, cell, B, H, 4, False)
        row = {"shape": name, "cell": "LSTM", "step": [hoisted + us * T / 1e3, None], "sequence": None}
        best = planner.best_tiles(limits, Costs(), cell, B, H, 4, False)
        if best:
            us = planner.sequence_us(limits, costs, cell, H, 4, best[1], planner.pass_sizes(cell, H, False, best[1], False), False)
            row["sequence"] = [hoisted + us * T / 1e3, None]
        rows.append(row)
    return {"timings": rows, "micro": {"barrier of 8 blocks": costs.barrier}, "limits": limits._asdict()}


def test_the_constants_behind_a_report_are_found(tmp_path, capsys):
    truth, limits = Costs(host=9.0, product=2.0, barrier=2.2, turn=1.5, efficiency=0.3), DEVICES["A100"]
    made = report(truth, limits)
    assert errors(truth, limits, made["timings"]) < 1e-20
    found = fit(made, limits)
    assert errors(found, limits, made["timings"]) < 1e-3 < errors(Costs(), limits, made["timings"])
    assert found.barrier == 2.2
    assert found.host == pytest.approx(9.0, rel=0.1)
    path = tmp_path / "gpu_report.json"
    path.write_text(json.dumps(made))
    gpu_model.main(["--fit", str(path)])
    assert capsys.readouterr().out.startswith("Costs(host=")


@pytest.mark.check
def test_it_writes_a_table_and_a_figure(tmp_path):
    pytest.importorskip("matplotlib")
    gpu_model.main(["--out", str(tmp_path)])
    assert (tmp_path / "gpu_model.md").read_text() == markdown()
    assert (tmp_path / "roofline.png").stat().st_size > 20_000
