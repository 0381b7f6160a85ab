"""Who is asked by parity, and what is said when nobody is there."""

import sys

import numpy as np
import pytest

from rnn_from_scratch import backends, cells
from rnn_from_scratch.verify import parity as table
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem
from rnn_from_scratch.verify.oracles import keras_layers, torch_nn
from rnn_from_scratch.verify.parity import parity

from .test_parity import ROWS, needs, rows_of, shown


@pytest.mark.parametrize(
    ("module", "oracle", "text"),
    [
        ("torch", "torch.nn", "needs PyTorch: pip install torch"),
        ("tensorflow", "tf.keras", 'needs TensorFlow: pip install "rnn_from_scratch[tensorflow]"'),
        ("tensorflow", "BlockLSTMV2", 'needs TensorFlow: pip install "rnn_from_scratch[tensorflow]"'),
        ("tf_keras", "tf_keras peephole", 'needs tf_keras: pip install "rnn_from_scratch[test]"'),
    ],
)
def test_a_missing_framework_is_a_skipped_row_that_names_it(monkeypatch, module, oracle, text):
    if oracle == "tf_keras peephole":
        needs(keras_layers)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(table, "ORACLES", [o for o in table.ORACLES if oracle == o.NAME])
    rows = list(parity())
    assert len(rows) == ROWS[oracle]
    assert {(r.status, r.error, r.budget, r.text) for r in rows} == {("skipped", None, None, text)}


@pytest.mark.check
def test_cell_and_dtype_are_filters():
    needs(keras_layers, torch_nn)
    rows = list(parity("peephole-LSTM", dtype="float32"))
    assert {r.cell for r in rows} == {name for name in CELLS if name.startswith("PeepholeLSTM")}
    assert {r.dtype for r in rows} == {"float32"}
    with pytest.raises(ValueError, match=f"^cell: expected one of {', '.join(cells.CELLS)}, got 'elman'$"):
        next(parity("elman"))
    with pytest.raises(ValueError, match=r"^dtype: expected one of float64, float32, got 'float16'$"):
        next(parity(dtype="float16"))


def test_a_second_backend_asks_no_oracle_again(monkeypatch):
    needs(keras_layers)
    rows_of([keras_layers], "SimpleRNN")
    monkeypatch.setattr(keras_layers, "solve", None)
    monkeypatch.setattr(backends, "BACKENDS", ("reference", "second"))
    monkeypatch.setattr(backends, "load", lambda name: backends.reference)
    rows = rows_of([keras_layers], "SimpleRNN", backend="second")
    assert len(rows) == 2 * len(SITUATIONS)
    assert all(r.status == "pass" for r in rows), shown(rows)


def test_oracles_are_given_the_same_numbers_in_the_other_dtype():
    p = problem(CELLS["LSTM"], "scale per gate, any mask", "float32")
    wide = table.cast(p, "float64")
    assert wide.options["mask"].dtype == bool
    for narrow, same in ((p.x, wide.x), (p.options["h_scale"], wide.options["h_scale"]), (p.dstate[1], wide.dstate[1])):
        assert same.dtype == np.float64
        np.testing.assert_array_equal(same, narrow)  # x is NaN at masked steps in both
