"""The emulator itself: each feature against NumPy under 20 schedules, and every planted fault reported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator.program import EmulatorError, Program

from ..helpers.emulator_cases import CASES, conversions

TEXT = (Path(__file__).parent / "features.cu").read_text()

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture(scope="module")
def program():
    return Program(TEXT)


def runner(program, seed, outputs=None):
    def run(name, grid, block, args, shared=0):
        program.launch(name, grid, block, args, shared=shared, seed=seed)
        if outputs is not None:
            outputs.append([a.tobytes() for a in args if isinstance(a, np.ndarray)])

    return run


@pytest.mark.parametrize("name", CASES)
def test_features_against_numpy_bitwise_the_same_for_20_schedules(program, name):
    outputs = []
    for seed in range(20):
        CASES[name](runner(program, seed, outputs))
    assert outputs == outputs[:1] * 20


def test_16_bit_floats_bit_for_bit(program):
    conversions(runner(program, seed=0))


# kernel, what is replaced by what, what the report says
FAULTS = {
    "no barrier after load": ("product", "__syncthreads();  // after load", "", "race on shared|uninitialised"),
    "no barrier after use": ("product", "__syncthreads();  // after use", "", "race on shared [AB]s"),
    "no barrier in transpose": ("transpose", "__syncthreads();", "", "race on shared tile|uninitialised"),
    "no barrier inside a scan, before the write": (
        "scan_float",
        "__syncthreads();  // read before written",
        "",
        "race on shared raw",
    ),
    "no barrier inside a scan, after the write": (
        "scan_float",
        "__syncthreads();  // written before read",
        "",
        "race on shared raw",
    ),
    "no barrier in a reduction": (
        "block_sums",
        "__syncthreads();  // the parts are there",
        "",
        "race on shared part|uninitialised",
    ),
    "barrier in a divergent branch": (
        "block_sums",
        "__syncthreads();  // the parts are there",
        "if (warp == 0) __syncthreads();",
        "divergent barrier",
    ),
    "two barriers in two branches": (
        "product",
        "__syncthreads();  // after load",
        "if (row < M)\n__syncthreads();\nelse\n__syncthreads();",
        "divergent barrier",
    ),
    "early return before a barrier": (
        "transpose",
        "__syncthreads();",
        "if (c >= columns) return; __syncthreads();",
        "divergent barrier",
    ),
    "no grid barrier": ("diffuse", "if (threadIdx.x == 0) {\n            __threadfence();", "if (false) {", "race on x"),
    "grid barrier that does not wait": ("diffuse", "while (*(volatile", "if (*(volatile", "race on x"),
    "grid barrier one block short": ("diffuse_acquire", "load_relaxed(arrived) <", "load_relaxed(arrived) + 1 <", "race on x"),
    "grid barrier without release": ("diffuse_acquire", "add_release(arrived, 1u)", "atomicAdd(arrived, 1u)", "race on x"),
    "grid barrier without an acquiring fence": ("diffuse_acquire", "            fence_acquire();", "", "race on x"),
    "grid barrier without acquire": ("diffuse", "            __threadfence();\n        }", "        }", "race on x"),
    "no block barrier behind the grid barrier": ("diffuse_acquire", "}\n        __syncthreads();", "}", "race on x"),
    "wait for a block too many": ("diffuse_acquire", "(step + 1) * gridDim.x", "(step + 1) * gridDim.x + 1", "deadlock"),
    "no fence before the count": ("total", "__threadfence();  // before the count", "", "race on sums"),
    "unsynchronised exchange through global memory": ("gates_float", "tanh(c[i])", "tanh(c[i ^ 1])", "race on c"),
    "store out of bounds": ("gates_float", "if (i >= n) return;", "if (i > n) return;", "out of bounds"),
    "load before the beginning": ("gates_double", "c_prev[i]", "c_prev[i - 1]", r"out of bounds.*c_prev\[-1\]"),
    "shared memory overrun by one": ("swap", "s[lane ^ 1]", "s[lane + 1]", r"out of bounds.*s\[32\] of 32"),
    "dynamic shared memory overrun": ("scan_float", "s[t] += v", "s[t + 1] += v", r"out of bounds.*raw\[256\] of 256"),
    "uninitialised shared memory": ("scan_long", "s[t] = t < n", "if (t > 3) s[t] = t < n", r"uninitialised.*shared raw"),
    "full-mask shuffle in a divergent branch": (
        "warps",
        "float first = __shfl_sync",
        "float first = 0; if (lane < 16) first = __shfl_sync",
        "divergent warp exchange",
    ),
    "shuffle by a lane that is not in its mask": (
        "warps",
        "__ballot_sync(0xffffffffu",
        "__ballot_sync(0xfffffffeu",
        "not in its own mask",
    ),
    "wrong lane": ("warps", "__shfl_sync(0xffffffffu, v, 0)", "__shfl_sync(0xffffffffu, v, 1)", "off by"),
    "wrong shuffle width": ("warps", "d, offset, 16)", "d, offset, 8)", "off by"),
    "no __syncwarp": ("swap", "__syncwarp();", "", "race on shared s|uninitialised"),
    "misaligned wide load": ("wide", "__ldg(x + i)", "*(const float4*)((const float*)x + 4 * i + (i > 2))", "misaligned"),
    "output not written": ("bfloats", "if (i < n) y", "if (i < n - 1) y", "not all elements"),
}


def faulty(fault):
    """The piece of features.cu with this fault in it."""
    name, old, new, _ = FAULTS[fault]
    head, *pieces = TEXT.split("// ----\n")
    (piece,) = [p for p in pieces if f"void {name}(" in p]
    assert old in piece
    return head + piece.replace(old, new)


@pytest.fixture(scope="module")
def faulty_programs(program):
    """All of them, compiled two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FAULTS, pool.map(lambda fault: Program(faulty(fault)), FAULTS)))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_reported_for_every_schedule(faulty_programs, fault):
    name, _, _, report = FAULTS[fault]
    program = faulty_programs[fault]
    for seed in range(5):
        with pytest.raises((EmulatorError, AssertionError), match=f"(?s){report}"):
            CASES[name](runner(program, seed))
