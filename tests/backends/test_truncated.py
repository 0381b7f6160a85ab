"""truncated_bptt against full BPTT, and against a dense definition: the sum over losses of gradients that are cut k2 steps back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_from_scratch import backward, cells, forward, truncated_bptt
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS, problem

QUICK = settings(deadline=None, derandomize=True, database=None)


def loss_gradient(dy):
    """dL/dy of L = sum(dy * y + y^2 / 2): it depends on the outputs, so stale ones would show."""
    return lambda y, t0, t1: dy[:, t0:t1] + y


def gradients(y, grads):
    return {"y": y, "dx": grads.x, **grads.params, **{f"d{n}": g for n, g in enumerate(grads.initial_state)}}


def same(a, b, budget=1e-12):
    assert list(a) == list(b)
    for name in a:
        assert error(a[name], b[name]) <= budget, name


def by_definition(p, k1, k2):
    """Each stretch alone: forward from the true state at its start, dy on its k1 steps only, gradients added up."""
    T = p.x.shape[1]
    y, _, tape = forward(p.cell, p.params, p.x, p.options["initial_state"])
    total = {"y": y, "dx": np.zeros_like(p.x), **{n: np.zeros_like(a) for n, a in p.params.items()}}
    total.update({f"d{n}": np.zeros_like(s) for n, s in enumerate(p.options["initial_state"])})
    for t1 in [*range(k1, T, k1), T]:
        t0, start = (t1 - 1) // k1 * k1, max(0, t1 - k2)
        part, _, cut = forward(p.cell, p.params, p.x[:, start:t1], tuple(s[:, start] for s in tape.states))
        dy = np.where(np.arange(start, t1)[:, None] >= t0, p.dy[:, start:t1] + part, 0)
        grads = backward(cut, dy)
        total["dx"][:, start:t1] += grads.x
        for name, g in grads.params.items():
            total[name] += g
        for n, g in enumerate(grads.initial_state):
            total[f"d{n}"] += g * (start == 0)
    return total


@pytest.mark.parametrize("name", CELLS)
def test_k1_and_k2_of_t_are_full_bptt(name):
    p = problem(CELLS[name])
    T = p.x.shape[1]
    states = p.options["initial_state"]
    y, final, grads = truncated_bptt(p.cell, p.params, p.x, loss_gradient(p.dy), T, T, states)
    full, state, tape = forward(p.cell, p.params, p.x, states)
    whole = gradients(full, backward(tape, p.dy + full))
    same(gradients(y, grads), whole, 0)
    assert all(np.array_equal(a, b) for a, b in zip(final, state))
    for k1 in (1, 2, 3):  # nothing is cut if k2 reaches back to the start, in however many stretches
        y, final, grads = truncated_bptt(p.cell, p.params, p.x, loss_gradient(p.dy), k1, T, states)
        same(gradients(y, grads), whole)


@settings(QUICK, max_examples=60)
@given(st.sampled_from(list(CELLS)), st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 99))
def test_equals_its_definition(name, T, k1, more, seed):
    p = problem(CELLS[name], sizes=(2, T, 3, 4), seed=seed)
    states = p.options["initial_state"]
    y, final, grads = truncated_bptt(p.cell, p.params, p.x, loss_gradient(p.dy), k1, k1 + more, states)
    same(gradients(y, grads), by_definition(p, k1, k1 + more))
    _, state, _ = forward(p.cell, p.params, p.x, states)
    assert all(error(a, b) <= 1e-12 for a, b in zip(final, state))


def test_the_gradient_reaches_back_k2_steps_and_no_further():
    """One loss at the last step: dx is not zero at the last k2 steps, and exactly zero before."""
    p = problem(cells.LSTM(), sizes=(2, 12, 3, 4))
    for k1, k2 in ((1, 1), (3, 5), (4, 4), (2, 9), (12, 12)):
        _, _, grads = truncated_bptt(p.cell, p.params, p.x, lambda y, t0, t1: p.dy[:, t0:t1] * (t1 == 12), k1, k2)
        dy_used = np.abs(grads.x).max(axis=(0, 2)) > 0
        assert dy_used.tolist() == [t >= 12 - k2 for t in range(12)]


def test_what_keras_stateful_cuts():
    """Batches of k steps with the state carried by hand, as stateful=True does, are k1 = k2 = k."""
    p = problem(cells.GRU(), sizes=(2, 12, 3, 4))
    state, dWh = p.options["initial_state"], 0
    for t in range(0, 12, 4):
        y, state, tape = forward(p.cell, p.params, p.x[:, t : t + 4], state)
        dWh = dWh + backward(tape, p.dy[:, t : t + 4] + y).params["Wh"]
    _, _, grads = truncated_bptt(p.cell, p.params, p.x, loss_gradient(p.dy), 4, 4, p.options["initial_state"])
    assert error(grads.params["Wh"], dWh) <= 1e-12
    _, _, more = truncated_bptt(p.cell, p.params, p.x, loss_gradient(p.dy), 4, 8, p.options["initial_state"])
    assert error(more.params["Wh"], dWh) > 1e-3  # a longer memory is another gradient


def test_update_is_called_after_every_stretch_and_the_next_one_sees_it():
    """The same as the loop written out, with the older k2 - k1 steps run again under the new parameters."""
    p = problem(cells.LSTM(), sizes=(2, 6, 3, 4))
    params = {name: a.copy() for name, a in p.params.items()}
    seen = []

    def update(grads):
        seen.append(grads)
        for name, g in grads.params.items():
            params[name] -= 0.01 * g

    y, _, total = truncated_bptt(p.cell, params, p.x, loss_gradient(p.dy), 2, 4, update=update)
    assert len(seen) == 3
    mine, state, outputs = {name: a.copy() for name, a in p.params.items()}, None, []
    for start, t0, t1 in ((0, 0, 2), (0, 2, 4), (2, 4, 6)):
        part, _, tape = forward(p.cell, mine, p.x[:, start:t1], state)
        dy = np.zeros_like(part)
        dy[:, t0 - start :] = p.dy[:, t0:t1] + part[:, t0 - start :]
        for name, g in backward(tape, dy).params.items():
            mine[name] -= 0.01 * g
        state = tuple(s[:, 2] for s in tape.states) if t1 == 4 else None
        outputs.append(part[:, t0 - start :])
    assert error(y, np.concatenate(outputs, axis=1)) <= 1e-12
    for name, a in params.items():
        assert error(a, mine[name]) <= 1e-12
        assert error(total.params[name], sum(g.params[name] for g in seen)) <= 1e-12


def test_dropout_scales_and_an_empty_batch():
    p = problem(cells.LSTM(), "scale per gate, any mask", sizes=(2, 7, 3, 4))
    x, scales = problem(cells.LSTM(), sizes=(2, 7, 3, 4)).x, {name: p.options[name] for name in ("x_scale", "h_scale")}
    y, _, grads = truncated_bptt(p.cell, p.params, x, loss_gradient(p.dy), 3, 7, **scales)
    full, _, tape = forward(p.cell, p.params, x, **scales)
    same(gradients(y, grads), gradients(full, backward(tape, p.dy + full)))
    y, state, grads = truncated_bptt(p.cell, p.params, x[:0], lambda y, t0, t1: y, 3, 5)
    assert y.shape == (0, 7, 4)
    assert state[0].shape == (0, 4)
    assert not grads.params["Wh"].any()


def test_errors_say_what_to_do():
    p = problem(cells.LSTM(), sizes=(2, 7, 3, 4))
    run = lambda *args: truncated_bptt(p.cell, p.params, p.x, *args)  # noqa: E731
    for args, message in (
        ((loss_gradient(p.dy), 0, 3), "k1: expected an integer of at least 1, got 0"),
        ((loss_gradient(p.dy), 2, 2.0), r"k2: expected an integer of at least 1, got 2\.0"),
        ((loss_gradient(p.dy), 3, 2), "k2: expected at least k1 = 3, or some losses would send no gradient at all; got 2"),
        ((lambda y, t0, t1: y[:, :1], 3, 4), r"dy_fn: expected \[B, t1 - t0, H\] = \[2, 3, 4\] for LSTM, got \[2, 1, 4\]"),
    ):
        with pytest.raises(ValueError, match=message):
            run(*args)
    with pytest.raises(TypeError, match="dy_fn: expected float64, the dtype of x, got float32"):
        run(lambda y, t0, t1: y.astype("float32"), 3, 4)
