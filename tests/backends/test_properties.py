"""forward and backward over drawn cells, activations, shapes and options: against the equations, complex steps, and themselves."""

import inspect

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_from_scratch import backward, cells, forward
from rnn_from_scratch.measure import error
from rnn_from_scratch.params import param_shapes
from rnn_from_scratch.verify import equations, gradcheck
from rnn_from_scratch.verify.cases import Problem

QUICK = settings(deadline=None, derandomize=True, database=None)
ACTIVATIONS = ("tanh", "relu", "sigmoid", "linear", "hard_sigmoid")


@st.composite
def any_cell(draw):
    kind = draw(st.sampled_from(list(cells.CELLS.values())))
    drawn = {
        "activation": st.sampled_from(ACTIVATIONS),
        "recurrent_activation": st.sampled_from(("sigmoid", "hard_sigmoid")),
        "use_bias": st.booleans(),
        "reset_after": st.booleans(),
    }
    return kind(**{name: draw(values) for name, values in drawn.items() if name in inspect.signature(kind).parameters})


@st.composite
def problems(draw):
    """Any cell; B, T, I, H from 1 (B from 0); each option there or not; a mask of any pattern, with NaN where it is False."""
    cell = draw(any_cell())
    B, T, I, H = (draw(st.integers(least, most)) for least, most in ((0, 4), (1, 5), (1, 4), (1, 5)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    params = {name: 0.5 * rng.standard_normal(shape) for name, shape in param_shapes(cell, I, H).items()}
    x = rng.standard_normal((B, T, I))
    options = {"initial_state": tuple(rng.standard_normal((B, H)) for _ in cell.states)}
    options["go_backwards"], options["zero_masked_outputs"] = draw(st.booleans()), draw(st.booleans())
    if draw(st.booleans()):
        live = np.array(draw(st.lists(st.booleans(), min_size=B * T, max_size=B * T)), bool).reshape(B, T)
        options["mask"], x = live, np.where(live[:, :, None], x, np.nan)
    for name, width in (("x_scale", I), ("h_scale", H)):
        copies = draw(st.sampled_from(["none", "one", "gates"]))
        if copies != "none":
            shape = (len(cell.gates), B, width) if copies == "gates" else (B, width)
            options[name] = rng.integers(0, 3, shape) * 0.75
    dstate = tuple(rng.standard_normal((B, H)) for _ in cell.states)
    return Problem(cell, params, x, options, rng.standard_normal((B, T, H)), dstate)


@settings(QUICK, max_examples=150)
@given(problems())
def test_forward_is_the_equations(p):
    y, state, tape = forward(p.cell, p.params, p.x, **p.options, backend="reference")
    truth = equations.run(p.cell, p.params, p.x, **p.options)
    last = 0 if p.options["go_backwards"] else -1
    assert error(y, truth.y) <= 1e-12
    for name, states, final in zip(p.cell.states, tape.states, state):
        assert error(states, truth.states[name]) <= 1e-12, name
        assert error(final, truth.states[name][:, last]) <= 1e-12, name
    for name in p.cell.saved:
        assert error(tape.gate(name), truth.saved[name]) <= 1e-12, name
    y_only, state_only, none = forward(p.cell, p.params, p.x, **p.options, save=False, backend="reference")
    assert none is None and np.array_equal(y, y_only) and all(map(np.array_equal, state, state_only))


@settings(QUICK, max_examples=80)
@given(problems())
def test_backward_is_the_derivative_of_forward(p):
    report = gradcheck(p.cell, p.params, p.x, backend="reference", **p.options)
    assert report.ok, str(report)


@settings(QUICK, max_examples=80)
@given(problems())
def test_rows_do_not_see_each_other_and_gradients_add_up(p):
    """Each row alone gives its row of everything; the parameters' gradients are the sums over rows."""
    _, _, tape = forward(p.cell, p.params, p.x, **p.options, backend="reference")
    whole = backward(tape, p.dy, p.dstate)
    total = {name: np.zeros_like(value) for name, value in p.params.items()}
    for b in range(len(p.x)):
        options = dict(p.options, initial_state=tuple(s[b : b + 1] for s in p.options["initial_state"]))
        options.update({name: options[name][..., b : b + 1, :] for name in ("x_scale", "h_scale") if name in options})
        if "mask" in options:
            options["mask"] = options["mask"][b : b + 1]
        _, _, tape = forward(p.cell, p.params, p.x[b : b + 1], **options, backend="reference")
        alone = backward(tape, p.dy[b : b + 1], tuple(d[b : b + 1] for d in p.dstate))
        np.testing.assert_allclose(alone.x[0], whole.x[b], rtol=1e-11, atol=1e-12)
        for one, every in zip(alone.initial_state, whole.initial_state):
            np.testing.assert_allclose(one[0], every[b], rtol=1e-11, atol=1e-12)
        for name, value in alone.params.items():
            total[name] += value
    for name, value in total.items():
        np.testing.assert_allclose(value, whole.params[name], rtol=1e-10, atol=1e-11, err_msg=name)


@settings(QUICK, max_examples=80)
@given(problems(), st.floats(-2, 2))
def test_backward_is_linear_in_what_comes_in(p, factor):
    _, _, tape = forward(p.cell, p.params, p.x, **p.options, backend="reference")
    from_y, from_state = backward(tape, p.dy), backward(tape, None, p.dstate)
    both = backward(tape, factor * p.dy, p.dstate)
    np.testing.assert_allclose(factor * from_y.x + from_state.x, both.x, rtol=1e-10, atol=1e-11)
    for name, value in both.params.items():
        sum_ = factor * from_y.params[name] + from_state.params[name]
        np.testing.assert_allclose(sum_, value, rtol=1e-10, atol=1e-11, err_msg=name)
