"""Bugs that people write into BPTT. Each is a text that occurs once in its file, and what it becomes."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One bug. file: from the folder on that is copied: the package, or kernels."""

    what: str
    file: str
    before: str
    after: str


def of(file: str, *rows: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(what, file, before, after) for what, before, after in rows]


PLANTED = [
    *of(
        "cells/activations.py",
        ("tanh' of the output as if it were the pre-activation", "lambda y: 1 - y * y", "lambda y: 1 - np.tanh(y) ** 2"),
        (
            "sigmoid' of the output as if it were the pre-activation",
            "lambda y: y * (1 - y)",
            "lambda y: sigmoid(y) * (1 - sigmoid(y))",
        ),
        ("relu' is 1 for negative values too", "one_where(y > 0, y)),", "one_where(y >= 0, y)),"),
        ("hard_sigmoid' with the slope of Keras 2", "(y < 1), y) / 6),", "(y < 1), y) * 0.2),"),
        ("hard_sigmoid' does not end at 1", "(y > 0) & (y < 1), y)", "y > 0, y)"),
        ("hard_sigmoid with the offset of Keras 2, forward and so backward", "s = a + 3", "s = a + 2.5"),
    ),
    *of(
        "cells/simple_rnn.py",
        ("the slope of the activation is forgotten", "da = dh * phi_derivative(h)", "da = dh * 1.0"),
        ("the slope of h_prev, not of h", "(dh,), (h,) = d, s\n", "(dh,), (h,) = d, s_prev\n"),
        ("h carried on elementwise as well", "(0.0,), ()", "(dh,), ()"),
    ),
    *of(
        "cells/lstm.py",
        ("the carry of c is dropped", "dc = dc + dh * o * phi_derivative(tau)", "dc = dh * o * phi_derivative(tau)"),
        ("the forget gate is left out of the carry of c", "dc_prev = dc * f", "dc_prev = dc"),
        ("the input gate in place of the forget gate in the carry of c", "dc_prev = dc * f", "dc_prev = dc * i"),
        ("tanh' of c, the pre-activation", "phi_derivative(tau)", "phi_derivative(c)"),
        ("the forget gate reads c, not c_prev", "daf = dc * c_prev", "daf = dc * c"),
        ("the output gate reads c, not tanh(c)", "dao = dh * tau", "dao = dh * c"),
        ("the input gate reads itself, not the candidate", "dai = dc * g * sigma_derivative", "dai = dc * i * sigma_derivative"),
        ("the candidate with sigmoid's slope", "phi_derivative(g)", "sigma_derivative(g)"),
        (
            "candidate and output gate swapped in backward (PyTorch's and TF1's order differ)",
            "da = (dai, daf, dag, dao)",
            "da = (dai, daf, dao, dag)",
        ),
        ("input and forget gate swapped in forward", "ai, af, ag, ao = xg + hg", "af, ai, ag, ao = xg + hg"),
        ("c is not squashed on its way to h", "h = o * phi(c)\n        return", "h = o * c\n        return"),
        ("dc of the output path without the output gate", "dh * o * phi_derivative(tau)", "dh * phi_derivative(tau)"),
    ),
    *of(
        "cells/peephole_lstm.py",
        (
            "the output peephole reads the old c, in forward",
            "o = sigma(ao + p_o * c)\n        h",
            "o = sigma(ao + p_o * c_prev)\n        h",
        ),
        ("the output peephole reads the old c, in its gradient", "dao * c)", "dao * c_prev)"),
        ("the input peephole reads the new c, in its gradient", "dp = (dai * c_prev", "dp = (dai * c"),
        ("nothing flows through the output peephole into c", " + dao * p_o  # h", "  # h"),
        ("nothing flows through the peepholes to c_prev (the cut of the 2000 paper)", "dc * f + dai * p_i + daf * p_f  #", "dc * f  #"),
        ("input and forget peephole swapped on the way to c_prev", "dai * p_i + daf * p_f  #", "dai * p_f + daf * p_i  #"),
        ("the forget peephole is forgotten in forward", "sigma(af + p_f * c_prev),", "sigma(af),"),
        ("peephole gradients in another order", "(dai * c_prev, daf * c_prev,", "(daf * c_prev, dai * c_prev,"),
    ),
    *of(
        "cells/coupled_lstm.py",
        ("the old c is not let go of as the new comes in", "c = (1 - i) * c_prev + i * g\n        h =", "c = c_prev + i * g\n        h ="),
        ("the input gate's gradient without what it lets go of", "dc * (g - c_prev)", "dc * g"),
        ("the input gate's gradient reads c, not c_prev", "dc * (g - c_prev)", "dc * (g - c)"),
        ("the input gate in place of the coupled one in the carry of c", "dc_prev = dc * (1 - i)", "dc_prev = dc * i"),
        ("the carry of c is dropped", "dc = dc + dh * o * phi_derivative(tau)", "dc = dh * o * phi_derivative(tau)"),
        ("candidate and output gate swapped in backward", "da = (dai, dag, dao)", "da = (dai, dao, dag)"),
    ),
    *of(
        "cells/gru.py",
        ("(1 - z) is missing", "dan = dh * (1 - z) * phi_derivative(n)", "dan = dh * phi_derivative(n)"),
        ("z in place of (1 - z)", "dan = dh * (1 - z) * phi_derivative", "dan = dh * z * phi_derivative"),
        ("the update gate's sign", "(h_prev - n)", "(n - h_prev)"),
        ("z and r swapped in backward", "(daz, dar, dan), (daz, dar, dq)", "(dar, daz, dan), (dar, daz, dq)"),
        ("z and r swapped on the recurrent side", "(daz, dar, dan), (daz, dar, dq)", "(daz, dar, dan), (dar, daz, dq)"),
        ("the recurrent side of n without the reset gate", "dq = dan * r  #", "dq = dan  #"),
        ("the reset gate reads h_prev, not the product", "dar = dan * q * sigma_derivative", "dar = dan * h_prev * sigma_derivative"),
        ("reset after: the reset gate scales the input too", "phi(xg[2] + r * q)", "phi(r * (xg[2] + q))"),
        (
            "reset after: h mixed the other way round",
            "(z * h_prev + (1 - z) * n,), (z, r, n, q)",
            "((1 - z) * h_prev + z * n,), (z, r, n, q)",
        ),
        ("reset before: h mixed the other way round", "(z * h_prev + (1 - z) * n,), (n,)", "((1 - z) * h_prev + z * n,), (n,)"),
        ("reset before: the carry of h is dropped", "return (dan,), (dan,), (dh * z,)", "return (dan,), (dan,), (0.0,)"),
        ("reset before: the operand's gradient without the reset gate", "(dm * r,)", "(dm,)"),
        ("reset before: z resets in place of r", "saved[1] * s_prev[0]", "saved[0] * s_prev[0]"),
        ("reset before: the reset gate's slope is forgotten", "dar = dm * h_prev * sigma_derivative(r)", "dar = dm * h_prev"),
    ),
    *of(
        "bptt.py",
        ("the recurrent carry is dropped", "parts[0] = parts[0] + d_operand[0]", "parts[0] = parts[0] + 0 * d_operand[0]"),
        ("the carry of h is overwritten by dy", "ds = (ds[0] + dy[:, step], *ds[1:])", "ds = (dy[:, step], *ds[1:])"),
        ("the carries of two phases are not added up", "parts = [a + b for a, b in zip(parts, part)]", "parts = list(part)"),
        (
            "dWh misses the first step",
            "operand = s_prev[0] if k == 0",
            "operand = s_prev[0] * (np.arange(at.T) > 0)[:, None] if k == 0",
        ),
        ("dWh from h, not h_prev", "a[:, at.before : at.T + at.before]", "a[:, at.after : at.T + at.after]"),
        ("backward stops before the first step", "reversed(list(enumerate(at.steps)))", "reversed(list(enumerate(at.steps))[1:])"),
        (
            "the gradient of the final states is dropped",
            "if d is None else d for d in dstate",
            "if d is None else 0 * d for d in dstate",
        ),
        (
            "the gradient of the final h is dropped",
            "ds = tuple(np.zeros((at.B, H), x.dtype) if d is None",
            "ds = tuple(np.zeros((at.B, H), x.dtype) if d is None or d is dstate[0]",
        ),
        ("dy in the time order of x, not of y", "dy[:, step], *ds", "dy[:, t], *ds"),
        ("bias gradient of the last step alone", 'grads["b"] = D.sum(0)', 'grads["b"] = dhg[:, -1].sum(0).reshape(-1)'),
        ("the recurrent bias gets the input side's gradient", "bh=at.flat(dhg).sum(0)", "bh=D.sum(0)"),
        ("peephole gradient of the first step alone", "dp_sum += [", "dp_sum[:] = ["),
        ("mask ignored in the carry of backward", "ds = tuple(parts) if live is None else", "ds = tuple(parts) if True else"),
        ("masked rows stay in the weight products: 0 * NaN", "every if live is None else every[live.reshape(-1)]", "every"),
        (
            "unheard dy multiplied by 0, not dropped",
            "dy = np.where((dy_used[:, ::-1] if tape.go_backwards else dy_used)[:, :, None], dy, 0)",
            "dy = dy * (dy_used[:, ::-1] if tape.go_backwards else dy_used)[:, :, None]",
        ),
        ("the mask of dy is not reversed", "dy_used[:, ::-1] if tape.go_backwards else dy_used", "dy_used"),
        ("zeroed outputs still hand their dy on", "dy_used = live if tape.zero_masked_outputs else", "dy_used ="),
        (
            "the first live step is sought from the wrong end",
            "started_steps(live, tape.go_backwards)",
            "started_steps(live, False)",
        ),
        (
            "a masked output shows the state, the initial one too",
            "out = np.where(m, s[0], 0 if zero_masked_outputs else out)",
            "out = s[0]",
        ),
        ("a masked step computes", "s = tuple(np.where(m, new, old) for new, old in zip(s, s_prev))", "s = tuple(s)"),
        ("a masked step saves its gates", "saved = tuple(np.where(m, value, 0) for value in saved)", "saved = tuple(saved)"),
        ("dropout of x not applied to dx", 'params["Wx"], at.per_row(tape.x_scale), tape', 'params["Wx"], None, tape'),
        ("dropout of x not applied to dWx", "at.flat(tape.x), D, at.per_row(tape.x_scale)", "at.flat(tape.x), D, None"),
        ("dropout of h not applied to dh", "Wh[k], at.h_scale[k], tape", "Wh[k], None, tape"),
        ("dropout of h not applied to dWh", "at.per_row(at.h_scale[k]), tape", "None, tape"),
        (
            "dropout on the carried state too",
            "s_prev, operand, saved = s, s[0], ()",
            "s_prev, operand, saved = tuple(a * (1 if h_scale is None else 0.75) for a in s), s[0], ()",
        ),
        ("tape slots off by one", "slots[:, t + at.after] = new", "slots[:, t + at.before] = new"),
        (
            "backward adds dy into the caller's dstate",
            "ds = (ds[0] + dy[:, step], *ds[1:])",
            "ds = (np.add(ds[0], dy[:, step], out=ds[0]), *ds[1:])",
        ),
        (
            "y is handed out as a view of the tape",
            "return y, state, Tape(",
            "return states[0][:, at.after : at.T + at.after][:, :: -1 if go_backwards else 1], state, Tape(",
        ),
        ("the bias is added twice in a two-sided cell", "hg += bh[k]", "hg += 2 * bh[k]"),
    ),
    *of(
        "products.py",
        (
            "dropout of gates in another order on the way back",
            "np.split(W, G, axis=1), scale))",
            "np.split(W, G, axis=1), scale[::-1]))",
        ),
    ),
]
