"""sequence.cu on tensor cores, at the planned shapes, through CUDA's own compiler: HMMA, no spill, weights made into fragments once."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context

import pytest

from bench.gpu_model import DEVICES
from rnn_from_scratch.backends.gpu import source, tensor
from rnn_from_scratch.backends.gpu.source import signatures
from rnn_from_scratch.verify.table import rewrite

from ..helpers import bank_conflicts, lint, nvrtc, planned_tensor, tensor_banks
from ..helpers.planned import ARCHITECTURES, CELLS
from ..helpers.sample import drawn

pytestmark = pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing())
INSTRUCTIONS = {"float16": "HMMA.16816.F32", "bfloat16": "HMMA.16816.F32.BF16", "TF32": "HMMA.1688.F32.TF32"}


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def complaints(cases):
    """Of cases of one device."""
    found = [complaint for case in cases for complaint in lint.text(case.text)]
    architecture = ARCHITECTURES[cases[0].device]
    for case, kernels in zip(cases, nvrtc.inspect_all([case.text for case in cases], architecture)):
        assert set(kernels) == set(signatures(case.text)) == {"forward", "backward"}
        cell, tiles, size = CELLS[case.cell], case.plan.tiles, tensor.item(case.operands)
        instruction = "HMMA.1688.F32" if architecture == "sm_75" else INSTRUCTIONS[case.operands]
        for name, kernel in kernels.items():
            who = f"{architecture}, {case.cell}, B {case.B}, H {case.H}, {case.operands}, {tiles}, {case.per_gate}: {name}"
            sizes = tensor.pass_sizes(cell, case.H, case.per_gate, tiles, name == "backward", size)
            loads = max(s.loads for s in sizes)
            found += lint.code(who, kernel, "float32", tensor.registers(cell, sizes, tiles, case.operands, case.per_gate))
            found += lint.tensor(who, kernel, len(cell.phases) if case.plan.grid[0] > 1 else 0, instruction, tiles.held, loads)
    return found


@pytest.mark.parametrize("operands", tensor.NEEDS)
def test_one_planned_shape(operands):
    (case,) = [case for case in planned_tensor.cases("A100", "LSTM", operands) if (case.B, case.H) == (64, 256)]
    assert complaints([case]) == []


def test_an_older_architecture_multiplies_in_halves():
    (case,) = [case for case in planned_tensor.cases("T4", "GRU reset before", "float16") if (case.B, case.H) == (64, 256)]
    assert complaints([case]) == []


@pytest.mark.check
def test_every_planned_shape():
    """Every cell, shape, factors on four devices, or a draw of them, in as many processes as there are CPUs."""
    jobs = []
    for device, cell, operands, per_gate in product(ARCHITECTURES, CELLS, tensor.NEEDS, (False, True)):
        if not tensor.why_not(DEVICES[device], operands):
            jobs.append(planned_tensor.cases(device, cell, operands, per_gate))
    assert sum(map(len, jobs)) > 450
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        found = [complaint for result in pool.map(complaints, drawn(jobs, every=12)) for complaint in result]
    assert found == []


@pytest.mark.check
def test_the_table_in_the_guide_is_what_the_command_writes(tmp_path):
    guide, copy = source.folder() / "tensor.md", tmp_path / "tensor.md"
    shutil.copy(guide, copy)
    rewrite(copy, "tensor cores", planned_tensor.table())
    assert copy.read_text(encoding="utf-8") == guide.read_text(encoding="utf-8"), "make tables writes another one"


@pytest.mark.check
def test_the_compiler_of_cuda_12_takes_it_too():
    for operands in tensor.NEEDS:
        assert nvrtc.compile_text(planned_tensor.cases("H100", "GRU reset before", operands)[2].text, "sm_90", release=12)


def crowded(text, products):
    """Where more lanes than 2 want one bank."""
    for shape in products:
        for access in tensor_banks.accesses(text, *shape):
            if (number := bank_conflicts.most(access, shape[3].threads, 4)) > 2:
                yield f"{shape}: {number} words of one bank for {access.name}"


@pytest.mark.check
def test_at_most_two_lanes_want_one_bank():
    text, products = (source.folder() / "tensor_product.h").read_text(encoding="utf-8"), set()
    for device, cell, operands in product(("A100", "H100"), ("LSTM", "GRU reset before"), tensor.NEEDS):
        cases = planned_tensor.cases(device, cell, operands) + planned_tensor.cases(device, cell, operands, True)
        products |= tensor_banks.shapes(cases, CELLS, tensor.item, tensor.padded)
    assert len(products) > 100 and list(crowded(text, products)) == []
    planted = {
        "PITCH = rounded_up(KC / PER, 16) + 8": ("PITCH = rounded_up(KC / PER, 16)", "the operand"),
        "WIDTH + 4 + 16 * (WIDTH % 32 == 0)": ("WIDTH", "the sums, stored"),
        "WIDTH % 32 == 0)": ("WIDTH % 32 == 1)", "the sums of a gate"),
        "8 * step + 2 * (lane % 4)": ("8 * step + 8 * (lane % 4)", "the operand"),
    }
    for old, (new, where) in planted.items():
        assert old in text
        assert any(complaint.endswith(where) for complaint in crowded(text.replace(old, new), products)), old


# ---- the checks can fail

HELD = "Words a = HELD ? held[HELD ? (part * PASSES + pass) * TURNS + turn : 0]"
RUN = "if (!lost) product.run("
AGAIN = f"room = memory; if (!lost) load_weights(which); {RUN}"
PAIR, CACHED = "*reinterpret_cast<const Pair*>(&tile[place])", "__ldcg(reinterpret_cast<const uint4*>(place))"
BROKEN = {  # operands, what is replaced by what, what the checks say
    "weights made again at every step": ("float16", RUN, AGAIN, "from memory at every step"),
    "weights in shared memory made again": ("TF32", RUN, AGAIN, "from memory at every step"),
    "fragments that are not held": ("float16", HELD, "Words a = HELD ? *reinterpret_cast<const Words*>(&tile[lane * 4])", "but wide loads"),
    "words rounded at every step": (
        "float16",
        "multiply(sum[n], a, b);",
        "OPERAND o[2]; store(o, sum[n][0]), store(o + 1, sum[n][1]), b.v[0] ^= word_of(o); multiply(sum[n], a, b);",
        "16 bits at every step",
    ),
    "no tensor cores": ("bfloat16", "mma_m16n8k16_bf16(sum, a.v, b.v)", "sum[0] += a.v[0] * b.v[0]", "products by nothing"),
    "the older instruction": ("float16", "mma_m16n8k16_f16(sum, a.v, b.v)", "mma_m16n8k8_f16(sum, a.v, b.v)", "HMMA.1688.F32, expected"),
    "words one by one": ("float16", PAIR, "{{tile[place], tile[place + 9]}}", "in one load"),
    "an operand from the level 1 cache": ("float16", CACHED, "*reinterpret_cast<const uint4*>(place)", "level 1"),
    "too few registers": ("float16", "__launch_bounds__(THREADS, 1)", "__launch_bounds__(THREADS, 3)", "bytes of stack"),
    "a relaxed release": ("float16", "red.release.gpu", "red.relaxed.gpu", "1 fences for 1 barriers"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_planted_faults_are_found(fault):
    operands, old, new, expected = BROKEN[fault]
    (case,) = [case for case in planned_tensor.cases("A100", "LSTM", operands) if (case.B, case.H) == (64, 256)]
    assert old in case.text and case.plan.tiles.held == (operands != "TF32")
    found = "\n".join(complaints([case._replace(text=case.text.replace(old, new))]))
    assert re.search(expected, found), found
