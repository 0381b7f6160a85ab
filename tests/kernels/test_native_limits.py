"""A cell that is as large as the C++ side says it may be, through the native drivers; and what a larger one is told."""

import re
import shutil
import subprocess

import pytest

from rnn_from_scratch import backends, backward, cells, forward
from rnn_from_scratch.measure import EXACT, compare
from rnn_from_scratch.verify import gradcheck
from rnn_from_scratch.verify.cases import SITUATIONS, named, problem, solve

from ..conftest import ROOT
from ..helpers import native_build
from ..helpers.at_the_limits import HEADER, ROW, AtTheLimits
from ..helpers.native_build import CXX

pytestmark = pytest.mark.skipif(shutil.which(CXX) is None, reason=f"no compiler {CXX}")
# B, T, I, H: a few rows; units divided among threads; several panels and segments
SIZES = [(6, 7, 3, 5), (2, 9, 5, 90), (23, 6, 4, 37)]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    kernels = native_build.copy_of_kernels(tmp_path_factory.mktemp("limits"))
    (kernels / "cells/at_the_limits.h").write_text(HEADER)
    (kernels / "cells/forms.h").write_text(ROW)
    native_build.build(kernels, "-O1")
    with pytest.MonkeyPatch.context() as patch, native_build.in_use(kernels):
        patch.setitem(cells.CELLS, "at_the_limits", AtTheLimits)
        yield
        backends.set_num_threads(None)


def test_the_python_twin_is_right():
    for seed in range(2):
        p = problem(AtTheLimits(), seed=seed)
        report = gradcheck(p.cell, p.params, p.x, backend="reference")
        assert report.ok, report


@pytest.mark.check
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_native_drivers_take_it(library, situation, sizes):
    for seed, threads in enumerate((1, 2, 3)):
        backends.set_num_threads(threads)
        p = problem(AtTheLimits(), situation, sizes=sizes, seed=seed)
        p = p._replace(params={name: a * 0.4 for name, a in p.params.items()})
        truth = solve(p)
        limits = dict.fromkeys(truth, EXACT)
        found = {"with a tape": solve(p, "native")}
        y, state, tape = forward(p.cell, p.params, p.x, **p.options, recompute_every=3, backend="native")
        found["recomputed"] = named(p, y, state, backward(tape, p.dy, p.dstate))
        for how, result in found.items():
            worst = compare(result, truth, limits)
            assert worst[1] <= worst[2], (how, threads, worst)


def declared(text, name, value):
    return re.sub(rf"\b{name} = [^,;]+", f"{name} = {value}", text, count=1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GATES", 7, "a cell has 1 to 6 gates"),
        ("STATES", 5, "a cell has 1 to 4 states"),
        ("SAVED", 7, "a cell saves at most 6 values"),
        ("EXTRAS", 5, "a cell has at most 4 extras"),
        ("PHASES", 4, "a cell has 1 to 3 phases"),
        ("SAVED", 5, "with several phases saved[a] is gate a"),
        ("SHARED", "false", "the two sides differ in cells of one phase only"),
    ],
)
def test_beyond_the_limits_the_compiler_says_why(tmp_path, name, value, message):
    limits = ROOT / "kernels/native/limits.h"
    (tmp_path / "cell.h").write_text("#define RNN_FN inline\n" + declared(HEADER, name, value))
    lines = [f'#include "{limits}"', '#include "cell.h"', "struct F;", "template struct WithinLimits<AtTheLimits<F, F>>;\n"]
    (tmp_path / "a.cpp").write_text("\n".join(lines))
    done = subprocess.run([CXX, "-std=c++17", "-fsyntax-only", "a.cpp"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and message in done.stderr and "simple_rnn.h" in done.stderr
    (tmp_path / "cell.h").write_text("#define RNN_FN inline\n" + HEADER)
    subprocess.run([CXX, "-std=c++17", "-fsyntax-only", "a.cpp"], cwd=tmp_path, check=True)
