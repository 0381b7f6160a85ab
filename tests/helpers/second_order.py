"""What second-order results are compared with, and how: directions, complex step and differences of first-order results."""

import numpy as np

from rnn_from_scratch import backward, bptt, forward
from rnn_from_scratch.bptt import Gradients
from rnn_from_scratch.measure import error


def direction(p, seed=11):
    """Random tangents of x, every parameter and every initial state."""
    rng = np.random.default_rng(seed)

    def like(a):
        return rng.standard_normal(a.shape).astype(a.dtype)

    return Gradients(like(p.x), {name: like(a) for name, a in p.params.items()}, tuple(map(like, p.dstate)))


def taped(p, backend="reference", **options):
    return forward(p.cell, p.params, p.x, **p.options, backend=backend, **options)[2]


def flat(result):
    """Every array of Gradients, Tangents or SecondGradients by name."""
    found = {}
    for name, part in vars(result).items():
        if isinstance(part, tuple):
            found.update({f"{name} {k}": a for k, a in enumerate(part)})
        else:
            found.update(part if isinstance(part, dict) else {name: part} if part is not None else {})
    return found


def assert_close(ours, truth, budgets):
    assert list(ours) == list(truth)
    for name in truth:
        assert error(ours[name], truth[name]) <= (budgets[name] if isinstance(budgets, dict) else budgets), name


def moved(p, v, h):
    """The problem a step h further along v."""
    states = tuple(s + h * t for s, t in zip(p.options["initial_state"], v.initial_state))
    params = {name: a + h * v.params[name] for name, a in p.params.items()}
    return p._replace(x=p.x + h * v.x, params=params, options={**p.options, "initial_state": states})


def by_differences(p, v, h=2e-3):
    """The tangents of forward and of backward along v, by central differences of sixth order of exact first-order results."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    total = {}
    for k, weight in weights.items():
        for sign in (1, -1):
            q = moved(p, v, sign * k * h)
            y, state, tape = forward(q.cell, q.params, q.x, **q.options, backend="reference")
            found = {**flat(backward(tape, p.dy, p.dstate)), "dy": y, **{f"dstate {n}": s for n, s in enumerate(state)}}
            for name, a in found.items():
                total[name] = total.get(name, 0) + sign * weight * a / h
    return total


def by_complex_step(p, v, step=1e-30):
    """The same by a complex step through the first order: the loops of bptt.py, on complex numbers."""
    tape = taped(p)
    q = moved(p, v, 1j * step)
    flags = (tape.live, tape.go_backwards, tape.zero_masked_outputs, tape.x_scale, tape.h_scale)
    y, state, dual = bptt.forward(q.cell, q.params, q.x, q.options["initial_state"], *flags, True)
    grads = bptt.backward(dual, p.dy, p.dstate, ("x", "params", "initial_state"))
    found = {**flat(grads), "dy": y, **{f"dstate {n}": s for n, s in enumerate(state)}}
    return {name: a.imag / step for name, a in found.items()}
