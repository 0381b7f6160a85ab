"""The C++ cells of kernels/cells and the Python cells do the same: every step of every cell, number for number."""

import ctypes
import itertools
import os
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from rnn_from_scratch import cells
from rnn_from_scratch.backends.forms import cxx_type
from rnn_from_scratch.cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS

from ..conftest import ROOT

CXX = os.environ.get("CXX", "c++")
SPECIAL = [0.0, -0.0, 3.0, -3.0, 1e-300, 800.0, -800.0, np.inf, -np.inf, np.nan]  # relu and hard_sigmoid turn at 0 and 3

PRELUDE = """
#include <cmath>
#define RNN_FN inline
using std::exp;
using std::tanh;
#include "activations.h"
"""
SOURCE = """
// each array is [count][n]: one call of the cell for every column
template <class C, int K> void forward(int n, double** a) {
    for (int u = 0; u < n; u++) {
        double v[6][5];
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 5; j++) v[i][j] = a[i][j * n + u];
        C::template forward<K>(v[0], v[1], v[2], v[3], v[4], v[5]);
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 5; j++) a[i][j * n + u] = v[i][j];
    }
}
template <class C, int K> void backward(int n, double** a) {
    for (int u = 0; u < n; u++) {
        double v[9][5];
        for (int i = 0; i < 9; i++)
            for (int j = 0; j < 5; j++) v[i][j] = a[i][j * n + u];
        C::template backward<K>(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]);
        for (int i = 0; i < 9; i++)
            for (int j = 0; j < 5; j++) a[i][j * n + u] = v[i][j];
    }
}
"""


def with_activations(cell, phi, sigma):
    recurrent = {"recurrent_activation": sigma} if hasattr(cell, "recurrent_activation") else {}
    return replace(cell, activation=phi, **recurrent)


FORMS = {
    cxx_type(cell): cell
    for default, phi, sigma in itertools.product(cells.forms().values(), ACTIVATIONS, RECURRENT_ACTIVATIONS)
    for cell in [with_activations(default, phi, sigma)]
}


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    if not shutil.which(CXX):
        pytest.skip(f"needs a C++ compiler: {CXX} (set CXX)")
    folder = tmp_path_factory.mktemp("twins")
    lines = [
        f'extern "C" void {way}_{i}_{k}(int n, double** a) {{ {way}<{form}, {k}>(n, a); }}'
        for i, (form, cell) in enumerate(FORMS.items())
        for k in range(len(cell.phases))
        for way in ("forward", "backward")
    ]
    includes = [f'#include "{stem}.h"' for stem in cells.CELLS]
    (folder / "twins.cpp").write_text("\n".join([PRELUDE, *includes, SOURCE, *lines]))
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-maybe-uninitialized", "-shared", "-fPIC"]
    command = [CXX, *flags, f"-I{ROOT}/kernels/cells", "twins.cpp", "-o", "twins.so"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "twins.so"))


def call(function, *groups):
    """Run a C++ step on tuples of [n] arrays, each filled up to 5 with what nobody may read; returns the groups after it."""
    n = len(groups[0][0])
    blocks = [np.full((5, n), 7e77) for _ in groups]
    for block, group in zip(blocks, groups):
        for row, value in zip(block, group):
            row[:] = value
    pointers = (ctypes.c_void_p * len(blocks))(*(block.ctypes.data for block in blocks))
    function(n, pointers)
    return blocks


def assert_same(ours, python):
    """As many [n] arrays as Python returns: the same to the last bits, NaN and infinity at the same places."""
    for a, b in zip(ours, python):
        b = np.broadcast_to(b, a.shape)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_allclose(a, b, rtol=3e-15, atol=3e-15)


@pytest.mark.parametrize("index", range(len(FORMS)), ids=list(FORMS))
def test_the_cpp_cell_is_the_python_cell(twins, index):
    cell = list(FORMS.values())[index]
    rng = np.random.default_rng(index)
    n = 40 + len(SPECIAL)

    def values(count, special=True):
        rows = rng.standard_normal((count, n)) * 2
        for row in rows if special else ():
            row[40:] = rng.permutation(SPECIAL)
        return rows

    S, A = len(cell.states), len(cell.saved)
    s_prev, p = tuple(values(S, special=False)), tuple(values(len(cell.extras), special=False))
    saved, both = (), []
    for k, gates in enumerate(cell.phases):
        xg, hg = values(len(gates)), values(len(gates), special=False)
        with np.errstate(invalid="ignore", over="ignore"):
            s, kept = cell.forward(k, xg, hg, s_prev, saved, p)
        outs = s if k == len(cell.phases) - 1 else (s,)
        done = call(getattr(twins, f"forward_{index}_{k}"), xg, hg, s_prev, saved, p, ())
        assert_same(done[5], outs)
        assert_same(done[3], saved + tuple(kept))
        saved += tuple(kept)
        both.append(outs)
    d, s = tuple(values(S)), tuple(np.asarray(a) for a in both[-1])
    for k in reversed(range(len(cell.phases))):
        given = d if k == len(cell.phases) - 1 else (*d, *values(1))
        with np.errstate(invalid="ignore", over="ignore"):
            dxg, dhg, ds_prev, dp = cell.backward(k, given, saved, s_prev, s, p)
        done = call(getattr(twins, f"backward_{index}_{k}"), given, saved[:A], s_prev, s, p, (), (), (), ())
        assert_same(done[5], dxg)
        assert_same(done[5] if cell.shared else done[6], dhg)
        assert_same(done[7], ds_prev)
        assert_same(done[8], dp)
