"""sequence.cu in the emulator: against the reference, and bit for bit against the step tier."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_from_scratch import backends, cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator.program import Program
from rnn_from_scratch.backends.gpu import sequence, source
from rnn_from_scratch.backends.gpu.planner import Tiles
from rnn_from_scratch.backends.gpu.storage import storage_dtype
from rnn_from_scratch.measure import EXACT, budget, compare, error
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, cast, problem, solve, solve_rounded

from ..helpers import pairwise
from ..helpers.sequence_cases import DESERTED, PATIENCE_IN_TESTS, SMALL, VARIANTS, Broken, Ordered, bits, form, on_device

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)
FORMS = list(cells.forms())


def check(p, tiles, storage=None):
    """Everything within budget of the reference in float64: 1e-12, or what float32 and the storage allow."""
    truth = solve(cast(p, "float64"))
    ours, tape = on_device(p, emulated.EmulatedDevice(tiles=tiles), storage)
    if p.x.dtype == np.float64:
        budgets = dict.fromkeys(truth, EXACT)
        _, _, own = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
        for a, b in zip((*tape.states, tape.saved), (*own.states, own.saved)):
            assert error(a, b) <= EXACT
    else:
        own = solve_rounded(p, storage_dtype(storage)) if storage else solve(p)
        budgets = {name: budget(name, error(own[name], truth[name])) for name in truth}
    worst, e, allowed = compare({n: np.asarray(a, np.float64) for n, a in ours.items()}, truth, budgets)
    assert e <= allowed, worst


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", FORMS)
def test_every_situation_equals_the_reference(name, situation):
    check(problem(CELLS[name], situation), SMALL)


@pytest.mark.check
@pytest.mark.parametrize("name", [name for name in CELLS if name not in FORMS])
def test_every_cell_equals_the_reference(name):
    for situation in SITUATIONS:
        check(problem(CELLS[name], situation), SMALL)


def same_bits_as_step(name, situation, tiles, dtype="float64", storage=None, sizes=(6, 7, 3, 5)):
    p = problem(CELLS[name], situation, dtype, sizes)
    one, other = (bits(p, Ordered(sizes[3], tiles, tier), storage) for tier in ("sequence", "step"))
    assert {n for n in one if one[n] != other[n]} == set()


@pytest.mark.parametrize("name", FORMS)
def test_same_order_of_sums_same_bits_as_the_step_tier(name):
    for situation in SITUATIONS:
        same_bits_as_step(name, situation, SMALL)


@pytest.mark.parametrize(("dtype", "storage"), [("float32", None), ("float32", "float16"), ("float32", "bfloat16")])
def test_float32_and_16_bits_give_the_bits_of_the_step_tier(dtype, storage):
    same_bits_as_step("PeepholeLSTM", "any mask, reversed, zeroed", SMALL, dtype, storage)


@pytest.mark.check
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", FORMS)
def test_every_variant_gives_the_bits_of_the_step_tier(name, variant):
    for situation in ("any mask, reversed", "scale per gate, any mask"):
        same_bits_as_step(name, situation, VARIANTS[variant])


@pytest.mark.parametrize("variant", ["in registers", "one block, no barrier", "several passes"])
def test_variants_give_the_bits_of_the_step_tier(variant):
    same_bits_as_step("GRU reset before", "any mask, reversed", VARIANTS[variant])


@pytest.mark.parametrize("name", FORMS)
def test_20_schedules_give_the_same_bits(name):
    p = problem(CELLS[name], "any mask", sizes=(5, 3, 2, 5))
    every = [bits(p, emulated.EmulatedDevice(seed, tiles=SMALL)) for seed in range(20)]
    assert every == every[:1] * 20


@pytest.mark.check
@pytest.mark.parametrize("variant", VARIANTS)
def test_40_schedules_of_every_variant(variant):
    p = problem(CELLS["GRU reset before"], "scale per gate, any mask", "float32", sizes=(5, 3, 2, 5))
    every = [bits(p, emulated.EmulatedDevice(seed, tiles=VARIANTS[variant])) for seed in range(40)]
    assert every == every[:1] * 40


FACTORS = {
    "cell": tuple(FORMS),
    "activation": ("tanh", "relu"),
    "recurrent": ("sigmoid", "hard_sigmoid"),
    "kind": ("float64", "float32", "float16", "bfloat16"),
    "situation": ("plain", "lengths", "any mask, reversed, zeroed", "one scale", "scale per gate, any mask", "scale per gate, reversed"),
    "H": (1, 4, 7, 18),
    "B": (1, 5, 8),
    "T": (1, 4),
    "own": (1, 3, 4, 18),
    "rows": (1, 2, 4, 8),
    "threads": (32, 96),
    "chunk": (4, 16, 512),
    "held": (False, True),
}
TABLE = pairwise.table(FACTORS)


@pytest.mark.check
@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(map(str, row.values())))
def test_pairwise_table_of_odd_sizes(row):
    tiles = Tiles(row["own"], row["rows"], row["threads"], 512 if row["held"] else row["chunk"], row["held"])
    dtype = "float64" if row["kind"] == "float64" else "float32"
    cell = form(row["cell"], row["activation"], row["recurrent"])
    p = problem(cell, row["situation"], dtype, (row["B"], row["T"], 3, row["H"]), seed=5)
    p.params["Wh"][...] /= np.sqrt(row["H"])
    check(p, tiles, row["kind"] if row["kind"] in backends.STORAGES else None)


def test_the_lesson_at_the_top_is_at_most_40_lines():
    text = (source.folder() / "sequence.cu").read_text(encoding="utf-8").splitlines()
    assert 20 < [line.startswith("//") for line in text].index(False) <= 40


# ---- the host


def launches(monkeypatch):
    """The names of all kernels that are launched from now on."""
    names, real = [], Program.launch
    monkeypatch.setattr(Program, "launch", lambda self, name, *args, **more: names.append(name) or real(self, name, *args, **more))
    return names


def test_one_launch_each_way(monkeypatch):
    names = launches(monkeypatch)
    p = problem(CELLS["GRU reset before"], "lengths")
    on_device(p, emulated.EmulatedDevice(tiles=SMALL))
    assert names == ["forward", "first_live", "backward", "input_rows", "operand_rows", "operand_rows", "column_sum"]


def test_the_environment_decides(monkeypatch):
    p = problem(CELLS["LSTM"], "any mask")
    names = launches(monkeypatch)
    y, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated")
    assert names == ["begin"] + ["forward"] * 7
    del names[:]
    monkeypatch.setenv("RNN_GPU_TIER", "sequence")
    ours = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated")
    assert names == ["forward"]
    assert error(ours[0], y) <= EXACT
    assert ours[2].nbytes == tape.nbytes
    without = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", save=False)
    assert without[2] is None
    assert without[0].tobytes() == ours[0].tobytes()
    monkeypatch.setenv("RNN_GPU_TIER", "fast")
    with pytest.raises(ValueError, match="RNN_GPU_TIER: expected step or sequence, got 'fast'"):
        backends.forward(p.cell, p.params, p.x, backend="emulated")


def test_the_plan_can_be_asked_for(monkeypatch):
    p = problem(CELLS["LSTM"])
    assert str(backends.plan(p.cell, p.params, p.x, "emulated")) == "step tier: it was asked for"
    monkeypatch.setenv("RNN_GPU_TIER", "sequence")
    plan = backends.plan(p.cell, p.params, p.x, "emulated")
    assert str(plan).startswith("sequence tier: ") and "units x" in str(plan)
    with pytest.raises(ValueError, match="backend: only cuda and emulated plan, got 'native'"):
        backends.plan(p.cell, p.params, p.x, "native")


def test_an_empty_batch_launches_nothing(monkeypatch):
    monkeypatch.setenv("RNN_GPU_TIER", "sequence")
    names = launches(monkeypatch)
    ours = solve(problem(CELLS["LSTM"], "any mask", sizes=(0, 3, 2, 4)), "emulated")
    assert names == []
    assert ours["y"].shape == (0, 3, 4)


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_block_that_waits_in_vain_gives_up_and_the_host_raises(monkeypatch, name):
    monkeypatch.setattr(sequence, "PATIENCE", PATIENCE_IN_TESTS)
    p, device = problem(CELLS["LSTM"]), Broken(name, SMALL, *DESERTED)
    on_device(p, emulated.EmulatedDevice(tiles=SMALL))  # so much is enough if all blocks are there
    with pytest.raises(emulated.EmulatorError, match="a block waited in vain for the others of its row group, and the results are NaN"):
        on_device(p, device)
    assert device.failed[0] == 0  # the next call may try again


@pytest.mark.parametrize("cell", ["LSTM", "SimpleRNN relu", "GRU reset before"])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_what_a_block_that_gave_up_writes_is_nan(monkeypatch, name, cell):
    monkeypatch.setattr(sequence, "PATIENCE", PATIENCE_IN_TESTS)
    monkeypatch.setattr(emulated.EmulatedDevice, "check", lambda self: None)
    ours, _ = on_device(problem(CELLS[cell]), Broken(name, SMALL, *DESERTED))
    for array in ("y", "h") if name == "forward" else ("dh0",):
        assert np.isnan(ours[array][..., :4]).all(), array  # the units of the two blocks that stayed


@pytest.mark.parametrize("grid", [(1, 2, 2), (1, 3, 1)])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_grid_that_was_shrunk_is_noticed(name, grid):
    with pytest.raises(emulated.EmulatorError, match="waited in vain"):
        on_device(problem(CELLS["LSTM"]), Broken(name, grid=grid))


def test_one_byte_less_of_shared_memory_is_noticed():
    class Less(emulated.EmulatedDevice):
        def launch(self, text, name, grid, block, args, shared=0):
            super().launch(text, name, grid, block, args, shared and shared - 8)

    with pytest.raises(emulated.EmulatorError, match="out of bounds|memory"):
        on_device(problem(CELLS["LSTM"]), Less(tiles=SMALL))
