"""The promises of forward and backward: masks, tapes, sizes, strides, dtypes, what is saved, what is left alone."""

import numpy as np
import pytest

from rnn_from_scratch import backends, backward, cells, forward
from rnn_from_scratch.measure import error
from rnn_from_scratch.params import param_shapes
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem, solve

FORMS = list(cells.forms())
DTYPES = ["float32", "float64"]


@pytest.fixture(params=["reference", "native", pytest.param("emulated", marks=pytest.mark.check)], autouse=True)
def backend(request, monkeypatch):
    """The backend that "auto" takes."""
    usable, why = backends.available()[request.param]
    if not usable:
        pytest.skip(f"{request.param}: {why}")
    monkeypatch.setattr(backends, "choose", lambda *call: backends.Choice(request.param, "chosen by the test"))


def run(p, **more):
    return forward(p.cell, p.params, p.x, **{**p.options, **more})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_shapes_dtypes_and_slots(form, dtype, situation):
    p = problem(CELLS[form], situation, dtype)
    (B, T, _), H = p.x.shape, p.params["Wh"].shape[0]
    y, state, tape = run(p)
    assert y.shape == (B, T, H)
    assert y.flags.c_contiguous
    assert not any(np.shares_memory(y, a) for a in (p.x, tape.saved, *tape.states))
    assert all(a.dtype == dtype for a in (y, *state, tape.saved, *tape.states))
    first, last = (T, 0) if p.options.get("go_backwards") else (0, T)
    for slots, start, end in zip(tape.states, p.options["initial_state"], state):
        assert slots.shape == (B, T + 1, H)
        assert np.array_equal(slots[:, first], start)
        assert np.array_equal(slots[:, last], end)
    assert tape.saved.shape == (B, T, len(p.cell.saved), H)
    for a, name in enumerate(p.cell.saved):
        assert tape.gate(name).base is not None
        assert np.array_equal(tape.gate(name), tape.saved[:, :, a])
    elements = B * H * (len(p.cell.saved) * T + len(p.cell.states) * (T + 1))
    assert tape.nbytes == elements * y.itemsize
    assert np.isfinite(y).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("zeroed", [False, True])
def test_masked_steps(form, go_backwards, zeroed):
    """Step by step against the rule in words, in processing order."""
    p = problem(CELLS[form], "any mask")
    mask = p.options["mask"]
    y, _, tape = run(p, go_backwards=go_backwards, zero_masked_outputs=zeroed)
    T = p.x.shape[1]
    for b in range(len(y)):
        out = np.zeros(y.shape[2])
        for step, t in enumerate(range(T - 1, -1, -1) if go_backwards else range(T)):
            before, after = (t + 1, t) if go_backwards else (t, t + 1)
            if mask[b, t]:
                out = tape.states[0][b, after]
                assert not np.array_equal(out, tape.states[0][b, before])
            else:
                assert not tape.saved[b, t].any()
                for slots in tape.states:
                    assert np.array_equal(slots[b, after], slots[b, before])
            expected = np.zeros_like(out) if zeroed and not mask[b, t] else out
            assert np.array_equal(y[b, step], expected), (b, t)


@pytest.mark.parametrize("form", FORMS)
def test_lengths_are_a_mask(form):
    p = problem(CELLS[form], "plain")
    lengths = np.array([7, 0, 3, 1, 6, 2])
    mask = np.arange(7) < lengths[:, None]
    p.x[~mask] = np.nan
    a, sa, ta = run(p, lengths=lengths)
    b, sb, tb = run(p, mask=mask)
    assert np.array_equal(a, b)
    assert np.array_equal(sa[0], sb[0])
    assert np.array_equal(backward(ta, p.dy).params["Wh"], backward(tb, p.dy).params["Wh"])


