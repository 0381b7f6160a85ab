"""The model of time: what it says, that it says so, and that it finds the constants behind a report."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import gpu_model
from bench.cases import sizes
from bench.gpu_model import DEVICES, DRAWN, Costs, errors, expected, fit, markdown, predict


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def test_a_prediction_by_hand():
    p = predict(DEVICES["H100"], "char", "LSTM")
    B, T, I, H = sizes("char")
    assert (p.operations, p.bytes) == (8 * B * H * H, 4 * (4 * H * H + 12 * B * H))
    peak = 132 * 128 * 2 * 1.755e9 * gpu_model.LARGE
    alone = 0.2 + 2e3 * B * T * I * 4 * H / peak  # Python's time for a call, and x Wx
    assert p.step[0] == pytest.approx(alone + T * 18e-3)  # Python's time for a step
    assert p.sequence[0] == pytest.approx(alone + T * p.plan.us["sequence"][0] / 1e3)
    assert p.plan.us["sequence"][0] < 18 / 4


def test_the_sequence_tier_wins_small_and_middle_sizes_by_2_to_8():
    for name in ("char", "mid"):
        p = predict(DEVICES["H100"], name, "LSTM")
        assert 2 < sum(p.step) / sum(p.sequence) < 8, name
    assert predict(DEVICES["T4"], "big", "LSTM").sequence is None


@pytest.mark.check
def test_the_table_says_that_nothing_was_measured():
    text = markdown()
    assert text.startswith("# Predicted times, float32; no GPU has run this")
    for device in DRAWN:
        assert text.count(f"\n| {device} |") > 25
    assert "| T4 | big | LSTM | 134.2 | 5632 | 2, - |" in text
    assert "FlashRNN fused bf16" in text


NAMES = ("mnist", "char", "mid", "big", "latency", "deepbench-512-16", "deepbench-512-128", "deepbench-512-1", "deepbench-1024-25")


def report(costs, limits, noise=0.0):
    """What gpu-check would write if these constants were the truth, but for some noise."""
    rng, rows = np.random.default_rng(0), []
    for name in NAMES:
        for cell in ("LSTM", "GRU reset before"):
            row = {"shape": name, "cell": cell, "sequence": None}
            for tier, both in expected(costs, limits, name, cell).items():
                row[tier] = [ms * (1 + noise * rng.uniform(-1, 1)) for ms in both]
            rows.append(row)
    return {"timings": rows, "micro": {"barrier of 8 blocks": costs.barrier}, "limits": limits._asdict()}


TRUTH = Costs(call=350.0, host=9.0, barrier=2.2, turn=1.5, efficiency=0.3)
MOVED = ("call", "host", "barrier", "turn", "efficiency")


@pytest.mark.parametrize("device", ["A100", "H100"])
def test_the_constants_behind_a_report_are_found(device):
    limits = DEVICES[device]
    made = report(TRUTH, limits)
    assert errors(TRUTH, limits, made["timings"]) < 1e-20
    found = fit(made, limits)
    assert errors(found, limits, made["timings"]) < 1e-4 < errors(Costs(), limits, made["timings"])
    for name in MOVED:
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), rel=0.1), name
    assert found.peak == pytest.approx(0.35, rel=0.1)  # what the report agrees with stays where it was


def test_noise_moves_the_constants_by_no_more_than_itself(tmp_path, capsys):
    limits = DEVICES["H100"]
    made = report(TRUTH, limits, noise=0.05)
    found = fit(made, limits)
    assert errors(found, limits, made["timings"]) < 0.05**2
    for name in MOVED:
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), rel=0.2), name
    path = tmp_path / "gpu_report.json"
    path.write_text(json.dumps(made))
    gpu_model.main(["--fit", str(path)])
    assert capsys.readouterr().out.startswith(f"{found}\nerror ")


@pytest.mark.check
def test_it_writes_a_table_and_a_figure(tmp_path):
    pytest.importorskip("matplotlib")
    gpu_model.main(["--out", str(tmp_path)])
    assert (tmp_path / "gpu_model.md").read_text() == markdown()
    assert (tmp_path / "roofline.png").stat().st_size > 20_000
