"""The model of time: what it says, that it says so, and that it finds the constants behind a report."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench import gpu_fit, gpu_model, gpu_timing
from bench.cases import sizes
from bench.gpu_fit import errors, expected, fit, timed
from bench.gpu_model import DEVICES, DRAWN, Costs, markdown, predict
from rnn_from_scratch import cells
from rnn_from_scratch.backends.gpu import planner
from rnn_from_scratch.backends.gpu.model import SOURCES, may_be_off, span


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def test_a_prediction_by_hand():
    p = predict(DEVICES["H100"], "char", "LSTM")
    B, T, I, H = sizes("char")
    assert (p.operations, p.bytes) == (8 * B * H * H, 4 * (4 * H * H + 12 * B * H))
    peak = 132 * 128 * 2 * 1.755e9 * gpu_fit.LARGE
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
    tiled = []
    for name in gpu_timing.TILED:
        B, _, _, H = sizes(name)
        for tiles in gpu_timing.other_tiles(limits, B, H):
            found = [ms * (1 + noise * rng.uniform(-1, 1)) for ms in expected(costs, limits, name, "LSTM", tiles)["sequence"]]
            tiled.append({"shape": name, "cell": "LSTM", "tiles": tiles, "sequence": found})
    micro = {"barrier of 8 blocks": costs.barrier}
    return {"timings": rows, "tile timings": tiled, "micro": micro, "limits": limits._asdict()}


TRUTH = Costs(call=350.0, host=9.0, barrier=2.2, turn=1.5, chunk=0.5, efficiency=0.4, level2=18.0)
OTHERS = ("seq2seq", "haste-1024", "char-512", "deepbench-256-64", "load")  # not in the report


def off_elsewhere(costs, limits):
    """The largest factor by which times are off that the report says nothing of."""
    worst = 0.0
    for name in OTHERS:
        found, true = expected(costs, limits, name, "LSTM"), expected(TRUTH, limits, name, "LSTM")
        worst = max([worst, *(abs(np.log(a / b)) for tier in true for a, b in zip(found[tier], true[tier]))])
    return np.exp(worst)


@pytest.mark.parametrize("device", ["A100", "H100"])
def test_the_constants_behind_a_report_are_found(device):
    limits = DEVICES[device]
    made = report(TRUTH, limits)
    assert errors(TRUTH, limits, timed(made)) < 1e-20
    found = fit(made, limits)
    assert errors(found, limits, timed(made)) < 1e-4 < errors(Costs(), limits, timed(made))
    for name in ("call", "host", "barrier"):
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), rel=0.05), name
    assert found.peak == pytest.approx(0.35, rel=0.1)  # what the report agrees with stays where it was
    assert off_elsewhere(found, limits) < 1.05 < 1.3 < off_elsewhere(Costs(), limits)


def test_noise_moves_the_predictions_by_no_more_than_itself(tmp_path, capsys):
    limits = DEVICES["H100"]
    made = report(TRUTH, limits, noise=0.05)
    found = fit(made, limits)
    assert errors(found, limits, timed(made)) < 0.05**2
    assert off_elsewhere(found, limits) < 1.1
    path = tmp_path / "gpu_report.json"
    path.write_text(json.dumps(made))
    gpu_model.main(["--fit", str(path)])
    assert capsys.readouterr().out.startswith(f"{found}\nerror ")


def test_every_constant_is_fitted():
    """A report that was made with one of them moved moves it, or others with the same effect: the error goes back to nothing."""

    def is_fitted(name, limits):
        made = report(Costs()._replace(**{name: getattr(Costs(), name) * 1.2}), limits)
        before, after = errors(Costs(), limits, timed(made)), errors(fit(made, limits), limits, timed(made))
        return before > 1e-7 and after < before / 10

    weak = [name for name in Costs._fields if not any(is_fitted(name, DEVICES[device]) for device in ("H100", "A100"))]
    assert weak == ["product"]  # which Python's time for a step hides


def test_every_constant_says_where_it_comes_from():
    assert list(SOURCES) == list(Costs._fields)
    assert {source.kind for source in SOURCES.values()} == {"data sheet", "simulation", "guess"}
    assert all(1 < source.off <= 2 and source.why for source in SOURCES.values())


@pytest.mark.parametrize("row", gpu_model.SIMULATED)
def test_what_was_simulated_is_within_the_error_bar(row):
    (ahead, back), off = gpu_model.simulated(row)
    assert 1.2 < off < 1.5
    for predicted, found in ((ahead, row.ahead), (back, row.back)):
        assert max(predicted / found, found / predicted) < 1.15


def test_the_product_of_4_x_4_is_bound_by_shared_memory():
    """2.33 us of multiply-adds at 64 x 512 on an H100; 2.9 to 4.7 us of loads: what lanes share is read once or four times."""
    limits, tiles, cell = DEVICES["H100"], planner.Tiles(16, 16, 256, 512, False), cells.LSTM()
    sizes = planner.pass_sizes(cell, 512, False, tiles, False)
    nothing = {**dict.fromkeys(("barrier", "turn", "pair", "chunk", "part"), 0.0), "efficiency": 1.0, "level2": 1e9}

    def product(**costs):
        return planner.sequence_us(limits, Costs(**{**nothing, **costs}), cell, 512, 4, tiles, sizes, False)

    assert product(spread=1.0) == pytest.approx(2.92, abs=0.01)
    assert product(spread=4.0) == pytest.approx(4.67, abs=0.01)
    assert product(banks=1e9) == pytest.approx(2.33, abs=0.01)


def test_a_time_may_be_off_by_what_its_constants_may():
    assert may_be_off(lambda c: c.host + 0 * c.call, Costs()) == pytest.approx(SOURCES["host"].off)
    assert may_be_off(lambda c: c.host * c.call, Costs()) == pytest.approx(np.exp(np.hypot(*np.log([1.6, 2.0]))))
    assert may_be_off(lambda c: c.host + 1e6, Costs()) < 1.001
    assert span(8.16, 1.5) == "8.16 (5.4 to 12) us"
    assert span(83.4, 1.4) == "83.4 (60 to 120) us"


@pytest.mark.check
def test_it_writes_a_table_and_a_figure(tmp_path):
    pytest.importorskip("matplotlib")
    gpu_model.main(["--out", str(tmp_path)])
    assert (tmp_path / "gpu_model.md").read_text() == markdown()
    assert (tmp_path / "roofline.png").stat().st_size > 20_000
