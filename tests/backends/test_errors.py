"""Every message of the door, one row each: argument, expected, got."""

import numpy as np
import pytest

from rnn_from_scratch import backends, backward, cells, forward, init_params

F4, F8 = np.float32, np.float64
LSTM, GRU, PEEP, RNN = cells.LSTM(), cells.GRU(), cells.PeepholeLSTM(), cells.SimpleRNN()
B, T, I, H = 2, 5, 3, 4


def zeros(*shape, dtype=F4):
    return np.zeros(shape, dtype)


def call(cell=LSTM, change=None, drop=(), x=None, **options):
    params = init_params(cell, I, H)
    params.update(change or {})
    for name in drop:
        del params[name]
    return forward(cell, params, zeros(B, T, I) if x is None else x, **options)


def back(dy=None, dstate=None, cell=LSTM, **options):
    return backward(call(cell)[2], dy, dstate, **options)


# (what is called, the error, its message)
ROWS = [
    (lambda: call(x=zeros(B, T, I, dtype=np.float16)), TypeError, "x: expected float32 or float64, got float16"),
    (lambda: call(x=zeros(B, T, I, dtype=np.int64)), TypeError, "x: expected float32 or float64, got int64"),
    (lambda: call(x=zeros(B, T, I, dtype=object)), TypeError, "x: expected float32 or float64, got object"),
    (lambda: call(x=zeros(B, T, I, dtype=np.complex64)), TypeError, "x: expected float32 or float64, got complex64"),
    (lambda: call(x=zeros(T, I)), ValueError, "x: expected [B, T, I], got 2 dimensions: [5, 3]"),
    (lambda: call(x=zeros(B, 0, I)), ValueError, "x: expected [B, T, I] with T and I of at least 1, got [2, 0, 3]"),
    (lambda: call(x=zeros(B, T, 0)), ValueError, "x: expected [B, T, I] with T and I of at least 1, got [2, 5, 0]"),
    (lambda: call(x=zeros(B, T, 7)), ValueError, "Wx: expected [I, 4H] = [7, 16] for LSTM, got [3, 16]"),
    (
        lambda: call(x=zeros(B, T, I, dtype=F8)),
        TypeError,
        "Wh: expected float64, the dtype of x, got float32; use Wh.astype('float64')",
    ),
    (lambda: forward(LSTM, [1], zeros(B, T, I)), TypeError, "params: expected a dict of arrays for LSTM, got list"),
    (lambda: call(drop=["b"]), ValueError, "params: expected exactly Wx, Wh, b for LSTM; missing b"),
    (lambda: call(change={"bz": zeros(4)}), ValueError, "params: expected exactly Wx, Wh, b for LSTM; unknown bz"),
    (lambda: call(cells.LSTM(use_bias=False), {"b": zeros(16)}), ValueError, "params: expected exactly Wx, Wh for LSTM; unknown b"),
    (
        lambda: call(GRU, {"b": zeros(12)}, drop=["bx"]),
        ValueError,
        "params: expected exactly Wx, Wh, bx, bh for GRU; missing bx; unknown b",
    ),
    (lambda: call(change={"Wh": zeros(64, 192)}), ValueError, "Wh: expected [H, 4H] = [64, 256] for LSTM, got [64, 192]"),
    (lambda: call(change={"Wh": zeros(64)}), ValueError, "Wh: expected [H, 4H] for LSTM, got [64]"),
    (lambda: call(change={"Wh": zeros(0, 0)}), ValueError, "Wh: expected [H, 4H] for LSTM, got [0, 0]"),
    (lambda: call(RNN, {"Wh": zeros(4, 5)}), ValueError, "Wh: expected [H, H] = [4, 4] for SimpleRNN, got [4, 5]"),
    (lambda: call(change={"b": zeros(15)}), ValueError, "b: expected [4H] = [16] for LSTM, got [15]"),
    (lambda: call(GRU, {"bh": zeros(2, 12)}), ValueError, "bh: expected [3H] = [12] for GRU, got [2, 12]"),
    (lambda: call(PEEP, {"p": zeros(4)}), ValueError, "p: expected [3, H] = [3, 4] for PeepholeLSTM, got [4]"),
    (
        lambda: call(change={"b": zeros(16, dtype=F8)}),
        TypeError,
        "b: expected float32, the dtype of x, got float64; use b.astype('float32')",
    ),
    (
        lambda: call(initial_state=zeros(B, H)),
        TypeError,
        "initial_state: expected a tuple of 2 arrays (h, c) for LSTM, got ndarray",
    ),
    (lambda: call(initial_state=(zeros(B, H),)), ValueError, "initial_state: expected a tuple of 2 arrays (h, c) for LSTM, got 1"),
    (lambda: call(RNN, initial_state=()), ValueError, "initial_state: expected a tuple of 1 array (h) for SimpleRNN, got 0"),
    (
        lambda: call(initial_state=(zeros(B, H), zeros(B, 9))),
        ValueError,
        "initial_state c: expected [B, H] = [2, 4] for LSTM, got [2, 9]",
    ),
    (
        lambda: call(RNN, initial_state=(zeros(B, H, dtype=F8),)),
        TypeError,
        "initial_state h: expected float32, the dtype of x, got float64; use initial_state h.astype('float32')",
    ),
    (
        lambda: call(mask=np.ones((B, T), bool), lengths=[1, 2]),
        ValueError,
        "lengths: expected either mask or lengths, got both; lengths means mask = arange(T) < lengths",
    ),
    (lambda: call(mask=np.ones((T, B), bool)), ValueError, "mask: expected [B, T] = [2, 5] for LSTM, got [5, 2]"),
    (
        lambda: call(mask=np.ones((B, T), int)),
        TypeError,
        "mask: expected bool, True at live steps, got int64; use mask.astype(bool)",
    ),
    (lambda: call(lengths=[1.0, 2.0]), TypeError, "lengths: expected integers, got float64"),
    (lambda: call(lengths=[True, False]), TypeError, "lengths: expected integers, got bool"),
    (lambda: call(lengths=[1, 2, 3]), ValueError, "lengths: expected [B] = [2] for LSTM, got [3]"),
    (lambda: call(lengths=[1, 6]), ValueError, "lengths: expected values in 0..5, the number of steps in x, got 1..6"),
    (lambda: call(lengths=[-1, 5]), ValueError, "lengths: expected values in 0..5, the number of steps in x, got -1..5"),
    (
        lambda: call(x_scale=zeros(B, H)),
        ValueError,
        "x_scale: expected [B, I] = [2, 3] or [G, B, I] = [4, 2, 3] for LSTM, got [2, 4]",
    ),
    (lambda: call(x_scale=zeros(3, B, I)), ValueError, "x_scale: expected [G, B, I] = [4, 2, 3] for LSTM, got [3, 2, 3]"),
    (lambda: call(GRU, h_scale=zeros(4, B, H)), ValueError, "h_scale: expected [G, B, H] = [3, 2, 4] for GRU, got [4, 2, 4]"),
    (
        lambda: call(h_scale=zeros(B, H, dtype=F8)),
        TypeError,
        "h_scale: expected float32, the dtype of x, got float64; use h_scale.astype('float32')",
    ),
    (
        lambda: call(backend="cdua"),
        ValueError,
        f"backend: expected auto or one of {', '.join(backends.BACKENDS)}, got 'cdua'",
    ),
    (lambda: call(change=None, save=False)[2].gate, AttributeError, "'NoneType' object has no attribute 'gate'"),
    (lambda: call()[2].gate("z"), ValueError, "gate: LSTM saves i, f, g, o, got 'z'"),
    (lambda: call(RNN)[2].gate("h"), ValueError, "gate: SimpleRNN saves nothing, got 'h'"),
    (
        lambda: backward(None, zeros(B, T, H)),
        ValueError,
        "tape: got None: forward ran with save=False and kept nothing; call forward(..., save=True)",
    ),
    (lambda: backward((1, 2), zeros(B, T, H)), TypeError, "tape: expected the Tape that forward returned, got tuple"),
    (
        lambda: back(),
        ValueError,
        "backward: expected dy or dstate, got neither: give the loss's gradient by y, by the final state, or both",
    ),
    (
        lambda: back(dstate=(None, None)),
        ValueError,
        "backward: expected dy or dstate, got neither: give the loss's gradient by y, by the final state, or both",
    ),
    (lambda: back(zeros(B, H)), ValueError, "dy: expected [B, T, H] = [2, 5, 4] for LSTM, got [2, 4]"),
    (
        lambda: back(zeros(B, T, H, dtype=F8)),
        TypeError,
        "dy: expected float32, the dtype of x, got float64; use dy.astype('float32')",
    ),
    (lambda: back(dstate=(zeros(B, H),)), ValueError, "dstate: expected a tuple of 2 arrays (h, c) for LSTM, got 1"),
    (lambda: back(dstate=(zeros(B, H), zeros(1))), ValueError, "dstate c: expected [B, H] = [2, 4] for LSTM, got [1]"),
    (lambda: back(zeros(B, T, H), wrt=("Wx",)), ValueError, "wrt: expected names from x, params, initial_state, got 'Wx'"),
    (
        lambda: cells.LSTM(activation="gelu"),
        ValueError,
        "activation: expected one of tanh, relu, sigmoid, linear, hard_sigmoid for LSTM, got 'gelu'",
    ),
    (
        lambda: cells.GRU(recurrent_activation="tanh"),
        ValueError,
        "recurrent_activation: expected one of sigmoid, hard_sigmoid for GRU, got 'tanh'",
    ),
    (
        lambda: cells.by_name("gruu"),
        ValueError,
        f"cell: expected one of {', '.join(cells.CELLS)}, got 'gruu'",
    ),
    (lambda: init_params(LSTM, 0, 4), ValueError, "inputs: expected an integer of at least 1, got 0"),
    (lambda: init_params(LSTM, 3, 2.5), ValueError, "units: expected an integer of at least 1, got 2.5"),
    (lambda: init_params(LSTM, 3, 4, dtype="float16"), TypeError, "dtype: expected float32 or float64, got float16"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), ROWS, ids=[row[2][:60] for row in ROWS])
def test_message(wrong, error, message):
    with pytest.raises(error) as caught:
        wrong()
    assert str(caught.value) == message


def test_complex_is_forward_only():
    params = {k: v.astype(complex) for k, v in init_params(LSTM, I, H).items()}
    _, _, tape = forward(LSTM, params, zeros(B, T, I, dtype=complex))
    with pytest.raises(TypeError, match="complex128 is forward only"):
        backward(tape, zeros(B, T, H, dtype=complex))


def test_a_backend_that_cannot_run_says_what_is_missing():
    for name, (usable, why) in backends.available().items():
        if not usable:
            with pytest.raises(ValueError) as caught:
                call(backend=name)
            assert str(caught.value) == f"backend: {name} is not usable here: {why}"
