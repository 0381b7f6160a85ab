"""mma.sync in the emulator: every instruction of kernels/mma.h against NumPy under 20 schedules, and planted faults reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.emulator.program import EmulatorError, Program, memory
from rnn_from_scratch.backends.gpu import source

from ..helpers import nvrtc
from ..helpers.emulator_cases import from_bits, near, put, to_bits

MMA = (source.folder() / "mma.h").read_text(encoding="utf-8")
TEXT = (Path(__file__).parent / "mma.cu").read_text(encoding="utf-8")
KERNELS = ("f16", "f16_k8", "bf16", "tf32")

usable, why_not = emulated.available()
needs_gxx = pytest.mark.skipif(not usable, reason=why_not)


def words(x, kernel):
    """What lies in memory: numbers rounded as the kernel wants them, as words of 32 bits; and these numbers as float32."""
    if kernel == "bf16":
        bits = to_bits(x)
        return bits.view(np.uint32), from_bits(bits)
    if kernel == "tf32":
        bits = (x.view(np.uint32) + 0x1000) & ~np.uint32(0x1FFF)
        return bits, bits.view(np.float32)
    half = x.astype(np.float16)
    return half.view(np.uint32), half.astype(np.float32)


def run(program, kernel, seed=0, K=48, threads=32, scale=1.0, exponents=0):
    """The bits of c, which is right to what float32 sums of K products that are cut off may lose."""
    rng = np.random.default_rng(5)
    a, b = (scale * rng.standard_normal((rows, K)) * 2.0 ** rng.integers(-exponents, exponents + 1, (rows, K)) for rows in (16, 8))
    (a_words, a), (b_words, b) = words(a.astype("f4"), kernel), words(b.astype("f4"), kernel)
    c = memory((16, 8), np.float32)
    program.launch(kernel, (1, 1, 1), (threads, 1, 1), [put(a_words), put(b_words), c, np.int32(a_words.shape[1])], seed=seed)
    a, b = a.astype("f8"), b.astype("f8")
    near(c, a @ b.T, K * 2.0**-23 * (np.abs(a) @ np.abs(b).T).max())
    return c.tobytes()


@pytest.fixture(scope="module")
def program():
    return Program(TEXT)


@needs_gxx
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_same_bits_for_20_schedules(program, kernel):
    assert len({run(program, kernel, seed) for seed in range(20)}) == 1
    run(program, kernel, scale=1e-3, exponents=6)


@needs_gxx
def test_two_halves_give_the_bits_of_one_instruction(program):
    """sm_75 has no m16n8k16: what it computes in two instructions is the same where four products are added at a time."""
    assert run(program, "f16") == run(program, "f16_k8")


@needs_gxx
def test_sums_are_cut_off_and_infinities_stay(program):
    a, b = np.zeros((16, 8), "f4"), np.zeros((8, 8), "f4")
    a[:, 0], b[:, 0], a[:, 1], b[:, 1] = 1, 1, 2.0**-12, 1.5 * 2.0**-12  # 1 + 1.5 * 2^-24 lies nearest to 1 + 2^-23
    a[3, 2], b[:, 2], a[5, 3], b[:, 3], a[7, 4] = np.inf, 1, np.nan, 1, np.float32(3e38)
    b[:, 4] = np.float32(3e38)
    c = memory((16, 8), np.float32)
    program.launch("tf32", (1, 1, 1), (32, 1, 1), [put(a.view("u4")), put(b.view("u4")), c, np.int32(8)])
    expected = np.ones((16, 8))
    expected[3], expected[5], expected[7] = np.inf, np.nan, np.inf
    assert np.array_equal(c, expected, equal_nan=True)


@needs_gxx
def test_tf32_is_the_nearest_with_ten_bits(program):
    x = np.random.default_rng(6).standard_normal(1000).astype("f4") * np.float32(1e-3)
    x[:5] = 1 + 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-11 - 2.0**-23, np.inf, 0
    y = memory((1000,), np.uint32)
    program.launch("rounded", (1, 1, 1), (32, 1, 1), [put(x), y, np.int32(1000)])
    found = y.view(np.float32)
    assert not (y & np.uint32(0x1FFF)).any()
    assert found[:5].tolist() == [1 + 2.0**-10, -1 - 2.0**-10, 1, np.inf, 0]  # ties away from zero
    assert np.all(np.abs(found[4:] - x[4:]) <= 2.0**-11 * np.abs(x[4:]))


FAULTS = {  # what is replaced by what, what the report says
    "wrong lane": ("g = lane / 4, t = lane % 4", "g = lane % 8, t = lane / 8", "off by"),
    "two lanes exchanged": ("g = lane / 4, t = lane % 4", "g = lane / 4, t = lane % 4 ^ (lane == 5 || lane == 4)", "off by"),
    "rows of a the wrong way round": ("as[g + 8 * (i % 2)][t + 4 * (i / 2)]", "as[g + 8 * (i / 2)][t + 4 * (i % 2)]", "off by|uninit"),
    "wrong k of a": ("[t + 4 * (i / 2)]", "[(t + 1) % 4 + 4 * (i / 2)]", "off by"),
    "wrong k of b": ("bs[g][t + 4 * i]", "bs[g][t + 4 * (1 - i)]", "off by|uninit"),
    "stale fragment": ("fa[i] = as", "if (from == 0) fa[i] = as", "off by"),
    "stale tile": ("__syncwarp();  // after use", "", "race on shared"),
    "fragment before the tile is there": ("__syncwarp();  // after load", "", "race on shared|uninitialised"),
    "a lane stays away": ("multiply(sum", "if (lane != 7) multiply(sum", "divergent warp exchange"),
    "half a warp stays away": ("multiply(sum", "if (lane < 16) multiply(sum", "divergent warp exchange"),
    "lanes at two places": ("multiply(sum", "if (lane & 1) __syncwarp();\nelse multiply(sum", "divergent warp exchange"),
    "a lane has left": ("    float sum[4] =", "    if (lane == 31) return;\n    float sum[4] =", "which has left the kernel"),
    "a lane at the block's barrier": ("multiply(sum", "if (lane == 9) __syncthreads();\n        multiply(sum", "deadlock.*warp exchange"),
    "the sum of one instruction alone": ("multiply(sum", "for (int i = 0; i < 4; i++) sum[i] = 0;\n        multiply(sum", "off by"),
    "sums in the wrong rows": ("(g + 8 * (i / 2)) * 8 + 2 * t + i % 2", "(g + 8 * (i % 2)) * 8 + 2 * t + i / 2", "off by"),
}


@needs_gxx
@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_reported_for_every_schedule(fault):
    old, new, report = FAULTS[fault]
    assert old in TEXT
    broken = Program(TEXT.replace(old, new))
    for seed in range(4):
        for kernel in ("f16", "tf32"):
            with pytest.raises((EmulatorError, AssertionError), match=f"(?s){report}"):
                run(broken, kernel, seed)


@needs_gxx
def test_a_warp_that_is_not_whole_is_refused(program):
    with pytest.raises(EmulatorError, match=r"mma.sync: the warp of thread \(\d+,0,0\) .* has only 24 lanes"):
        run(program, "bf16", threads=24)


@needs_gxx
def test_lanes_must_bring_the_same_kind():
    two = "[](auto* s, auto* x, auto* y) { threadIdx.x < 9 ? mma_m16n8k16_f16(s, x, y) : mma_m16n8k16_bf16(s, x, y); }"
    old = "[](auto* s, auto* x, auto* y) { mma_m16n8k16_bf16(s, x, y); }"
    assert old in TEXT
    with pytest.raises(EmulatorError, match="bring matrices of two kinds"):
        run(Program(TEXT.replace(old, two)), "bf16")


@pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing())
def test_they_are_instructions_of_the_tensor_cores():
    kernels = nvrtc.inspect(MMA + TEXT, "sm_80")
    expected = {"f16": "HMMA.16816.F32", "f16_k8": "HMMA.1688.F32", "bf16": "HMMA.16816.F32.BF16", "tf32": "HMMA.1688.F32.TF32"}
    assert {name: {i for i in kernels[name].instructions if "MMA" in i} for name in KERNELS} == {k: {v} for k, v in expected.items()}
    head, *pieces = TEXT.split('extern "C"')
    one = dict(zip(KERNELS, (head + 'extern "C"' + piece for piece in pieces)))
    assert "HMMA.1688.F32" in nvrtc.inspect(MMA + one["f16_k8"], "sm_75")["f16_k8"].instructions
    for kernel in ("f16", "bf16", "tf32"):
        with pytest.raises(nvrtc.CompileError):
            nvrtc.compile_text(MMA + one[kernel], "sm_75")
