"""gradcheck of second order: right cells pass, planted bugs are caught and named; so does check_function with the user's code."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rnn_from_scratch import bptt, cells, gradcheck, second_order
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem

SIZES = (6, 4, 2, 3)
QUICK = ("plain", "any mask, reversed, zeroed", "scale per gate, any mask")  # the others belong to make check


def check(cell, situation, seed=0, **options):
    p = problem(cell, situation, sizes=SIZES, seed=seed)
    return gradcheck(p.cell, p.params, p.x, order=2, backend="reference", seed=seed, **p.options, **options)


@pytest.mark.parametrize("situation", [pytest.param(s, marks=[pytest.mark.check] * (s not in QUICK)) for s in SITUATIONS])
@pytest.mark.parametrize("name", cells.forms())
def test_every_cell_in_every_situation(name, situation):
    report = check(CELLS[name], situation)
    assert report.ok, report
    assert f"{type(CELLS[name]).__name__}, order 2" in repr(report)


def test_float32_and_a_wrong_order():
    report = gradcheck(cells.GRU(), order=2, dtype="float32", backend="reference")
    assert report.ok, report
    with pytest.raises(ValueError, match="order: expected 1 or 2, got 3"):
        gradcheck(cells.GRU(), order=3)


class Held(cells.LSTM):
    """An LSTM whose backward takes some saved values without their tangents."""

    held = ""

    def backward(self, k, d, saved, s_prev, s, p):
        whole = super().backward(k, d, saved, s_prev, s, p)
        real = super().backward(k, d, tuple(a.real for a in saved), s_prev, s, p)
        if self.held == "carry":  # dc_prev = dc * f
            return whole[0], whole[1], (0.0, real[2][1]), ()
        da = (*whole[0][:1], real[0][1], *whole[0][2:])  # the slope of f
        return da, da, whole[2], ()


class Carry(Held):
    held = "carry"


def with_cell(cls):
    def backward(tape, *args):
        return bptt.backward(replace(tape, cell=cls()), *args)

    return {"backward": backward}


def dropped_h_prev():
    """dWh of h_prev without its tangent."""

    def backward(tape, *args):
        found = bptt.backward(tape, *args)
        still = bptt.backward(replace(tape, states=tuple(s.real.astype(s.dtype) for s in tape.states)), *args)
        if found.params is not None:
            found.params["Wh"] = still.params["Wh"]
        return found

    return {"backward": backward}


def dropped_mask():
    def backward(tape, *args):
        return bptt.backward(replace(tape, live=None), *args)

    return {"backward": backward}


def dropped_start():
    """Forward mode from an initial state that does not move."""

    def forward(cell, params, x, s0, *args):
        return bptt.forward(cell, params, x, tuple(s.real.astype(s.dtype) for s in s0), *args)

    return {"forward": forward}


PLANTED = {  # bug -> what stands in for bptt.py, the gate to name
    "the carry": (with_cell(Carry), "f"),
    "h_prev in dWh": (dropped_h_prev(), None),
    "the slope of an activation": (with_cell(Held), "f"),
    "a mask": (dropped_mask(), None),
    "the initial state": (dropped_start(), None),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("what", PLANTED)
def test_a_dropped_tangent_is_caught(what, seed, monkeypatch):
    changed, gate = PLANTED[what]
    monkeypatch.setattr(second_order, "bptt", SimpleNamespace(**{"forward": bptt.forward, "backward": bptt.backward, **changed}))
    situation = "any mask" if what == "a mask" else "plain"
    p = problem(cells.LSTM(), situation, sizes=SIZES, seed=seed)
    report = gradcheck(p.cell, p.params, np.nan_to_num(p.x), order=2, backend="reference", seed=seed, **p.options)
    assert not report.ok
    if what == "h_prev in dWh":
        assert report.culprit.array == "Wh" and all(e.array == "Wh" for e in report.entries if not e.ok)
    if what == "the slope of an activation":
        assert report.birth.step == SIZES[1] - 1 and gate in report.birth.gates
    if what == "the initial state":
        assert report.birth.step == 0 and "the tangent of y is off" in report.birth.why


def test_the_users_code_in_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from rnn_from_scratch.verify import of_torch

    class Backward(torch.autograd.Function):
        """dx of h_t = tanh(x_t W), whose own backward forgets the tangent of tanh' at a step."""

        @staticmethod
        def forward(ctx, x, W, dy, forgets):
            ctx.save_for_backward(x, W, dy)
            ctx.forgets = forgets
            h = torch.tanh(x @ W)
            return (dy * (1 - h * h)) @ W.T, torch.einsum("bti,bth->ih", x, dy * (1 - h * h))

        @staticmethod
        def backward(ctx, vx, vW):
            with torch.enable_grad():
                x, W, dy = (t.detach().requires_grad_() for t in ctx.saved_tensors)
                h = torch.tanh(x @ W)
                slope = 1 - h * h
                if ctx.forgets:
                    slope = torch.cat([slope[:, :1], slope[:, 1:2].detach(), slope[:, 2:]], 1)
                dx, dW = (dy * slope) @ W.T, torch.einsum("bti,bth->ih", x, dy * slope)
                return (*torch.autograd.grad((dx * vx).sum() + (dW * vW).sum(), (x, W, dy)), None)

    class Layer(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, W, forgets):
            ctx.save_for_backward(x, W)
            ctx.forgets = forgets
            return torch.tanh(x @ W)

        @staticmethod
        def backward(ctx, dy):
            return (*Backward.apply(*ctx.saved_tensors, dy, ctx.forgets), None)

    rng = np.random.default_rng(0)
    x, W = rng.standard_normal((2, 3, 2)), rng.standard_normal((2, 4))
    for forgets in (False, True):
        pair = of_torch(lambda x, W, forgets=forgets: Layer.apply(x, W, forgets), x, W, order=2)
        report = pair.check(blocks={"W": ("a", "b")}, time_axis={name: 1 for name in ("x", pair.names[-1])}, directions=4)
        assert report.ok != forgets, report
    assert report.culprit.array in ("x", "W") and "t = 1" in str(report), report