@pytest.mark.parametrize("form", FORMS)
def test_what_is_in_masked_steps_changes_no_bit(form):
    p = problem(CELLS[form], "any mask")
    dead = ~p.options["mask"]
    first = solve(p)
    dy_used = np.logical_or.accumulate(p.options["mask"], axis=1)
    for value in (np.inf, -np.inf, 1e300, 0.0):
        p.x[dead] = value
        p.dy[~dy_used] = np.nan  # before the first live step dy goes nowhere
        again = solve(p)
        for name in first:
            assert np.array_equal(first[name], again[name]), (name, value)


@pytest.mark.parametrize("form", FORMS)
def test_live_nan_reaches_everything_after_it_and_nothing_before(form):
    p = problem(CELLS[form], "plain")
    p.x[2, 3, 1] = np.nan
    y, state, tape = run(p)
    assert np.isnan(y[2, 3:]).all()
    assert np.isfinite(y[2, :3]).all()
    assert np.isfinite(y[[0, 1, 3, 4, 5]]).all()
    grads = backward(tape, p.dy, p.dstate)
    assert all(np.isnan(g).any() for g in grads.params.values())
    assert np.isnan(state[0][2]).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sizes", [(0, 3, 2, 4), (1, 1, 1, 1), (1, 5, 1, 2), (2, 1, 3, 1), (5, 3, 1, 7)])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_small_and_empty_sizes(form, sizes, situation):
    p = problem(CELLS[form], situation, sizes=sizes)
    results = solve(p)
    for name, a in results.items():
        assert np.isfinite(a).all(), name
    if sizes[0] == 0:
        shapes = param_shapes(p.cell, sizes[2], sizes[3])
        for name, shape in shapes.items():
            assert results[f"d{name}"].shape == shape
            assert not results[f"d{name}"].any()


@pytest.mark.parametrize("form", FORMS)
def test_strided_and_read_only_inputs(form):
    p = problem(CELLS[form], "scale per gate, any mask")
    expected = solve(p)

    def awkward(a):
        wide = np.full(tuple(2 * n for n in a.shape), 7, a.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
        view[...] = a
        view = view if a.ndim < 2 else np.asfortranarray(view)
        view.flags.writeable = False
        return view

    options = {k: tuple(map(awkward, v)) if k == "initial_state" else awkward(v) for k, v in p.options.items()}
    params = {k: awkward(v) for k, v in p.params.items()}
    got = solve(p._replace(params=params, x=awkward(p.x), options=options, dy=awkward(p.dy), dstate=tuple(map(awkward, p.dstate))))
    for name in expected:
        assert error(got[name], expected[name]) <= 1e-14, name


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_changed_and_the_tape_works_twice(form):
    p = problem(CELLS[form], "scale per gate, any mask")
    arrays = [*p.params.values(), p.x, p.dy, *p.dstate, *p.options["initial_state"], p.options["x_scale"], p.options["mask"]]
    copies = [a.copy() for a in arrays]
    y, state, tape = run(p)
    saved = tape.saved.copy(), [s.copy() for s in tape.states]
    one = backward(tape, p.dy, p.dstate)
    y += 1000  # y and state are the caller's: the tape must not see it
    state[0][...] = 1000
    two = backward(tape, p.dy, p.dstate)
    assert np.array_equal(one.x, two.x)
    assert all(np.array_equal(one.params[k], two.params[k]) for k in one.params)
    assert all(np.array_equal(a, b) for a, b in zip(one.initial_state, two.initial_state))
    assert np.array_equal(saved[0], tape.saved)
    assert all(np.array_equal(a, b) for a, b in zip(saved[1], tape.states))
    assert all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(arrays, copies))


@pytest.mark.parametrize("form", FORMS)
def test_without_save_the_same_outputs_and_a_clear_refusal(form):
    p = problem(CELLS[form], "any mask")
    y, state, _ = run(p)
    y2, state2, tape = run(p, save=False)
    assert tape is None
    assert np.array_equal(y, y2)
    assert all(np.array_equal(a, b) for a, b in zip(state, state2))
    with pytest.raises(ValueError, match="save=False and kept nothing"):
        backward(tape, p.dy)


