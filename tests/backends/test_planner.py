"""The planner: no plan exceeds a limit of its device, and "step" always exists."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.gpu_model import DEVICES
from rnn_from_scratch import cells
from rnn_from_scratch.backends.gpu import planner
from rnn_from_scratch.backends.gpu.planner import Costs, Limits, Tiles, plan, up

CELLS = [cells.SimpleRNN(), cells.LSTM(), cells.PeepholeLSTM(), cells.GRU(), cells.GRU(reset_after=False)]
KB = 1 << 10

# cell, B, H, dtype, h_scale for each gate -> device -> tier
EXPECTED = {
    (cells.LSTM(), 50, 128, "float32"): {"T4": "sequence", "A100": "sequence", "H100": "sequence", "RTX 4090": "sequence", "toy": "step"},
    (cells.LSTM(), 64, 512, "float32"): {"T4": "step", "H100": "sequence", "B200": "sequence"},
    (cells.LSTM(), 16, 1024, "float32"): {"A100": "step", "H100": "sequence", "RTX 4090": "step"},
    (cells.LSTM(), 64, 2048, "float32"): dict.fromkeys(DEVICES, "step"),
    (cells.LSTM(), 64, 256, "float64"): {"T4": "step", "H100": "sequence"},
    (cells.PeepholeLSTM(), 50, 128, "float64", True): {"A100": "sequence", "H100": "sequence", "B200": "sequence"},
    (cells.LSTM(), 1, 48, "float32"): dict.fromkeys(DEVICES, "sequence"),
    (cells.SimpleRNN(), 1, 1024, "float32"): {"T4": "sequence", "A100": "sequence", "toy": "step"},
}


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


@pytest.mark.parametrize(("case", "tiers"), EXPECTED.items(), ids=lambda v: "-".join(map(str, v[1:])) if isinstance(v, tuple) else "")
def test_a_table_of_devices(case, tiers):
    found = {name: plan(DEVICES[name], *case) for name in tiers}
    assert {name: p.tier for name, p in found.items()} == tiers
    assert all(p.reason for p in found.values())


def test_one_block_holds_all_weights_where_it_can():
    for name, units in {"T4": 48, "A100": 80, "H100": 80}.items():
        assert plan(DEVICES[name], cells.LSTM(), 16, units, "float32").grid[0] == 1, name
    assert plan(DEVICES["H100"], cells.LSTM(), 16, 400, "float32").grid[0] > 1


LIMITS = st.builds(
    Limits,
    name=st.just("some device"),
    multiprocessors=st.integers(1, 160),
    shared=st.integers(0, 256 * KB),
    clock=st.floats(0.5, 3),
    lanes=st.sampled_from([64, 128]),
    lanes64=st.sampled_from([2, 32, 64]),
    cache=st.integers(1 << 20, 1 << 27),
    memory=st.floats(0.05, 8),
    cooperative=st.sampled_from([True, True, True, False]),
    threads=st.sampled_from([(256, 512), (32,), (256,)]),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(LIMITS, st.sampled_from(CELLS), st.integers(0, 300), st.integers(1, 700), st.sampled_from(["float32", "float64"]), st.booleans())
def test_a_plan_never_exceeds_a_limit_of_its_device(limits, cell, B, H, dtype, per_gate):
    found = plan(limits, cell, B, H, dtype, per_gate)
    assert found.tier in planner.TIERS
    assert found.us["step"] is not None and min(found.us["step"]) > 0
    if found.tier == "step":
        assert found.tiles is None and found.reason
        return
    tiles, (slices, groups), item = found.tiles, found.grid, 4 if dtype == "float32" else 8
    assert limits.cooperative
    assert 1 <= slices * groups <= limits.multiprocessors  # one block on each: they all run at once
    assert slices * tiles.own >= H > (slices - 1) * tiles.own
    assert groups * tiles.rows >= B > (groups - 1) * tiles.rows
    assert tiles.threads in limits.threads
    for backward in (False, True):
        sizes = planner.pass_sizes(cell, H, per_gate, tiles, backward)
        assert planner.shared_bytes(sizes, item) <= found.shared <= limits.shared
        assert planner.registers(cell, sizes, tiles, item, per_gate) <= min(255, 65536 // tiles.threads)
        on_chip = sum(s.weights + s.held * tiles.threads for s in sizes) * slices
        assert on_chip >= len(cell.gates) * H * H  # every weight is somewhere
    assert sum(found.us["sequence"]) < sum(found.us["step"])


def test_what_cannot_run_says_why():
    T4 = DEVICES["T4"]
    wide = plan(T4, cells.LSTM(), 64, 512, "float32")
    assert str(wide) == "step tier: Wh (4.0 MB) and 64 rows do not fit into 64 KB and the registers of 40 multiprocessors"
    assert plan(T4._replace(cooperative=False), cells.LSTM(), 1, 8, "float32").reason.startswith("blocks cannot wait for each other on T4")
    assert plan(T4, cells.LSTM(), 0, 8, "float32").reason == "the batch is empty"
    slow = plan(T4, cells.LSTM(), 50, 128, "float32", costs=Costs(host=0.5, product=0.1, point=0.1, efficiency=0.01))
    assert slow.tier == "step" and "predicted for a step forward and backward" in slow.reason


def test_the_environment_overrides(monkeypatch):
    T4, case = DEVICES["T4"], (cells.LSTM(), 50, 128, "float32")
    monkeypatch.setenv("RNN_GPU_TIER", "step")
    assert str(plan(T4, *case)) == "step tier: it was asked for"
    monkeypatch.setenv("RNN_GPU_TIER", "sequence")
    assert plan(T4, *case, costs=Costs(host=0, product=0, point=0)).tier == "sequence"
    with pytest.raises(ValueError, match="RNN_GPU_TIER=sequence: cannot run: Wh .* do not fit .*; use RNN_GPU_TIER=step"):
        plan(T4, cells.LSTM(), 64, 512, "float32")
    monkeypatch.setenv("RNN_GPU_TIER", "t2")
    with pytest.raises(ValueError, match="RNN_GPU_TIER: expected step or sequence, got 't2'"):
        plan(T4, *case)


def test_tiles_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="do not go together for H = 40"):
        planner.with_tiles(Tiles(40, 4, 32, 8, False), cells.LSTM(), 4, 40, "float32", False)


def test_planning_is_quick():
    planner.best_tiles.cache_clear()
    start = time.process_time()
    plan(DEVICES["H100"], cells.GRU(reset_after=False), 64, 1024, "float32")
    assert time.process_time() - start < 1
    start = time.process_time()
    plan(DEVICES["H100"], cells.GRU(reset_after=False), 64, 1024, "float32")
    assert time.process_time() - start < 0.005


def test_up():
    assert [up(n, 4) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
