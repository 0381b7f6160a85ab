"""What tests/backends/features.cu must compute: one function per kernel, against NumPy."""

from __future__ import annotations

import numpy as np

from rnn_from_scratch.backends.emulator.program import memory

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def put(values):
    """A copy in the emulator's memory."""
    array = memory(np.shape(values), np.asarray(values).dtype)
    array[...] = values
    return array


def near(got, expected, tolerance=0.0):
    """Assert |got - expected| <= tolerance everywhere; NaN (what a kernel left unwritten) fails."""
    assert not np.isnan(np.asarray(got, float)).any(), "not all elements were written"
    worst = np.max(np.abs(np.asarray(got, float) - np.asarray(expected, float)))
    assert worst <= tolerance, f"off by {worst}"


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def to_bits(x):
    """float32 -> bits of the nearest bfloat16."""
    u = np.asarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16)


def from_bits(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def gates(run, name, dtype, tolerance):
    n = 70
    rng = np.random.default_rng(0)
    a, c_prev = rng.normal(0, 2, (4, n)).astype(dtype), rng.normal(size=n).astype(dtype)
    h, c = memory((n,), dtype), memory((n,), dtype)
    run(name, (3, 1, 1), (32, 1, 1), [put(a), put(c_prev), h, c, np.int32(n)])
    i, f, g, o = a.astype(np.float64)
    expected = sigmoid(f) * c_prev + sigmoid(i) * np.tanh(g)
    near(c, expected, tolerance)
    near(h, sigmoid(o) * np.tanh(expected), tolerance)


@case
def gates_float(run):
    gates(run, "gates_float", np.float32, 1e-6)


@case
def gates_double(run):
    gates(run, "gates_double", np.float64, 1e-14)


@case
def product(run):
    M, N, K = 19, 21, 37
    rng = np.random.default_rng(1)
    A, B = rng.normal(size=(M, K)).astype("f4"), rng.normal(size=(K, N)).astype("f4")
    C = memory((M, N), np.float32)
    run("product", (2, 2, 1), (16, 16, 1), [put(A), put(B), C, np.int32(M), np.int32(N), np.int32(K)])
    near(C, A.astype(np.float64) @ B, 2e-5)


@case
def transpose(run):
    x = np.random.default_rng(2).normal(size=(35, 40)).astype("f4")
    y = memory((40, 35), np.float32)
    run("transpose", (2, 2, 1), (32, 32, 1), [put(x), y, np.int32(35), np.int32(40)])
    near(y, x.T)


@case
def block_sums(run):
    x = np.random.default_rng(3).integers(-9, 9, 1000).astype("f4")
    sums = memory((3,), np.float32)
    run("block_sums", (3, 1, 1), (96, 1, 1), [put(x), sums, np.int32(1000)])
    near(sums.sum(), x.sum())


@case
def total(run):
    x = np.random.default_rng(4).integers(-9, 9, 150).astype("f4")
    sums, out = memory((5,), np.float32), memory((1,), np.float32)
    run("total", (5, 1, 1), (32, 1, 1), [put(x), sums, out, put(np.zeros(1, "u4")), np.int32(150)])
    near(out, [x.sum()])


@case
def warps(run):
    rows = 6
    x = np.random.default_rng(5).normal(size=(rows, 32)).astype("f4")
    softmax, halves = memory((rows, 32), np.float32), memory((rows, 2), np.float64)
    positive, largest = memory((rows,), np.uint32), put(np.full(1, -(10**6), "i4"))
    run("warps", (2, 1, 1), (128, 1, 1), [put(x), softmax, halves, positive, largest, np.int32(rows)])
    e = np.exp(x - x.max(1, keepdims=True).astype(np.float64))
    near(softmax, e / e.sum(1, keepdims=True), 1e-6)
    near(halves, x.astype(np.float64).reshape(rows, 2, 16).sum(2), 1e-12)
    near(positive, [sum(1 << k for k in range(32) if row[k] > 0) for row in x])
    near(largest, (x[:, 0] * np.float32(1000)).astype("i4").max())


@case
def swap(run):
    y = memory((32,), np.int32)
    run("swap", (1, 1, 1), (32, 1, 1), [put(np.arange(32, dtype="i4")), y])
    near(y, np.arange(32) ^ 1)


def scan(run, name, x, tolerance):
    rows, n = x.shape
    y = memory(x.shape, x.dtype)
    run(name, (rows, 1, 1), (64, 1, 1), [put(x), y, np.int32(n)], shared=64 * x.itemsize)
    near(y, np.cumsum(x, 1, dtype=np.float64 if x.dtype.kind == "f" else x.dtype), tolerance)


@case
def scan_float(run):
    scan(run, "scan_float", np.random.default_rng(6).normal(size=(3, 50)).astype("f4"), 2e-5)


@case
def scan_long(run):
    scan(run, "scan_long", np.random.default_rng(7).integers(-(2**40), 2**40, (2, 41)), 0)


def diffusion(run, name):
    blocks, threads, steps = 4, 8, 5
    expected = np.random.default_rng(8).normal(size=blocks * threads)
    x = memory((steps + 1, blocks * threads), np.float32)
    x[0] = expected
    run(name, (blocks, 1, 1), (threads, 1, 1), [x, put(np.zeros(1, "u4")), np.int32(steps)])
    for step in range(steps):
        expected = (np.roll(expected, 1) + expected + np.roll(expected, -1)) / 3
        near(x[step + 1], expected, 1e-6)


@case
def diffuse(run):
    diffusion(run, "diffuse")


@case
def diffuse_acquire(run):
    diffusion(run, "diffuse_acquire")


@case
def wide(run):
    x = np.random.default_rng(9).normal(size=(20, 4)).astype("f4")
    y = memory((20, 4), np.float32)
    run("wide", (1, 1, 1), (32, 1, 1), [put(x), y, np.int32(20)])
    near(y, np.stack([x[:, 3], 2 * x[:, 2], x[:, 1] * x[:, 0] + 1, 1 / np.sqrt(np.abs(x[:, 0]) + 1)], 1), 1e-6)


@case
def halves(run):
    a, b = np.random.default_rng(10).normal(size=(2, 70)).astype("f2")
    y, z = memory((70,), np.float16), memory((70,), np.float32)
    run("halves", (3, 1, 1), (32, 1, 1), [put(a), put(b), y, z, np.int32(70)])
    near(y, a * (a + b))
    near(z, (a.astype("f4") * 3).astype("f2") + (a > b).astype("f4"))


@case
def bfloats(run):
    a, b = to_bits(np.random.default_rng(11).normal(size=(2, 70)))
    y = memory((70,), np.uint16)
    run("bfloats", (3, 1, 1), (32, 1, 1), [put(a), put(b), y, np.int32(70)])
    near(from_bits(y), from_bits(to_bits(from_bits(a) * from_bits(b) + np.float32(0.5))))


def conversions(run):
    """Every half and bfloat16 to float, and floats to both, the points halfway between two values among them."""
    bits = np.arange(2**16, dtype=np.uint16)
    halves = bits.view(np.float16)
    x = np.concatenate([between(halves.astype("f4")), between(from_bits(bits))])
    x = np.random.default_rng(13).permutation(x)[: 2**16].astype("f4")
    x[:6] = np.inf, -np.inf, 65519.996, 65520, 2**-25, -(2**-26)
    from_h, from_b, to_h = memory((2**16,), np.float32), memory((2**16,), np.float32), memory((2**16,), np.float16)
    to_b = memory((2**16,), np.uint16)
    run("conversions", (1, 1, 1), (32, 1, 1), [put(halves), put(bits), put(x), from_h, from_b, to_h, to_b, np.int32(2**16)])
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.array_equal(from_h, halves.astype("f4"), equal_nan=True)
        assert np.array_equal(to_h, x.astype("f2"), equal_nan=True)
    assert np.array_equal(from_b, from_bits(bits), equal_nan=True)
    assert np.array_equal(to_b, to_bits(x))


def between(values):
    """Finite values and the points halfway to their neighbours."""
    finite = np.unique(values[np.isfinite(values)])
    return np.concatenate([finite, ((finite[1:].astype("f8") + finite[:-1]) / 2).astype("f4")])


@case
def histogram(run):
    x = np.random.default_rng(12).integers(0, 5, 90).astype("u1")
    counts, seen = put(np.zeros(5, "i4")), memory((6,), np.int32)
    run("histogram", (1, 3, 2), (16, 1, 1), [put(x), counts, seen, np.int32(90)])
    near(counts, np.bincount(x, minlength=5))
    near(seen, [16, 16, 16, 16, 16, 10])
