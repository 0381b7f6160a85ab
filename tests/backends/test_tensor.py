"""math="tensor" in the emulator: the sequence tier with products on tensor cores, within the budgets of its storage."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from bench.gpu_model import DEVICES
from rnn_from_scratch import backends, cells, jvp
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator import device as emulator_device
from rnn_from_scratch.backends.emulator.program import Program
from rnn_from_scratch.backends.gpu import sequence, tensor
from rnn_from_scratch.backends.gpu.planner import Tiles
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem

from ..helpers import pairwise
from ..helpers.sample import drawn
from ..helpers.sequence_cases import Broken, bits, form, on_device
from ..helpers.tensor_cases import SMALL, STORAGES, VARIANTS, check, measured

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)
FORMS = list(cells.forms())
LSTM = cells.LSTM()


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def storage_of(number):
    """Each storage in turn."""
    return STORAGES[number % len(STORAGES)]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_within_the_budget_of_its_storage(name):
    for i, situation in enumerate(("any mask, reversed, zeroed", "scale per gate, any mask"), FORMS.index(name)):
        check(problem(CELLS[name], situation, "float32"), SMALL, storage_of(i))


def check_variant(variant, storage):
    sizes = (9, 3, 3, 23) if "passes" in variant else (6, 4, 3, 19)
    check(problem(CELLS["GRU reset before"], "scale per gate, any mask", "float32", sizes), VARIANTS[variant], storage)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant):
    check_variant(variant, storage_of([*VARIANTS].index(variant)))


@pytest.mark.check
def test_every_variant_cell_and_situation_in_every_storage():
    """Or a draw of them."""
    for variant, storage in drawn([*product(VARIANTS, STORAGES)], every=3):
        check_variant(variant, storage)
    for name, situation, storage in drawn([*product(CELLS, SITUATIONS, STORAGES)], every=12):
        check(problem(CELLS[name], situation, "float32"), SMALL, storage)


@pytest.mark.check
def test_three_products_of_tf32_are_as_exact_as_float32_and_one_is_not(monkeypatch):
    p = problem(CELLS["LSTM"], "any mask", "float32", (8, 20, 5, 131))
    p.params["Wh"][...] *= 2 / np.sqrt(131)
    tiles = Tiles(33, 8, 128, 4096, False)
    worst, e, allowed = measured(p, tiles, None)
    assert e <= allowed / 2, f"{worst} is off by {e:.2g}, allowed {allowed:.2g}"
    both, make = "sum[i] += large[i] + small[i]", sequence.sequence_text
    assert both in make(p.cell, "float32", None, 131, tiles, False, 1, True)
    monkeypatch.setattr(sequence, "sequence_text", lambda *args: make(*args).replace(both, "sum[i] += large[i]"))
    _, e, allowed = measured(p, tiles, None)
    assert e > 100 * allowed


FACTORS = {
    "cell": tuple(FORMS),
    "activation": ("tanh", "relu"),
    "storage": STORAGES,
    "situation": ("plain", "lengths", "any mask, reversed, zeroed", "one scale", "scale per gate, any mask", "scale per gate, reversed"),
    "H": (1, 4, 7, 17, 37),
    "B": (1, 5, 8, 19),
    "T": (1, 5),
    "I": (1, 3),
    "own": (1, 3, 5, 37),
    "rows": (8, 16, 24),
    "threads": (32, 96, 160),
    "chunk": (16, 48, 4096),
    "held": (False, True),
}


@pytest.mark.check
def test_pairwise_table_of_odd_sizes():
    """Or a draw of it."""
    for row in drawn(pairwise.table(FACTORS), every=3):
        tiles = Tiles(row["own"], row["rows"], row["threads"], 4096 if row["held"] else row["chunk"], row["held"])
        p = problem(form(row["cell"], row["activation"], "sigmoid"), row["situation"], "float32", [row[k] for k in "BTIH"], seed=5)
        p.params["Wh"][...] /= np.sqrt(row["H"])
        check(p, tiles, row["storage"])


@pytest.mark.parametrize("storage", STORAGES)
def test_20_schedules_give_the_same_bits(storage):
    p = problem(CELLS["GRU reset before"], "scale per gate, any mask", "float32", (9, 3, 2, 5))
    tiles = VARIANTS["layers of warps"]
    every = [bits(p, emulated.EmulatedDevice(seed, tiles=tiles), storage, "tensor") for seed in range(20)]
    assert every == every[:1] * 20


def test_sm_75_multiplies_in_two_halves_with_the_same_bits():
    """In the emulator, that is, where four products are added at a time whatever the instruction."""
    p, tiles = problem(CELLS["LSTM"], "any mask", "float32", (9, 3, 2, 19)), VARIANTS["layers of warps"]

    class Older(emulated.EmulatedDevice):
        def launch(self, text, *args, **more):
            super().launch(f"#define __CUDA_ARCH__ 750\n{text}", *args, **more)

    two, one = (bits(p, device(tiles=tiles), "float16", "tensor") for device in (Older, emulated.EmulatedDevice))
    assert two == one


@pytest.mark.parametrize("name", ["forward", "backward"])
@pytest.mark.parametrize(("old", "new"), [("multiply(sum", "if (lane != 3) multiply(sum"), ("layer < SPLIT && tall", "lane < 31 && tall")])
def test_a_lane_that_stays_away_is_reported(name, old, new):
    device = Broken(name, SMALL, old, new)
    with pytest.raises(emulated.EmulatorError, match=f"(?s){name}.*deadlock.*31 threads in a warp exchange"):
        on_device(problem(CELLS["LSTM"], "plain", "float32"), device, "float16", "tensor")


# ---- the host


def test_it_is_one_launch_each_way_and_the_tape_remembers(monkeypatch):
    names, real = [], Program.launch
    monkeypatch.setattr(Program, "launch", lambda self, name, *args, **more: names.append(name) or real(self, name, *args, **more))
    p = problem(CELLS["LSTM"], "any mask", "float32")
    _, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", storage="float16", math="tensor")
    assert names == ["forward"] and tape.math == "tensor"
    grads = backends.backward(tape, p.dy, p.dstate)
    assert names.count("backward") == 1 and grads.params["Wh"].dtype == np.float32
    _, _, plain = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", math="tensor")
    with pytest.raises(ValueError, match="has no products on tensor cores; call forward without math="):
        jvp(plain, x=p.x)


def test_nobody_gets_it_unasked(monkeypatch):
    texts = []
    monkeypatch.setattr(sequence, "sequence_text", lambda *args, make=sequence.sequence_text: texts.append(make(*args)) or texts[-1])
    p = problem(CELLS["LSTM"], "plain", "float32")
    for storage in (None, "float16"):
        monkeypatch.setenv("RNN_GPU_TIER", "sequence")
        backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", storage=storage)
    assert len(texts) == 2 and not any("mma" in text for text in texts)


def test_the_plan_says_that_it_predicts():
    p = problem(CELLS["LSTM"], "plain", "float32")
    plan = backends.plan(p.cell, p.params, p.x, "emulated", storage="bfloat16", math="tensor")
    assert plan.tier == "sequence" and plan.us["tensor"] and "on tensor cores in bfloat16" in str(plan) and "not measured" in str(plan)
    assert "TF32" in str(backends.plan(p.cell, p.params, p.x, "emulated", math="tensor"))


def test_an_empty_batch_launches_nothing():
    p = problem(CELLS["LSTM"], "any mask", "float32", (0, 3, 2, 4))
    y, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend="emulated", storage="float16", math="tensor")
    assert y.shape == (0, 3, 4) and tape.math == "tensor"


def test_what_is_refused(monkeypatch):
    p = problem(CELLS["LSTM"], "plain", "float32")

    def ask(**more):
        backends.forward(p.cell, p.params, more.pop("x", p.x), **{"backend": "emulated", "math": "tensor", **more})

    with pytest.raises(ValueError, match="math: expected None or one of tensor, got 'fast'"):
        ask(math="fast")
    with pytest.raises(ValueError, match="math: only the backends cuda and emulated have tensor cores, got backend='reference'"):
        ask(backend="reference")
    wide = problem(CELLS["LSTM"])
    with pytest.raises(TypeError, match="math: tensor cores add in float32, got x of float64"):
        backends.forward(wide.cell, wide.params, wide.x, backend="emulated", math="tensor")
    monkeypatch.setenv("RNN_GPU_TIER", "step")
    with pytest.raises(ValueError, match="RNN_GPU_TIER=step asks for the other"):
        ask()
    monkeypatch.delenv("RNN_GPU_TIER")
    older = emulator_device.LIMITS._replace(name="an older one", capability=(7, 5))
    monkeypatch.setattr(emulator_device, "LIMITS", older)
    ask(storage="float16")
    with pytest.raises(ValueError, match=r"bfloat16 need compute capability 8.0, and an older one has 7.5; storage='float16' needs 7.5"):
        ask(storage="bfloat16")
    with pytest.raises(ValueError, match=r"products in TF32 need compute capability 8.0"):
        ask()
    monkeypatch.setattr(emulator_device, "LIMITS", older._replace(capability=(7, 0)))
    with pytest.raises(ValueError, match=r"products in float16 need compute capability 7.5, and an older one has 7.0; leave math= out"):
        ask(storage="float16")
    monkeypatch.setattr(emulator_device, "LIMITS", older._replace(cooperative=False))
    with pytest.raises(ValueError, match="blocks cannot wait for each other"):
        ask(storage="float16")
    monkeypatch.setattr(emulator_device, "LIMITS", older._replace(shared=100))
    with pytest.raises(ValueError, match="Wh .* and 6 rows do not fit into"):
        ask(storage="float16")


# ---- the planner


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("operands", tensor.NEEDS)
def test_a_plan_never_exceeds_a_limit_of_its_device(device, operands):
    limits = DEVICES[device]
    for B, H, per_gate in ((1, 1, True), (1, 128, False), (37, 200, True), (64, 512, False), (16, 1024, False), (5, 4096, False)):
        try:
            plan = tensor.plan(limits, LSTM, B, H, "float32", per_gate, operands)
        except ValueError:
            assert H > 128 or limits.capability < tensor.NEEDS[operands] or limits.multiprocessors < 2
            continue
        assert limits.capability >= tensor.NEEDS[operands]
        tiles, (slices, groups) = plan.tiles, plan.grid
        assert slices * tiles.own >= H > (slices - 1) * tiles.own and groups * tiles.rows >= B > (groups - 1) * tiles.rows
        assert slices * groups <= limits.multiprocessors and plan.shared <= limits.shared and tiles.rows % 8 == 0
        assert plan.us["tensor"] and min(plan.us["tensor"]) > 0


def test_which_devices_have_them():
    rows = {name: [operands for operands in tensor.NEEDS if not tensor.why_not(DEVICES[name], operands)] for name in DEVICES}
    every = list(tensor.NEEDS)
    assert rows == {"T4": ["float16"], "A100": every, "H100": every, "B200": every, "RTX 4090": every, "toy": []}


def test_weights_that_float32_has_no_room_for_fit_in_16_bits():
    assert tensor.plan(DEVICES["A100"], LSTM, 16, 1024, "float32", False, "float16").tier == "sequence"
    assert tensor.plan(DEVICES["A100"], LSTM, 16, 1024, "float32").tier == "step"
