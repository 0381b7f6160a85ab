"""Initial values and the choice of a backend."""

import numpy as np

from rnn_from_scratch import backends, cells, init_params
from rnn_from_scratch.params import param_shapes
from rnn_from_scratch.verify.cases import CELLS


def test_glorot_orthogonal_and_forget_bias():
    for cell in CELLS.values():
        params = init_params(cell, inputs=40, units=30, rng=3, dtype="float64")
        assert {k: v.shape for k, v in params.items()} == param_shapes(cell, 40, 30)
        np.testing.assert_allclose(params["Wh"] @ params["Wh"].T, np.eye(30), atol=1e-12)
        limit = np.sqrt(6 / (40 + params["Wx"].shape[1]))
        assert 0.98 * limit < np.abs(params["Wx"]).max() <= limit
        for name in ("b", "bx", "bh"):
            if name in params:
                expected = np.repeat([getattr(cell, "initial_bias", {}).get(g, 0.0) for g in cell.gates], 30)
                assert np.array_equal(params[name], expected)
        again = init_params(cell, inputs=40, units=30, rng=np.random.default_rng(3), dtype="float32")
        assert all(v.dtype == np.float32 for v in again.values())
        np.testing.assert_allclose(again["Wx"], params["Wx"], rtol=1e-6)


def test_what_a_cell_says_of_its_first_biases_holds():
    assert init_params(cells.LSTM(), 1, 1)["b"].tolist() == [0, 1, 0, 0]
    assert init_params(cells.PeepholeLSTM(), 1, 1)["b"].tolist() == [0, 1, 0, 0]
    assert init_params(cells.CoupledLSTM(), 1, 1)["b"].tolist() == [-1, 0, 0]
    assert init_params(cells.GRU(reset_after=False), 1, 1)["b"].tolist() == [0, 0, 0]


def test_available_and_choose_say_why():
    cell = cells.LSTM()
    params = init_params(cell, 2, 3)
    assert backends.available()["reference"] == (True, "")
    for usable, why in backends.available().values():
        assert usable or why
    name, reason = backends.choose(cell, params, np.zeros((1, 1, 2), "float32"))
    assert backends.available()[name][0]
    assert reason
    assert backends.choose(cell, params, np.zeros((1, 1, 2), complex)).name == "reference"
