"""Every converter, proven by running the framework: same outputs and same final states, and the weights come back bit for bit."""

import numpy as np
import pytest

from rnn_from_scratch import cells, forward
from rnn_from_scratch.interop.conventions import LAYOUTS, describe, from_framework, kind, to_framework
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import problem

from ..helpers.run_frameworks import FLOAT32_ONLY, run

LSTM, PEEPHOLE, GRU, RNN = cells.LSTM, cells.PeepholeLSTM, cells.GRU, cells.SimpleRNN
KINDS = cells.forms()
PLAIN = [(name, KINDS[row]) for name, layout in LAYOUTS.items() for row in layout.rows]
NO_BIAS = [
    (name, type(cell)(use_bias=False, **({"reset_after": cell.reset_after} if hasattr(cell, "reset_after") else {})))
    for name, cell in PLAIN
    if name != "cudnn"  # torch, which stands in for it, has no bias vectors then
]
OTHER_ACTIVATIONS = [
    ("keras3", LSTM("relu", "hard_sigmoid")),
    ("keras3", GRU(False, "sigmoid", "hard_sigmoid")),
    ("keras3", RNN("hard_sigmoid")),
    ("keras2", GRU(True, "relu")),
    ("tf1", RNN("relu")),
    ("tf1", LSTM("sigmoid")),
    ("tf1", PEEPHOLE("linear")),
    ("tf1", GRU(False, "relu")),
    ("torch", RNN("relu")),
    ("cudnn", RNN("relu")),
    ("onnx", RNN("sigmoid")),
    ("onnx", LSTM("relu")),
    ("onnx", PEEPHOLE("sigmoid")),
    ("onnx", cells.CoupledLSTM("relu")),
    ("onnx", GRU(True, "linear")),
    ("onnx", GRU(False, "relu")),
]


def name_of(value):
    return repr(value) if not isinstance(value, str) else value


def theirs_and_ours(framework, cell, options=None, dtype=None, run_options=None):
    """Convert, run there and here; the parameters too, so that callers can look at the way back."""
    dtype = dtype or ("float32" if framework in FLOAT32_ONLY else "float64")
    p = problem(cell, dtype=dtype, sizes=(2, 5, 3, 4))
    states = p.options["initial_state"]
    arrays = to_framework(framework, cell, p.params, **(options or {}))
    y, final = run(framework, cell, arrays, p.x, states, **(run_options or {}))
    ours_y, ours_final, _ = forward(cell, p.params, p.x, states, save=False)
    budget = 1e-5 if dtype == "float32" else 1e-12
    assert error(y, ours_y) <= budget
    for a, b in zip(final, ours_final, strict=True):
        assert error(a, b) <= budget
    return p.params, arrays


