"""sequence.cu at the planned shapes through CUDA's own compiler: no spill, one fence a barrier, wide loads, coherent exchange."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from rnn_from_scratch.backends.gpu import planner, source
from rnn_from_scratch.backends.gpu.source import signatures
from rnn_from_scratch.verify.table import rewrite

from ..helpers import bank_conflicts, lint, nvrtc, planned
from ..helpers.sample import drawn

pytestmark = pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing())
AT_ONCE = 8  # cases for one start of the disassembler


@pytest.fixture(autouse=True)
def no_override(monkeypatch):
    monkeypatch.delenv("RNN_GPU_TIER", raising=False)


def complaints(cases: list[planned.Case], architecture: str) -> list[str]:
    found = [complaint for case in cases for complaint in lint.text(case.text)]
    for case, kernels in zip(cases, nvrtc.inspect_all([case.text for case in cases], architecture)):
        assert set(kernels) == set(signatures(case.text)) == {"forward", "backward"}
        cell, tiles, item = planned.CELLS[case.cell], case.plan.tiles, 4 if case.dtype == "float32" else 8
        for name, kernel in kernels.items():
            who = f"{architecture}, {case.cell}, B {case.B}, H {case.H}, {case.dtype}, {case.storage}: {name}"
            sizes = planner.pass_sizes(cell, case.H, case.per_gate, tiles, name == "backward")
            found += lint.code(who, kernel, case.dtype, planner.registers(cell, sizes, tiles, item, case.per_gate))
            loads = max(min(8, s.loads * item // 4) for s in sizes)  # all of a tile, or eight
            barriers = len(cell.phases) if case.plan.grid[0] > 1 else 0
            found += lint.sequence(who, kernel, case.dtype, barriers, loads, any(s.rounds > 1 for s in sizes))
    return found


@pytest.mark.parametrize("cell", planned.CELLS)
def test_one_planned_shape_of_every_cell(cell):
    cases = [case for case in planned.cases("A100", planned.KINDS[:1]) if (case.cell, case.B, case.H) == (cell, 64, 256)]
    assert len(cases) == 1
    assert complaints(cases, "sm_80") == []


@pytest.mark.check
def test_every_planned_shape():
    """Every cell, shape, dtype and storage on four devices, or a draw of them, in as many processes as there are CPUs."""
    jobs, count = [], 0
    for device, architecture in planned.ARCHITECTURES.items():
        cases = planned.cases(device)
        jobs += [(cases[start : start + AT_ONCE], architecture) for start in range(0, len(cases), AT_ONCE)]
        count += len(cases)
    assert count > 280
    jobs = drawn(jobs, every=2)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        found = [complaint for result in pool.map(complaints, *zip(*jobs)) for complaint in result]
    assert found == []


@pytest.mark.check
def test_the_table_in_the_guide_is_what_the_command_writes(tmp_path):
    guide, copy = source.folder() / "sequence.md", tmp_path / "sequence.md"
    shutil.copy(guide, copy)
    rewrite(copy, "resources", planned.table())
    assert copy.read_text(encoding="utf-8") == guide.read_text(encoding="utf-8"), "make tables writes another one"


@pytest.mark.check
def test_the_compiler_of_cuda_12_takes_it_too():
    for case in planned.cases("H100"):
        if (case.B, case.H) == (64, 256):
            assert nvrtc.compile_text(case.text, "sm_90", release=12)


def shapes():
    """(dtype, parts, K, columns, tiles, whether the gates are joined) of every product of the planned shapes, each once."""
    found = set()
    for device in planned.ARCHITECTURES:
        for case in planned.cases(device):
            tiles, padded = case.plan.tiles, 4 * planner.up(case.H, 4)
            for gates in planned.CELLS[case.cell].phases:
                parts, joined = (len(gates), 1) if case.per_gate else (1, len(gates))
                found.add((case.dtype, parts, padded, joined * tiles.own, tiles, joined > 1))
                found.add((case.dtype, parts, joined * padded, tiles.own, tiles, False))
    return sorted(found)


def crowded(text, products):
    """Where more lanes than 2 want one bank; of float64, whose four numbers take two loads, 3, or 4 in a store made once a step."""
    for dtype, parts, K, columns, tiles, joined in products:
        for access in bank_conflicts.accesses(text, parts, K, columns, tiles, joined):
            number = bank_conflicts.most(access, tiles.threads, 4 if dtype == "float32" else 8)
            if number > (2 if dtype == "float32" else 4 if access.name == "the sums, stored" else 3):
                yield f"{dtype}, {tiles}, {parts} x {K} x {columns}: {number} words of one bank for {access.name}"


@pytest.mark.check
def test_at_most_two_lanes_want_one_bank():
    text, products = (source.folder() / "product.h").read_text(encoding="utf-8"), shapes()
    assert len(products) > 100 and list(crowded(text, products)) == []
    planted = {
        "((part * 4 + k % 4) * (K / 4) + k / 4) * WIDTH": ("(part * K + k) * WIDTH", "the weights"),
        "WIDTH + 4 * (WIDTH % 8 == 0) + 8 * (WIDTH % 32 == 0);": ("WIDTH;", "the sums of gate"),
        "((part * SPLIT + layer) * ROWS + row)": ("((layer * PARTS + part) * ROWS + row)", "the sums, stored"),
        "8 * (WIDTH % 32 == 0);": ("0;", "the sums of gate"),
        "PITCH = KC + 4": ("PITCH = KC", "the operand"),
    }
    for old, (new, where) in planted.items():
        assert old in text
        assert any(where in complaint for complaint in crowded(text.replace(old, new), products)), old


INVISIBLE = {  # to every emulator without the memory of a GPU: what breaks the order between blocks
    "__syncthreads();  // what any thread": ("// what any thread", "STG.* before a release, not the block's barrier"),
    "red.release.gpu.global.add.u32 [%0], %1;": ("red.relaxed.gpu.global.add.u32 [%0], %1;", "1 fences for 1 barriers"),
    "__ldcg(reinterpret_cast<const float4*>(p))": ("*reinterpret_cast<const float4*>(p)", "wide load that may come from the level 1 cache"),
    "        fence_acquire();": ("", "0 cache invalidations for 1 barriers"),
}
BROKEN = {  # what the checks must see
    **INVISIBLE,
    "ld.relaxed.gpu": ("ld.volatile", "0 looks at the counter for 1 barriers"),
    "if (!lost) arrive(arrived + GROUP * 32);\n            REAL xgs[PAIRS][COUNT];": ("REAL xgs[PAIRS][COUNT];", "0 releases for 1"),
    "float4 a = __ldcg(": ("float4 a = __ldg(", "loads past the coherent caches"),
    "lost = lost || !all_arrived(arrived + GROUP * 32, round, failed);": ("", "fences for 1 barriers"),
    "__launch_bounds__(THREADS, 1)": ("__launch_bounds__(THREADS, 6)", "bytes of stack"),
    "const Four& four(const REAL* p) { return *reinterpret_cast<const Four*>(p); }": (
        "Four four(const volatile REAL* p) { return {{p[0], p[1], p[2], p[3]}}; }",
        "no wide loads from shared memory",
    ),
    "least(LOADS, 32 / sizeof(REAL))": ("least(LOADS, 8 / sizeof(REAL))", "2 loads of a tile on their way at once, [48] wanted"),
    "put(next, tile, 0);": ("ask(next, operand, line, number, 0, begin, B); put(next, tile, 0);", "not fetched while one is used"),
    "+= h[m].v[i] * w.v[c]": ("+= *(volatile const REAL*)&tile[k + i] * w.v[c]", "multiply-adds for .* loads from shared memory"),
}


ARRIVE = "            if (!lost) arrive(arrived + GROUP * 32);\n"
XG, WAIT = "            REAL xgs[PAIRS][COUNT];\n", "            lost = lost || !all_arrived(arrived + GROUP * 32, round + 1, failed);"
MASK, PAIR = "                if (K == LAST) on[i] = is_live(live, b, step, T, rev);\n", "                REAL hgs[COUNT], s_new[S];\n"
FETCH, RUN = "            if (K == 0 && step > 0) fetch_step(step - 1);\n", "            if (!lost) product.run(exchange + (round - 1)"
MOVED = {  # what -> replacements, and what the checks say
    "xg before the release": ({ARRIVE + XG: XG, WAIT: ARRIVE + WAIT}, "forward: nothing is fetched between a release and the wait"),
    "the mask after the wait": ({MASK: "", PAIR: MASK + PAIR}, r"forward: LDG\.E\.U8 after the wait"),
    "the tape after the wait": ({FETCH: "", RUN: FETCH + RUN}, r"backward: LDG\.E after the wait"),
    "the dropout scale at every step": (
        {"value * factor[i][PER_GATE ? Cell::template FIRST<K> + part : 0]": "value * (scales ? scale[size_t(b) * H + j] : 1)"},
        r"forward: LDG\.E after the wait",
    ),
}


@pytest.mark.parametrize("what", MOVED)
def test_what_is_fetched_too_early_or_too_late_is_found(what):
    (case,) = (c for c in planned.cases("A100", planned.KINDS[:1]) if (c.cell, c.B, c.H) == ("LSTM", 64, 256))
    replacements, expected = MOVED[what]
    text = case.text
    for old, new in replacements.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    found = "\n".join(complaints([case._replace(text=text)], "sm_80"))
    assert re.search(expected, found), found


@pytest.mark.parametrize("old", BROKEN)
def test_planted_faults_are_found(old):
    (case,) = (c for c in planned.cases("A100", planned.KINDS[:1]) if (c.cell, c.B, c.H) == ("LSTM", 64, 256))
    new, expected = BROKEN[old]
    assert old in case.text
    found = "\n".join(complaints([case._replace(text=case.text.replace(old, new))], "sm_80"))
    assert re.search(expected, found), found


def test_narrow_loads_and_too_few_sums_are_found():
    narrow = nvrtc.Kernel(32, 0, 0, 0, ("LDG.E.128.STRONG.GPU", "LDS", "FFMA", "FFMA"))
    assert lint.sequence("forward", narrow, "float32", 0) == ["forward: no wide loads from shared memory"]
    hungry = narrow._replace(instructions=("LDG.E.128.STRONG.GPU", "LDS.128", "FFMA", "LDS.U.128", "FFMA", "STS", "FFMA"))
    assert lint.sequence("forward", hungry, "float32", 0) == ["forward: 2 multiply-adds for 2 loads from shared memory in the product"]
