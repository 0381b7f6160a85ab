"""out= of forward, and weights whose axes lie in memory the other way round."""

import numpy as np
import pytest

from rnn_from_scratch import backends, backward, forward
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem

FORMS = list(CELLS)


def orders(shape, dtype):
    """Arrays full of NaN, the steps of each in another order in memory."""
    B, T, H = shape
    yield "usual", np.full(shape, np.nan, dtype)
    yield "time first", np.full((T, B, H), np.nan, dtype).transpose(1, 0, 2)
    yield "last step first", np.full(shape, np.nan, dtype)[:, ::-1]
    yield "a part of a larger one", np.full((B, 2 * T, H + 3), np.nan, dtype)[:, ::2, 1:-2]


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("situation", ["plain", "reversed", "scale per gate, any mask"])
@pytest.mark.parametrize("form", FORMS)
def test_y_is_written_there_and_nothing_beside_it(form, situation, backend):
    for seed, dtype in enumerate(("float32", "float64")):
        p = problem(CELLS[form], situation, dtype, (5, 7, 3, 11), seed=seed)
        y, state, tape = forward(p.cell, p.params, p.x, **p.options, backend=backend)
        grads = backward(tape, p.dy, p.dstate)
        for order, out in orders(y.shape, dtype):
            got, state2, tape2 = forward(p.cell, p.params, p.x, **p.options, backend=backend, out=out)
            assert got is out and np.array_equal(got, y), order
            assert out.base is None or np.isnan(out.base).sum() == out.base.size - y.size, order
            assert all(np.array_equal(a, b) for a, b in zip(state2, state)), order
            again = backward(tape2, p.dy, p.dstate)
            assert np.array_equal(again.x, grads.x) and all(np.array_equal(again.params[k], grads.params[k]) for k in grads.params)


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_weights_in_another_order_give_the_same_bits(form, situation):
    for seed, sizes in enumerate([(5, 7, 3, 11), (1, 3, 1, 1), (2, 3, 17, 40)]):
        p = problem(CELLS[form], situation, "float32", sizes, seed=seed)
        turned = {name: np.asfortranarray(a) for name, a in p.params.items()}
        y, _, tape = forward(p.cell, p.params, p.x, **p.options, backend="native")
        y2, _, tape2 = forward(p.cell, turned, p.x, **p.options, backend="native")
        grads, grads2 = backward(tape, p.dy, p.dstate), backward(tape2, p.dy, p.dstate)
        assert np.array_equal(y, y2) and np.array_equal(grads.x, grads2.x)
        for name, a in grads.params.items():
            assert np.array_equal(a, grads2.params[name]), name
            assert name == "p" or grads2.params[name].flags.f_contiguous, f"d{name} has another order than {name}"


def test_what_cannot_be_written_to_is_refused():
    p = problem(CELLS["LSTM"], "plain", "float32", (3, 4, 5, 7))

    def refused(out, message, error=ValueError, **options):
        with pytest.raises(error) as raised:
            forward(p.cell, p.params, p.x, out=out, **options)
        assert message in str(raised.value)

    right = np.empty((3, 4, 7), "float32")
    locked = right.copy()
    locked.setflags(write=False)
    refused(right[:2], "out: expected [B, T, H] = [3, 4, 7], got [2, 4, 7]")
    refused(right.astype("float64"), "out: expected float32, the dtype of x, got float64", TypeError)
    refused(locked, "out: expected a writable")
    refused(np.empty((3, 4, 14), "float32")[:, :, ::2], "out: expected a writable, aligned array whose units lie side by side")
    refused(np.lib.stride_tricks.as_strided(right, right.shape, (4, 28, 4)), "in which neither elements of out overlap")
    for name, other in {"initial_state": (right[:, -1], None), "x_scale": right.reshape(-1)[:15].reshape(3, 5)}.items():
        refused(right, "nor arrays lie that forward reads", **{name: other})
    refused(right, "nor arrays lie that forward reads", h_scale=right[:, 0])
    x = np.empty((3, 4, 14), "float32")
    p = p._replace(x=x[:, :, :5])
    refused(x[:, :, 7:], "nor arrays lie that forward reads")
    refused("y", "out: ", (TypeError, ValueError))
    if backends.available()["emulated"][0]:
        refused(right, "out: with storage= y has 16 bits", backend="emulated", storage="float16")