def same_bits(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        assert a[name].tobytes() == b[name].tobytes(), name


@pytest.mark.parametrize(("framework", "cell"), PLAIN + NO_BIAS + OTHER_ACTIVATIONS, ids=name_of)
def test_the_framework_computes_the_same_and_the_weights_come_back(framework, cell):
    params, arrays = theirs_and_ours(framework, cell)
    assert [s.name for s in LAYOUTS[framework].rows[kind(cell)].slots if s.name in arrays] == list(arrays)
    back = from_framework(framework, cell, arrays)
    same_bits(from_framework(framework, cell, list(arrays.values())), back)
    if LAYOUTS[framework].rows[kind(cell)].forget_bias:
        for name in params:
            difference = np.abs(back[name] - params[name])
            assert (difference <= np.spacing(np.maximum(np.abs(params[name]), 1))).all()
            assert name == "b" or not difference.any()
    else:
        same_bits(back, params)


@pytest.mark.parametrize("basic", [True, False])
@pytest.mark.parametrize("forget_bias", [1.0, 0.0, 2.5])
def test_the_forget_bias_is_an_option(basic, forget_bias):
    theirs_and_ours("tf1", LSTM(), {"forget_bias": forget_bias}, run_options={"basic": basic, "forget_bias": forget_bias})
    theirs_and_ours("block_lstm", LSTM(), {"forget_bias": forget_bias}, run_options={"forget_bias": forget_bias})


def test_a_forget_bias_of_zero_is_bit_exact():
    p = problem(LSTM(), dtype="float32")
    same_bits(from_framework("tf1", LSTM(), to_framework("tf1", LSTM(), p.params, forget_bias=0.0), forget_bias=0.0), p.params)
    with pytest.raises(ValueError, match="forget_bias: LSTM adds none at run time; expected None, got 1"):
        to_framework("torch", LSTM(), p.params, forget_bias=1.0)


RESCALED = [
    ("keras2", LSTM("tanh", "hard_sigmoid")),
    ("keras2", LSTM("relu", "hard_sigmoid", use_bias=False)),
    ("keras2", GRU(True, "tanh", "hard_sigmoid")),
    ("keras2", GRU(False, "hard_sigmoid", "hard_sigmoid")),
    ("keras2", GRU(True, "hard_sigmoid", "sigmoid")),
    ("keras2", RNN("hard_sigmoid")),
    ("tf1", GRU(False, "hard_sigmoid")),
]


@pytest.mark.parametrize(("framework", "cell"), RESCALED, ids=name_of)
def test_a_hard_sigmoid_of_another_slope_raises_or_is_rescaled(framework, cell):
    with pytest.raises(ValueError, match=r"hard_sigmoid: .* is clip\(0.2 a \+ 0.5, 0, 1\), ours is .*rescale=True"):
        theirs_and_ours(framework, cell)
    params, arrays = theirs_and_ours(framework, cell, {"rescale": True})
    back = from_framework(framework, cell, arrays, rescale=True)
    for name in params:
        assert (np.abs(back[name] - params[name]) <= 2 * np.spacing(np.abs(params[name]))).all()


def test_no_weights_make_two_hard_sigmoids_of_a_cell_state_equal():
    cell = LSTM("hard_sigmoid")
    p = problem(cell)
    with pytest.raises(ValueError, match="applies it to the cell state too, so no weights make them equal"):
        to_framework("keras2", cell, p.params, rescale=True)


@pytest.mark.parametrize("cell", [make(recurrent_activation="hard_sigmoid") for make in (LSTM, PEEPHOLE, GRU)])
def test_onnx_alpha_is_stated_or_rescaled(cell):
    theirs_and_ours("onnx", cell, {"slope": 1 / 6}, run_options={"alpha": 1 / 6})
    theirs_and_ours("onnx", cell, {"rescale": True}, run_options={"alpha": 0.2})
    params, arrays = theirs_and_ours("onnx", cell, {"slope": 0.3, "rescale": True}, run_options={"alpha": 0.3})
    back = from_framework("onnx", cell, arrays, slope=0.3, rescale=True)
    assert max(error(back[name], params[name]) for name in params) <= 1e-6
    with pytest.raises(ValueError, match="rescale=True"):
        to_framework("onnx", cell, params)


@pytest.mark.parametrize(("framework", "cell"), [("torch", LSTM()), ("torch", RNN()), ("onnx", GRU(False)), ("cudnn", LSTM())])
def test_merged_biases_come_back_as_b_and_zero(framework, cell):
    p = problem(cell, dtype="float32", sizes=(2, 5, 3, 4))
    states = p.options["initial_state"]
    arrays = to_framework(framework, cell, p.params)
    rng = np.random.default_rng(1)
    for name in arrays:
        if name.lower().startswith("b"):
            arrays[name] = rng.standard_normal(arrays[name].shape).astype("float32")  # two biases, both not zero
    y, _ = run(framework, cell, arrays, p.x, states)
    params = from_framework(framework, cell, arrays)
    assert error(forward(cell, params, p.x, states, save=False)[0], y) <= 1e-5
    again = to_framework(framework, cell, params)
    second = {"torch": "bias_hh_l0", "cudnn": "bR", "onnx": "B"}[framework]
    assert not again[second].reshape(-1)[-params["b"].size :].any()
    same_bits(from_framework(framework, cell, again), params)


def test_the_sign_of_a_zero_survives():
    p = problem(LSTM(), dtype="float32")
    p.params["b"][:] = -0.0
    same_bits(from_framework("torch", LSTM(), to_framework("torch", LSTM(), p.params)), p.params)
    same_bits(from_framework("block_lstm_v2", LSTM(), to_framework("block_lstm_v2", LSTM(), p.params)), p.params)


@pytest.mark.parametrize("cell", [LSTM(), GRU()])
def test_cudnn_vector_is_what_keras_hands_to_cudnn(cell):
    """Keras cuts its kernels into cuDNN's list, with the gates in cuDNN's order, and packs them itself."""
    rnn = pytest.importorskip("keras.src.backend.tensorflow.rnn")
    p = problem(cell, dtype="float32", sizes=(2, 5, 3, 4))
    gates, G = ([0, 1, 2, 3] if isinstance(cell, LSTM) else [1, 0, 2]), len(cell.gates)

    def pieces(a):
        return [np.split(a, G, axis=-1)[g] for g in gates]

    biases = (p.params["b"], np.zeros_like(p.params["b"])) if "b" in p.params else (p.params["bx"], p.params["bh"])
    packed = rnn._standardize_cudnn_weights(
        weights=pieces(p.params["Wx"]) + pieces(p.params["Wh"]),
        biases=[piece for b in biases for piece in pieces(b)],
        shape=np.array([-1]),
        transpose_weights=True,
    )
    ours = np.concatenate([a.ravel() for a in to_framework("cudnn", cell, p.params).values()])
    assert ours.tobytes() == np.asarray(packed).tobytes()


def test_errors_say_what_to_do():
    p = problem(LSTM(), dtype="float32", sizes=(2, 5, 3, 4))
    arrays = to_framework("torch", LSTM(), p.params)
    for call, message in (
        (lambda: to_framework("caffe", LSTM(), p.params), "framework: expected one of keras3, keras2, tf1"),
        (lambda: to_framework("torch", PEEPHOLE(), p.params), "torch.nn has no PeepholeLSTM; tf1, block_lstm, block_lstm_v2, onnx"),
        (lambda: to_framework("torch", LSTM("relu"), p.params), "activation: torch.nn LSTM has tanh, got 'relu'"),
        (lambda: to_framework("torch", LSTM(), {"Wx": p.params["Wx"]}), "expected exactly Wx, Wh, b for LSTM; missing Wh, b"),
        (lambda: from_framework("torch", LSTM(), list(arrays.values())[:3]), "arrays: expected 4 for torch.nn LSTM: weight_ih_l0"),
        (lambda: from_framework("torch", LSTM(), {**arrays, "more": 1}), r"missing \[\], unknown \['more'\]"),
        (
            lambda: from_framework("torch", LSTM(), {**arrays, "weight_hh_l0": arrays["weight_hh_l0"].T}),
            r"weight_hh_l0: expected \[GH, H\] with G = 4 = \[16, 4\] for LSTM, got \[4, 16\]",
        ),
        (lambda: from_framework("torch", LSTM(), {**arrays, "weight_ih_l0": np.zeros(3)}), r"expected \[GH, I\], got \[3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="bias_ih_l0: expected float32 as weight_ih_l0, got float64"):
        from_framework("torch", LSTM(), {**arrays, "bias_ih_l0": arrays["bias_ih_l0"].astype("float64")})
    biased = to_framework("tf1", LSTM(), p.params)
    with pytest.raises(ValueError, match=r"use LSTM\(use_bias=True\)"):
        from_framework("tf1", LSTM(use_bias=False), biased)
    peeping = to_framework("block_lstm_v2", PEEPHOLE(), problem(PEEPHOLE(), dtype="float32").params)
    with pytest.raises(ValueError, match="peepholes: expected zeros for LSTM, got other values; use PeepholeLSTM"):
        from_framework("block_lstm_v2", LSTM(), peeping)


@pytest.mark.parametrize("framework", LAYOUTS)
def test_a_passport_reads_as_text(framework):
    text = describe(framework)
    for row in LAYOUTS[framework].rows.values():
        assert row.called in text
        assert all(slot.name in text for slot in row.slots)
        assert " ".join(slot.gates or row.gates for slot in row.slots if "Wx" in slot.parts) == row.gates
