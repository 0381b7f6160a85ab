"""Bugs planted in the C++ cells and drivers are caught by the comparison of the native backend with the reference.

One build of a copy of kernels/ holds all of them: where the text of a bug stood there is a choice, which the variable `planted`
makes at run time.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from rnn_from_scratch import backends, backward_vjp
from rnn_from_scratch.measure import EXACT, compare
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem, solve
from rnn_from_scratch.verify.mutants.planted import of

from ..helpers import native_build, sample, steps
from ..helpers.native_build import CXX
from ..helpers.second_order import direction, flat, taped

MUTANTS = [
    *steps.MUTANTS,
    *of(
        "cells/activations.h",
        ("tanh' of the output as if it were the pre-activation", "1 - y * y", "1 - tanh(y) * tanh(y)"),
        ("sigmoid' of the wrong side", "y * (1 - y)", "y * y"),
        ("relu' is 1 for negative values too", "one_where(y > 0, y)", "one_where(y >= 0, y)"),
        ("hard_sigmoid with the offset of Keras 2, forward and so backward", "a + 3", "a + 2"),
        ("hard_sigmoid' does not end at 1", "one_where((y > 0) & (y < 1), y)", "one_where(y > 0, y)"),
    ),
    *of(
        "cells/simple_rnn.h",
        ("the slope of the activation is forgotten", "dh * Phi::derivative(h)", "dh"),
        ("the recurrent side is subtracted", "xg[0] + hg[0]", "xg[0] - hg[0] - 1"),
    ),
    *of(
        "cells/lstm.h",
        ("the carry of c is dropped", "dc + dh * o * Phi::derivative(tau)", "dh * o * Phi::derivative(tau)"),
        ("the input gate in place of the forget gate in the carry of c", "dc * f", "dc * i"),
        ("the forget gate reads c, not c_prev", "dc * c_prev", "dc * c"),
        ("the output gate reads c, not tanh(c)", "dh * tau", "dh * c"),
        ("the candidate with sigmoid's slope", "Phi::derivative(g)", "Sigma::derivative(g)"),
        ("candidate and output gate swapped in backward", "dxg[2] = dag, dxg[3] = dao", "dxg[2] = dao, dxg[3] = dag"),
        ("c is not squashed on its way to h", "o * Phi::f(c)", "o * c"),
    ),
    *of(
        "cells/peephole_lstm.h",
        ("the output peephole reads the old c, in forward", "ao + p_o * c", "ao + p_o * c_prev"),
        ("nothing flows through the output peephole into c", "dh * o * Phi::derivative(tau) + dao * p_o", "dh * o * Phi::derivative(tau)"),
        ("input and forget peephole swapped on the way to c_prev", "dai * p_i + daf * p_f", "dai * p_f + daf * p_i"),
        ("the output peephole reads the old c, in its gradient", "dao * c", "dao * c_prev"),
    ),
    *of(
        "cells/coupled_lstm.h",
        ("the old c is not let go of as the new comes in", "(1 - i) * c_prev + i * g", "c_prev + i * g"),
        ("the input gate's gradient without what it lets go of", "dc * (g - c_prev)", "dc * g"),
        ("the input gate in place of the coupled one in the carry of c", "dc * (1 - i)", "dc * i"),
        ("candidate and output gate swapped in backward", "dxg[1] = dag, dxg[2] = dao", "dxg[1] = dao, dxg[2] = dag"),
    ),
    *of(
        "cells/gru.h",
        ("the update gate's sign", "h_prev - n", "n - h_prev"),
        ("(1 - z) is missing", "dh * (1 - z)", "dh"),
        ("reset after: the recurrent side of n without the reset gate", "dan * r", "dan"),
        ("reset after: the reset gate reads h_prev, not the product", "dan * q", "dan * h_prev"),
        ("reset before: the operand's gradient without the reset gate", "dm * r", "dm"),
        ("reset before: z resets in place of r", "saved[1] * s_prev[0]", "saved[0] * s_prev[0]"),
        ("reset before: the reset gate's slope is forgotten", "dm * h_prev * Sigma::derivative(r)", "dm * h_prev"),
    ),
    *of(
        "native/pointwise.h",
        ("the carries of two phases are not added up", "In::load_gradient(at.parts[i] + place, far) + ds_prev[i]", "ds_prev[i]"),
        (
            "a masked output shows the state",
            "no_output ? V{} : In::load(lanes, at.y_prev + b * at.y_row + u, at.B * at.y_row)",
            "s[0]",
        ),
        ("a masked step forgets the state", "LAST ? s_prev[i] : V{}", "V{}"),
        ("dy of steps before the first live one is used", "at.step >= at.first_live[b]", "true"),
    ),
    *of(
        "native/simd.h",
        ("dropout not applied", "load(from + i, n - i) * load(scale + i, n - i)", "load(from + i, n - i)"),
        ("dropout not applied to gradients", "load(to + i) + load(from + i) * load(scale + i, n - i)", "load(to + i) + load(from + i)"),
    ),
    *of(
        "native/gemm.h",
        ("the last panel of a run without the leap after it", "end - k >= PANEL<Real>", "end - k > PANEL<Real>"),
        ("a leap of one value too few", "a += leap", "a += leap ? leap - 1 : 0"),
    ),
    *of(
        "native/plan.h",
        ("the gate gradients of the next panel are not found", "dgates.panel - PANEL<Real>", "ptrdiff_t(0)"),
        ("a scaled row of x from column 0 on", "x_scale(copy, b) + begin", "x_scale(copy, b)"),
        ("a tile whose first row is masked is passed over", "!live[ptrdiff_t(b + n - 1) * steps]", "!live[ptrdiff_t(b) * steps]"),
    ),
    *of(
        "native/forward_tile.h",
        ("the recurrent bias of n is that of its input side", "bias + column * padded + j * L", "bias + gate * padded + j * L"),
    ),
    *of(
        "native/forward_operands.h",
        ("dropout of h with another row's scale", "P::h_scale(copy, int(b))", "P::h_scale(copy, B - 1 - int(b))"),
    ),
    *of("native/forward.h", ("Wh is read in the usual order, though its memory has another one", "call.Wh_stride", "usual")),
    *of(
        "native/backward_tile.h",
        (
            "dropout of dh with another row's scale",
            "P::h_scale(P::h_copy(cell.first[phase] + i), b + r)",
            "P::h_scale(P::h_copy(cell.first[phase] + i), B - 1 - b - r)",
        ),
    ),
    *of(
        "native/backward.h",
        ("the gradient of the final states is dropped", "static_cast<const Real*>(call.dfinal[s])", "static_cast<const Real*>(nullptr)"),
        ("the first live step is one late", "first_live[b] = step", "first_live[b] = step + 1"),
        ("s_prev is s", "at.s_prev[s] = tape.before(s, step)", "at.s_prev[s] = tape.after(s, step)"),
    ),
    *of(
        "native/weight_operands.h",
        ("dWh from h, not h_prev", "tape.before(s, row.step)", "tape.after(s, row.step)"),
        ("dropout of h in dWh with another row's scale", "plan.h_scale(p.copy, row.b)", "plan.h_scale(p.copy, B - 1 - row.b)"),
        ("a bias is the weight of 0", "live.b < B", "false"),
    ),
    *of(
        "native/weight_gradients.h",
        ("masked rows stay in the weight products", "!call.live || plan.live(step)[ptrdiff_t(b) * plan.steps]", "true"),
        ("the live rows of D are not moved together", "from != n", "false"),
        ("the last block of rows is left out", "std::min(BLOCK, end - n0)", "end - n0 > BLOCK ? BLOCK : 0"),
        ("dW of the last rows is nobody's", "piece + 1 == count", "false"),
        ("dW is written in the usual order, though its memory has another one", "stride == 1", "true"),
    ),
    *of(
        "native/input_gradient.h",
        ("dropout of dx with another row's scale", "plan.x_scale(gate, (n + r) % B)", "plan.x_scale(gate, B - 1 - (n + r) % B)"),
        ("dx in processing order", "plan.time(step)", "step"),
        ("a tile is passed over whose first row is masked", "n + count", "n + 1"),
    ),
]
SECOND_ORDER = [
    *of(
        "native/dual.h",
        ("a product's tangent without the second factor's", "x.d * y.v + x.v * y.d", "x.d * y.v"),
        ("a quotient's tangent without the divisor's", "(x.d - q * y.d) / y.v", "x.d / y.v"),
        ("exp with the slope 1", "y * x.d", "x.d"),
        ("tanh with the slope 1", "(1 - y * y) * x.d", "x.d"),
        ("a choice keeps the first one's tangent", "select(condition, x.d, y.d)", "x.d"),
        ("the tangents of peepholes are dropped", "tangent ? lanes.load(tangent) : Pair<Real>{}", "Pair<Real>{}"),
    ),
    *of("native/pointwise.h", ("reset before: in dWh the operand in place of its tangent", "tangent ? operand.d : operand.v", "operand.v")),
    *of(
        "native/forward_tile.h",
        ("the tangent of Wx is dropped", "call.tWx", "nullptr"),
        ("the tangent of Wh is dropped", "call.tWh", "nullptr"),
        ("the tangents of biases are the biases", "tbias + j * L", "bias + j * L"),
    ),
    *of(
        "native/forward_operands.h",
        ("the tangent of x is x, where it is scaled", "half * call.x_scale_gates + P::x_copy(gate)", "P::x_copy(gate)"),
        ("the tangent of h is h, where it is scaled", "half * call.h_scale_gates + P::h_copy(gate)", "P::h_copy(gate)"),
    ),
    *of("native/forward.h", ("the tangents of the initial states are not on the tape", "half * B + own.rows.end", "own.rows.end")),
    *of(
        "native/backward_tile.h",
        ("dh without the tangent of Wh", "tW && !half ? tW + place : nullptr", "static_cast<const Real*>(nullptr)"),
        ("the tangent of the carry is dropped", "half * B + b", "b"),
    ),
    *of(
        "native/backward.h",
        ("the upstream gradients are taken for their tangents", "ptrdiff_t(B) * padded", "ptrdiff_t(0)"),
        ("tangents of gate gradients on another step's", "ptrdiff_t(chunk.size()) * B", "ptrdiff_t(chunk.size() - 1) * B"),
    ),
    *of(
        "native/weight_gradients.h",
        ("the tangent of h_prev in dWh is dropped", "p.source == Product::STATE_SIDE", "false"),
        ("the tangent of x in dWx is dropped", "p.source == Product::X && call.tx", "false"),
        ("the tangent of h_prev is h_prev", "half * B + b", "b"),
        ("dropped masked rows leave the tangents' behind", "half * steps.size() + step - steps.begin", "step - steps.begin"),
    ),
    *of("native/input_gradient.h", ("dx without what comes by the tangent of Wx", "far + n", "n")),
]
MUTANTS += SECOND_ORDER


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """The variable that chooses a bug, 0 for none."""
    with native_build.with_bugs(tmp_path_factory.mktemp("planted"), MUTANTS) as planted:
        backends.set_num_threads(2)
        yield planted
        backends.set_num_threads(None)


def exchanged(p):
    """The same problem, the first two axes of the weights and of x the other way round in memory."""
    x = np.ascontiguousarray(p.x.transpose(1, 0, 2)).transpose(1, 0, 2)
    return p._replace(x=x, params={name: np.asfortranarray(a) for name, a in p.params.items()})


def differs() -> str:
    """Where the library differs from the reference, or ''."""
    # small, in all situations; then of several panels and pieces, and of more than one run of k
    cases = [(situation, (5, 6, 3, 7)) for situation in SITUATIONS] + [("scale per gate, any mask", (6, 4, 150, 134))]
    for situation, sizes in cases:
        for name, cell in CELLS.items():
            p = problem(cell, situation, "float64", sizes)
            truth = solve(p)
            for order, same in (("as they are", p), ("the other way round", exchanged(p))):
                worst = compare(solve(same, "native"), truth, dict.fromkeys(truth, EXACT))
                if not worst[1] <= worst[2]:
                    return f"{name}, {situation}, {sizes}, axes in memory {order}: {worst}"
    for situation, sizes in cases:
        for name, cell in CELLS.items():
            p = problem(cell, situation, "float64", sizes)
            v = direction(p)
            truth = flat(backward_vjp(taped(p), p.dy, p.dstate, v))
            worst = compare(flat(backward_vjp(taped(p, "native"), p.dy, p.dstate, v)), truth, dict.fromkeys(truth, EXACT))
            if not worst[1] <= worst[2]:
                return f"{name}, {situation}, {sizes}, second order: {worst}"
    return steps.differ()


@pytest.mark.check
@pytest.mark.skipif(shutil.which(CXX) is None, reason=f"no compiler {CXX}")
def test_the_bugs_are_caught(build):
    build.value = 0
    assert differs() == ""
    missed = []
    for number, m in sample.drawn(list(enumerate(MUTANTS, 1)), every=2):
        build.value = number
        if not differs():
            missed.append(f"{m.file}: {m.what}")
    build.value = 0
    assert not missed, "\n".join(missed)
