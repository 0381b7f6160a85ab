"""Designs that are not built: what the model says of them is what the guides say, and follows from what is guessed."""

from __future__ import annotations

import re
import shutil

import pytest

from bench import gpu_designs
from bench.gpu_designs import Cluster, cluster_plan, cluster_us, in_turn_us
from bench.gpu_model import DEVICES
from rnn_from_scratch import cells
from rnn_from_scratch.backends.gpu import planner, source
from rnn_from_scratch.backends.gpu.planner import Costs, up

H100, LSTM = DEVICES["H100"], cells.LSTM()


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def test_the_guides_have_what_the_command_writes(tmp_path):
    for name in ("clusters.md", "sequence.md"):
        shutil.copy(source.folder() / name, tmp_path)
    gpu_designs.main([str(tmp_path)])
    for name in ("clusters.md", "sequence.md"):
        kept = (source.folder() / name).read_text(encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == kept, f"{name}: python -m bench.gpu_designs kernels writes another table"


def test_two_row_groups_in_turn_are_not_built_since_they_would_bring_less_than_a_tenth():
    changes = [float(row.split("|")[8].strip(" %")) for row in list(gpu_designs.in_turn())[2:]]
    assert len(changes) > 20 and min(changes) > -10


def test_a_cluster_has_at_most_8_blocks_and_fits():
    for B, H in gpu_designs.SHAPES:
        found = cluster_plan(H100, Cluster(), LSTM, B, H, Costs())
        if found:
            slices, groups = up(H, found[1].own), up(B, found[1].rows)
            assert 2 <= slices <= 8 and groups <= 8 * (16 // slices)
    assert cluster_plan(H100, Cluster(), LSTM, 64, 512, Costs()) is None  # 4 MB of weights
    assert cluster_plan(H100, Cluster(), LSTM, 64, 256, Costs()) and cluster_plan(H100, Cluster(portable=2), LSTM, 64, 256, Costs()) is None


def test_what_a_cluster_brings_follows_from_what_is_guessed():
    _, tiles = cluster_plan(H100, Cluster(), LSTM, 64, 256, Costs())
    sizes = planner.pass_sizes(LSTM, 256, False, tiles, False)
    now = planner.sequence_us(H100, Costs(), LSTM, 256, 4, tiles, sizes, False)
    there = cluster_us(H100, Costs(), Cluster(), LSTM, 256, 4, tiles, sizes, False)
    later = cluster_us(H100, Costs(), Cluster(barrier=1.25), LSTM, 256, 4, tiles, sizes, False)
    assert there < now and later == pytest.approx(there + 1)
    assert cluster_us(H100, Costs(), Cluster(network=0.1), LSTM, 256, 4, tiles, sizes, False) > now
    assert 1.2 < gpu_designs.off_by(H100, LSTM, 256, tiles) < 2


def test_in_turn_wins_where_the_barrier_is_all_there_is():
    tiles = planner.plan(H100, LSTM, 64, 512, "float32").tiles
    sizes = planner.pass_sizes(LSTM, 512, False, tiles, False)
    for barrier, wins in ((0.7, False), (20.0, True)):
        costs = Costs(barrier=barrier)
        now = planner.sequence_us(H100, costs, LSTM, 512, 4, tiles, sizes, False)
        assert (in_turn_us(H100, costs, LSTM, 512, 4, tiles, False, False) < 0.9 * now) == wins
        assert in_turn_us(H100, costs, LSTM, 512, 4, tiles, False, True) < now


def test_a_folder_without_marks_is_refused(tmp_path):
    for name in ("clusters.md", "sequence.md"):
        (tmp_path / name).write_text("no marks")
    with pytest.raises(ValueError, match=re.escape("expected <!-- clusters: begin --> and <!-- clusters: end --> once each")):
        gpu_designs.main([str(tmp_path)])
