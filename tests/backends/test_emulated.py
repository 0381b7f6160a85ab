"""The CUDA kernels and their host loop, run by the emulator, against the reference."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rnn_from_scratch import backends, cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import gxx
from rnn_from_scratch.backends.gpu import host
from rnn_from_scratch.backends.gpu.source import step_text
from rnn_from_scratch.backends.gpu.storage import storage_dtype
from rnn_from_scratch.measure import EXACT, budget, compare, error
from rnn_from_scratch.verify import suite
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, cast, problem, solve, solve_rounded

from ..helpers import pairwise
from ..helpers.sequence_cases import form, on_device

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """The kernels that the tests of this file need first, two at a time."""
    texts = [step_text(cell, "float64") for cell in CELLS.values()]
    for p, row in ((case_of(row), row) for row in TABLE):
        texts.append(step_text(p.cell, p.x.dtype, row["kind"] if row["kind"] in backends.STORAGES else None))
    gxx.compiled(texts[0])  # with the machine, once
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(gxx.compiled, texts))


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", CELLS)
def test_every_case_equals_the_reference_in_float64(name, situation):
    p = problem(CELLS[name], situation)
    truth = solve(p)
    ours, tape = on_device(p, emulated.EmulatedDevice())
    worst, e, allowed = compare(ours, truth, dict.fromkeys(truth, EXACT))
    assert e <= allowed, worst
    _, _, own = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
    for a, b in zip((*tape.states, tape.saved), (*own.states, own.saved)):
        assert error(a, b) <= EXACT
    assert tape.nbytes == own.nbytes


@pytest.mark.check
def test_verify_passes_on_emulated():
    """float32 too, gradient checks, tf.keras, the legacy cells, torch."""
    rows = list(suite.rows(backend="emulated"))
    assert len(rows) > 600
    assert [r for r in rows if r.status == "fail"] == []


FACTORS = {
    "cell": tuple(cells.forms()),
    "activation": ("tanh", "relu", "linear", "sigmoid", "hard_sigmoid"),
    "recurrent": ("sigmoid", "hard_sigmoid"),
    "kind": ("float64", "float32", "float16", "bfloat16"),
    "mask": (None, "right", "rows"),
    "zero": (False, True),
    "scales": (None, "one", "gates"),
    "rev": (False, True),
    "H": (1, 31, 33, 150),
    "B": (0, 1, 7),
    "T": (1, 3),
    "bias": (False, True),
}
TABLE = pairwise.table(FACTORS)


def test_the_table_is_pairwise():
    found = {((a, row[a]), (b, row[b])) for row in TABLE for a in row for b in row if a < b}
    for a in FACTORS:
        for b in FACTORS:
            assert all(((a, x), (b, y)) in found for x in FACTORS[a] for y in FACTORS[b]) or a >= b
    assert len(TABLE) < 45


def case_of(row):
    """The problem of a row of the table, its cell with the weights of 1/sqrt(H) that keep linear and relu in range."""
    cell = form(row["cell"], row["activation"], row["recurrent"], use_bias=row["bias"])
    situation = {"mask": row["mask"]} if row["mask"] else {}
    situation |= {"go_backwards": row["rev"], "zero_masked_outputs": row["zero"]}
    situation |= {"x_scale": row["scales"], "h_scale": row["scales"]} if row["scales"] else {}
    SITUATIONS["row"] = situation
    try:
        p = problem(cell, "row", "float64" if row["kind"] == "float64" else "float32", (row["B"], row["T"], 4, row["H"]), seed=3)
    finally:
        del SITUATIONS["row"]
    p.params["Wh"][...] /= np.sqrt(row["H"])
    return p


@pytest.mark.parametrize("row", TABLE, ids=lambda r: "-".join(map(str, r.values())))
def test_pairwise_table(row):
    p = case_of(row)
    storage = row["kind"] if row["kind"] in backends.STORAGES else None
    truth = solve(cast(p, "float64"))
    ours, tape = on_device(p, emulated.EmulatedDevice(seed=1), storage)
    for array in (*ours.values(), *tape.states, tape.saved):
        assert np.isfinite(np.asarray(array, np.float64)).all(), "not all of it was written"
    if row["kind"] == "float64":
        budgets = dict.fromkeys(truth, EXACT)
    else:
        own = solve_rounded(p, storage_dtype(storage)) if storage else solve(p)
        budgets = {name: budget(name, error(own[name], truth[name])) for name in truth}
    worst, e, allowed = compare({n: np.asarray(a, np.float64) for n, a in ours.items()}, truth, budgets)
    assert e <= allowed, worst
    assert ours["y"].dtype == (storage_dtype(storage) if storage else p.x.dtype)


def same_bits_for_20_schedules(name, sizes):
    p = problem(CELLS[name], "scale per gate, any mask", "float32", sizes)
    bits = [{key: a.tobytes() for key, a in on_device(p, emulated.EmulatedDevice(seed))[0].items()} for seed in range(20)]
    assert bits == bits[:1] * 20


@pytest.mark.parametrize("name", cells.forms())
def test_20_schedules_give_the_same_bits(name):
    same_bits_for_20_schedules(name, (7, 3, 2, 3))


@pytest.mark.check
@pytest.mark.parametrize("name", cells.forms())
def test_20_schedules_give_the_same_bits_in_several_blocks(name):
    same_bits_for_20_schedules(name, (40, 7, 2, 35))  # 280 rows: column sums in two stages


@pytest.mark.parametrize(("N", "C"), [(1, 1), (7, 33), (256, 5), (257, 64), (600, 31)])
def test_column_sums(N, C):
    a = np.random.default_rng(N).standard_normal((N, C)).astype("float32")
    devices = [emulated.EmulatedDevice(seed) for seed in range(20)]
    sums = [device.get(host.column_sum(device, device.put(a))) for device in devices]
    assert error(sums[0], a.astype("float64").sum(0)) <= 2e-6
    assert {s.tobytes() for s in sums} == {sums[0].tobytes()}


def test_save_false_keeps_nothing_and_gives_the_same_outputs():
    for name in cells.forms():
        p = problem(CELLS[name], "any mask")
        y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", save=False)
        with_tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated")
        assert tape is None
        assert np.array_equal(y, with_tape[0])
        assert all(np.array_equal(a, b) for a, b in zip(state, with_tape[1]))


def test_a_tape_can_be_used_twice_and_on_parts():
    p = problem(CELLS["PeepholeLSTM"], "any mask")
    _, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated")
    both = [backends.backward(tape, p.dy, p.dstate) for _ in range(2)]
    assert both[0].x.tobytes() == both[1].x.tobytes()
    part = backends.backward(tape, None, p.dstate, wrt="params")
    assert part.x is None and part.initial_state is None
    with pytest.raises(ValueError, match="dy or dstate"):
        backends.backward(tape)


def test_storage_is_refused_where_it_cannot_be():
    p = problem(CELLS["LSTM"], "plain", "float32")
    run = [p.cell, p.params, p.x]
    with pytest.raises(ValueError, match="storage: expected None or one of float16, bfloat16, got 'int8'"):
        backends.forward(*run, backend="emulated", storage="int8")
    with pytest.raises(ValueError, match="only the backends cuda and emulated"):
        backends.forward(*run, backend="reference", storage="float16")
    q = cast(p, "float64")
    with pytest.raises(TypeError, match="got x of float64"):
        backends.forward(q.cell, q.params, q.x, backend="emulated", storage="float16")


def test_auto_never_picks_emulated_and_other_cells_are_refused_by_name():
    class Mine(cells.LSTM):
        pass

    p = problem(Mine())
    assert backends.choose(p.cell, p.params, p.x).name not in ("emulated", "cuda")
    with pytest.raises(ValueError, match="cell: the kernels know SimpleRNN, LSTM, .*, got Mine"):
        backends.forward(p.cell, p.params, p.x, backend="emulated")