@pytest.mark.parametrize("form", FORMS)
def test_wrt_and_partial_upstreams(form):
    p = problem(CELLS[form], "plain")
    _, _, tape = run(p)
    everything = backward(tape, p.dy, p.dstate)
    for wrt in ("x", "params", "initial_state"):
        grads = backward(tape, p.dy, p.dstate, wrt=(wrt,))
        for name in ("x", "params", "initial_state"):
            assert (getattr(grads, name) is None) == (name != wrt)
    assert np.array_equal(backward(tape, p.dy, p.dstate, wrt=("x",)).x, everything.x)
    assert list(everything.params) == list(p.params)
    zeros = (np.zeros_like(p.dstate[0]), *p.dstate[1:])
    some = backward(tape, dstate=(None, *p.dstate[1:])) if len(p.dstate) > 1 else backward(tape, np.zeros_like(p.dy))
    full = backward(tape, np.zeros_like(p.dy), zeros)
    if len(p.dstate) > 1:
        assert np.array_equal(some.x, full.x)
        assert some.x.any()
    else:
        assert not some.x.any()
    summed = backward(tape, p.dy).x + backward(tape, dstate=p.dstate).x
    assert error(summed, everything.x) <= 1e-13


@pytest.mark.parametrize("form", FORMS)
def test_go_backwards_is_the_reversed_sequence(form):
    p = problem(CELLS[form], "any mask")
    mask = p.options["mask"]
    y, state, tape = run(p, go_backwards=True)
    y2, state2, tape2 = forward(p.cell, p.params, p.x[:, ::-1], p.options["initial_state"], mask=mask[:, ::-1])
    assert np.array_equal(y, y2)
    assert all(np.array_equal(a, b) for a, b in zip(state, state2))
    assert np.array_equal(tape.saved, tape2.saved[:, ::-1])
    assert np.array_equal(tape.states[0], tape2.states[0][:, ::-1])
    assert error(backward(tape, p.dy).x, backward(tape2, p.dy).x[:, ::-1]) <= 1e-14


@pytest.mark.parametrize("form", FORMS)
def test_a_sequence_in_two_parts_is_the_whole(form):
    p = problem(CELLS[form], "any mask")
    mask, (y, state, _) = p.options["mask"], run(p)
    first, middle, _ = forward(p.cell, p.params, p.x[:, :3], p.options["initial_state"], mask=mask[:, :3])
    second, end, _ = forward(p.cell, p.params, p.x[:, 3:], middle, mask=mask[:, 3:])
    joined = np.concatenate([first, second], axis=1)
    started = mask[:, :3].any(1)
    live_after = np.logical_or.accumulate(mask, 1)[:, 3:] & (started[:, None] | np.logical_or.accumulate(mask[:, 3:], 1))
    repeats_first_part = started[:, None] & ~np.logical_or.accumulate(mask[:, 3:], 1)
    assert error(joined[:, :3], y[:, :3]) <= 1e-14
    compared = live_after & ~repeats_first_part  # a second call cannot repeat the outputs of the first
    assert error(second[compared], y[:, 3:][compared]) <= 1e-14
    assert all(error(a, b) <= 1e-14 for a, b in zip(end, state))


@pytest.mark.parametrize("form", FORMS)
def test_a_scale_of_ones_is_no_scale_and_gates_alike_are_one_scale(form):
    p = problem(CELLS[form], "one scale")
    G = len(p.cell.gates)
    one = solve(p)
    per_gate = {k: np.stack([p.options[k]] * G) for k in ("x_scale", "h_scale")}
    several = solve(p._replace(options={**p.options, **per_gate}))
    for name in one:
        assert error(several[name], one[name]) <= 1e-13, name
