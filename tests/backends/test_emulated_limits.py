"""Cells that are not of this package, put into the table and beside its kernels: as large as the kernels take, and with few saved gates."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from rnn_from_scratch import backends, backward_vjp, cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.gpu import source
from rnn_from_scratch.measure import EXACT, compare, error
from rnn_from_scratch.verify import gradcheck
from rnn_from_scratch.verify.cases import SITUATIONS, problem, solve

from ..helpers import at_the_limits
from ..helpers.at_the_limits import AtTheLimits
from ..helpers.second_order import assert_close, by_complex_step, direction, flat, taped
from ..helpers.sequence_cases import SMALL, VARIANTS, Ordered, bits, on_device

usable, why_not = emulated.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)
HARD = ("any mask, reversed, zeroed", "scale per gate, any mask")


@dataclass(frozen=True)
class SavesLittle:
    """h = a g + b, of which a and g are saved: fewer arrays than gates."""

    activation: str = "tanh"
    use_bias: bool = True

    gates: ClassVar = ("a", "g", "b")
    states: ClassVar = ("h",)
    saved: ClassVar = ("a", "g")
    extras: ClassVar = ()
    shared: ClassVar = True
    phases: ClassVar = ((0, 1, 2),)
    candidates: ClassVar = ("g",)

    def forward(self, k, xg, hg, s_prev, saved, p):
        a, g, b = xg + hg
        g = np.tanh(g)
        return (a * g + b,), (a, g)

    def backward(self, k, d, saved, s_prev, s, p):
        (a, g), (dh,) = saved, d
        gates = dh * g, dh * a * (1 - g * g), dh
        return gates, gates, (0.0,), ()


SAVES_LITTLE = """
template <class Phi>
struct SavesLittle {
    static constexpr int GATES = 3, STATES = 1, SAVED = 2, EXTRAS = 0, PHASES = 1;
    static constexpr bool SHARED = true;
    template <int K> static constexpr int FIRST = 0;
    template <int K> static constexpr int COUNT = 3;

    template <int K, class V>
    static RNN_FN void forward(const V* xg, const V* hg, const V*, V* saved, const V*, V* s) {
        V a = xg[0] + hg[0], g = Phi::f(xg[1] + hg[1]), b = xg[2] + hg[2];
        s[0] = a * g + b;
        saved[0] = a, saved[1] = g;
    }

    template <int K, class V>
    static RNN_FN void backward(const V* d, const V* saved, const V*, const V*, const V*, V* dxg, V*, V* ds_prev, V*) {
        V a = saved[0], g = saved[1], dh = d[0];
        dxg[0] = dh * g;
        dxg[1] = dh * a * Phi::derivative(g);
        dxg[2] = dh;
        ds_prev[0] = V{};
    }
};
"""


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """The kernels with two more cells, in the table too."""
    folder = tmp_path / "kernels"
    shutil.copytree(source.folder(), folder, ignore=shutil.ignore_patterns("*.so", "*.log", "__pycache__", "native*"))
    (folder / "cells/at_the_limits.h").write_text(at_the_limits.HEADER)
    (folder / "cells/saves_little.h").write_text(SAVES_LITTLE)
    with (folder / "cells/forms.h").open("a") as forms:
        forms.write(at_the_limits.ROW + "FORM(saves_little, SavesLittle<Phi>)\n")
    monkeypatch.setattr(source, "folder", lambda: folder)
    monkeypatch.setitem(cells.CELLS, "at_the_limits", AtTheLimits)
    monkeypatch.setitem(cells.CELLS, "saves_little", SavesLittle)
    return folder


def check(cell, situation, tiles, seed=0):
    """Results and tape beside the reference."""
    p = problem(cell, situation, sizes=(6, 3, 3, 5), seed=seed)
    truth = solve(p)
    ours, tape = on_device(p, emulated.EmulatedDevice(seed, tiles=tiles))
    worst, e, allowed = compare(ours, truth, dict.fromkeys(truth, EXACT))
    assert e <= allowed, worst
    _, _, own = backends.forward(p.cell, p.params, p.x, **p.options, backend="reference")
    for a, b in zip((*tape.states, tape.saved), (*own.states, own.saved), strict=True):
        assert error(a, b) <= EXACT


@pytest.mark.parametrize("cell", [AtTheLimits(), SavesLittle()], ids=lambda cell: type(cell).__name__)
@pytest.mark.parametrize("tiles", [None, SMALL], ids=["step", "sequence"])
def test_both_tiers_equal_the_reference(kernels, cell, tiles):
    for seed, situation in enumerate(HARD):
        check(cell, situation, tiles, seed)


@pytest.mark.check
@pytest.mark.parametrize("tiles", [None, SMALL, *VARIANTS.values()], ids=["step", "small", *VARIANTS])
def test_every_situation_and_variant_at_the_limits(kernels, tiles):
    for situation in SITUATIONS:
        check(AtTheLimits(), situation, tiles)


@pytest.mark.check
@pytest.mark.parametrize("cell", [AtTheLimits(), SavesLittle()], ids=lambda cell: type(cell).__name__)
def test_second_order_equals_complex_step(kernels, cell):
    for situation in HARD:
        p = problem(cell, situation, sizes=(6, 3, 3, 5))
        v = direction(p)
        assert_close(flat(backward_vjp(taped(p, "emulated"), p.dy, p.dstate, v)), by_complex_step(p, v), EXACT)


def test_at_the_limits_both_tiers_give_the_same_bits(kernels):
    for situation in HARD:
        p = problem(AtTheLimits(), situation, sizes=(6, 3, 3, 5))
        one, other = (bits(p, Ordered(5, SMALL, tier)) for tier in ("sequence", "step"))
        assert {n for n in one if one[n] != other[n]} == set()


def test_the_python_twin_that_saves_little_is_right():
    for seed in range(2):
        p = problem(SavesLittle(), seed=seed)
        assert gradcheck(p.cell, p.params, p.x, backend="reference").ok


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("STATES = 4", "STATES = 5", "at most 4 states"),
        ("PHASES = 3", "PHASES = 4", "at most 3 phases"),
        ("EXTRAS = 4", "EXTRAS = 5", "at most 6 gates, 6 saved arrays, 4 extras"),
        ("SAVED = 6", "SAVED = 4", "with several phases the gates are what is saved"),
    ],
)
def test_more_than_the_limits_is_refused_by_name(kernels, old, new, message):
    header = kernels / "cells/at_the_limits.h"
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))
    text = source.step_text.__wrapped__(AtTheLimits(), "float64")  # not the one that is kept
    with pytest.raises(emulated.EmulatorError, match=message):
        emulated.device.Program(text)


def test_a_cell_without_a_row_is_refused_by_name(kernels):
    @dataclass(frozen=True)
    class WithoutKernel(cells.LSTM):
        """A cell that was just put into the table."""

    p = problem(WithoutKernel())
    with pytest.raises(ValueError, match="cell: the kernels know SimpleRNN, .*, got WithoutKernel"):
        backends.forward(p.cell, p.params, p.x, backend="emulated")
    cells.CELLS["without_kernel"] = WithoutKernel
    try:
        for tier in ("step", "sequence"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("RNN_GPU_TIER", tier)
                with pytest.raises(ValueError, match="cell: kernels/cells/forms.h has no row for WithoutKernel<Tanh, Sigmoid>; backend="):
                    backends.forward(p.cell, p.params, p.x, backend="emulated")
    finally:
        del cells.CELLS["without_kernel"]
