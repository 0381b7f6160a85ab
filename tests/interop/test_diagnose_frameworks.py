"""diagnose on real frameworks, used wrongly: our arrays in their shapes, but with our gate order, biases and activations."""

import numpy as np
import pytest

from rnn_from_scratch import cells, forward
from rnn_from_scratch.interop.conventions import to_framework
from rnn_from_scratch.interop.diagnose import diagnose
from rnn_from_scratch.verify.cases import problem

from ..helpers.run_frameworks import run

HARD = {"recurrent_activation": "hard_sigmoid"}


@pytest.mark.parametrize(("cell", "framework", "options", "expected"), [
    (cells.GRU(), "torch", {}, {"gate order": "r z n"}),
    (cells.LSTM(), "tf1", {}, {"gate order": "i g f o", "forget bias": "+1"}),
    (cells.LSTM(), "block_lstm_v2", {}, None),
    (cells.LSTM(), "block_lstm", {"forget_bias": 0.0}, {"gate order": "i g f o"}),
    (cells.LSTM(), "onnx", {}, {"gate order": "i o f g"}),
    (cells.PeepholeLSTM(), "onnx", {}, {"gate order": "i o f g", "peepholes": "i o f"}),
    (cells.GRU(reset_after=False), "onnx", {}, None),
    (cells.LSTM(**HARD), "keras2", {}, {"hard_sigmoid slope": "hard_sigmoid 0.2"}),
    (cells.GRU(**HARD), "keras2", {}, {"hard_sigmoid slope": "hard_sigmoid 0.2"}),
])  # fmt: skip
def test_names_what_goes_wrong_with_real_frameworks(cell, framework, options, expected):
    """Our arrays given to the framework in its shapes, but with our gate order and our biases: what a hurried user does."""
    p = problem(cell, dtype="float32", sizes=(2, 7, 3, 4))
    template = to_framework(framework, cell, p.params, rescale=True)

    def used(params, x):
        inputs_and_units = np.concatenate([params["Wx"], params["Wh"]])
        b = params["b"] if "b" in params else np.stack([params["bx"], params["bh"]])
        hurried = {
            "kernel": inputs_and_units if framework == "tf1" else params["Wx"],
            "recurrent_kernel": params["Wh"],
            "w": inputs_and_units,
            "weight_ih_l0": params["Wx"].T,
            "weight_hh_l0": params["Wh"].T,
            "W": params["Wx"].T,
            "R": params["Wh"].T,
            "bias": b,
            "b": b,
            "B": [b, 0 * b],
            "bias_ih_l0": b[0],
            "bias_hh_l0": b[1],
            "P": params.get("p"),
        }
        arrays = {name: np.array(hurried.get(name, a), a.dtype, order="C").reshape(a.shape) for name, a in template.items()}
        zeros = tuple(np.zeros((x.shape[0], params["Wh"].shape[0]), x.dtype) for _ in cell.states)
        alpha = {"alpha": 0.2} if framework == "onnx" else {}
        return run(framework, cell, arrays, x, zeros, **options, **alpha)

    d = diagnose(lambda params, x: forward(cell, params, x), used, p.params, cell)
    if expected is None:
        assert d.agree
    else:
        assert [{cause.about: cause.value for cause in e.causes} for e in d.explanations] == [expected]
