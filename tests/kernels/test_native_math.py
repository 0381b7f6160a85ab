"""exp and tanh of the native kernels against higher precision: at most 2 ulp in float32 and 4 in float64, over the whole range."""

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pytest

from rnn_from_scratch.backends.native import loader

from ..conftest import ROOT

CXX = os.environ.get("CXX", "c++")
SOURCE = """
#include "math.h"
template <class T, class F> static void apply(F f, const T* in, T* out, int n) {
    for (int i = 0; i < n; i += LANES<T>) store(out + i, f(load(in + i)));
}
extern "C" {
void exp_float32(const float* in, float* out, int n) { apply(exp_of<float>, in, out, n); }
void tanh_float32(const float* in, float* out, int n) { apply(tanh_of<float>, in, out, n); }
void exp_float64(const double* in, double* out, int n) { apply(exp_of<double>, in, out, n); }
void tanh_float64(const double* in, double* out, int n) { apply(tanh_of<double>, in, out, n); }
}
"""
FINER = {np.dtype("float32"): np.float64, np.dtype("float64"): np.longdouble}
LIMIT = {np.dtype("float32"): 2.0, np.dtype("float64"): 4.0}  # ulp


@pytest.fixture(scope="module", params=loader.LEVELS)
def functions(request, tmp_path_factory):
    """exp and tanh compiled for one instruction set level."""
    if not shutil.which(CXX):
        pytest.skip(f"needs a C++ compiler: {CXX} (set CXX)")
    if not loader.path("generic").exists() or loader.load("generic").rnn_isa() < loader.LEVELS.index(request.param):
        pytest.skip(f"this machine cannot run {request.param}")
    folder = tmp_path_factory.mktemp("math")
    (folder / "math.cpp").write_text(SOURCE)
    level = [] if request.param == "generic" else [f"-march={request.param}"]
    command = [CXX, "-std=c++17", "-O2", *level, "-shared", "-fPIC", f"-I{ROOT}/kernels/native", "math.cpp", "-o", "math.so"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "math.so"))


def run(functions, name, x):
    padded = np.concatenate([x, np.zeros(-len(x) % 64, x.dtype)])
    out = np.empty_like(padded)
    getattr(functions, f"{name}_{x.dtype}")(ctypes.c_void_p(padded.ctypes.data), ctypes.c_void_p(out.ctypes.data), len(padded))
    return out[: len(x)]


def worst(functions, name, x):
    """The largest error in units of the last place of the true value, and where; infinite if NaN, infinity or a sign is wrong."""
    y = run(functions, name, x)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        truth = getattr(np, name)(x.astype(FINER[x.dtype]))
        rounded = truth.astype(x.dtype)
        error = np.abs(y - truth) / np.spacing(np.abs(rounded))
    special = ~np.isfinite(rounded) | ~np.isfinite(y)
    same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
    error = np.where(special, np.where(same, 0, np.inf), error)
    if name == "tanh":
        error = np.where((np.signbit(y) == np.signbit(x)) | np.isnan(x), error, np.inf)
    at = int(np.argmax(error))
    return float(error[at]), x[at]


def floats(step):
    """Every step-th bit pattern of float32, so every kind of number: denormals, infinities, NaNs."""
    for start in range(0, 1 << 32, step << 22):
        yield np.arange(start, min(start + (step << 22), 1 << 32), step, dtype=np.uint64).astype(np.uint32).view(np.float32)


def doubles(rng, count):
    parts = [rng.uniform(-760, 720, count), rng.uniform(-25, 25, count), rng.uniform(-1, 1, count), rng.uniform(-746, -700, count)]
    parts.append(rng.standard_normal(count) * 2.0 ** rng.integers(-1074, 1000, count))
    parts.append(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 709.78, 709.79, -745.13, -745.14, 1e308, -1e308]))
    return np.concatenate(parts)


@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_float32(functions, name):
    for x in floats(4093):
        error, at = worst(functions, name, x)
        assert error <= LIMIT[x.dtype], f"{name}({at!r}) is {error} ulp off"


@pytest.mark.check
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_many_float32(functions, name):
    for x in floats(61):
        error, at = worst(functions, name, x)
        assert error <= LIMIT[x.dtype], f"{name}({at!r}) is {error} ulp off"


@pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="needs a long double that is finer than float64")
@pytest.mark.parametrize("name", ["exp", "tanh"])
def test_float64(functions, name):
    x = doubles(np.random.default_rng(0), 100_000)
    error, at = worst(functions, name, x)
    assert error <= LIMIT[x.dtype], f"{name}({at!r}) is {error} ulp off"


def test_the_measure_sees_what_it_must(functions):
    """A NaN, a lost sign, a tanh that is 0 near 0 and an exp three units off are all seen."""
    x = np.array([0.5, -0.0, 1e-8, np.nan], np.float32)
    good = run(functions, "tanh", x)
    assert np.isnan(good[3]) and np.signbit(good[1]) and good[2] == np.float32(1e-8)
    assert worst(functions, "tanh", x)[0] <= 2
    for i, wrong in ((0, good[0] + 3 * np.spacing(good[0])), (1, 0.0), (2, 0.0), (3, 1.0), (0, np.nan)):
        y = good.copy()
        y[i] = wrong
        assert worst(Planted(y), "tanh", x)[0] > 2


class Planted:
    """Functions that give a fixed answer."""

    def __init__(self, y):
        self.y = y

    def __getattr__(self, name):
        return lambda x, out, n: ctypes.memmove(out, self.y.ctypes.data, self.y.nbytes)
