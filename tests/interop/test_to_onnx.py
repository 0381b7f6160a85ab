"""ONNX models in ONNX Runtime against forward: every cell, both directions, initial states, lengths with empty rows."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from rnn_from_scratch import cells, forward
from rnn_from_scratch.interop.to_onnx import OPERATORS, mask_lengths, to_onnx
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS, problem

LENGTHS = np.array([7, 4, 0, 1, 6, 0])
OTHER_CELLS = {
    "LSTM linear, hard_sigmoid": cells.LSTM("linear", "hard_sigmoid"),
    "LSTM hard_sigmoid twice": cells.LSTM("hard_sigmoid", "hard_sigmoid"),
    "PeepholeLSTM sigmoid": cells.PeepholeLSTM("sigmoid"),
    "GRU reset before, linear, hard_sigmoid": cells.GRU(False, "linear", "hard_sigmoid"),
    "SimpleRNN hard_sigmoid": cells.SimpleRNN("hard_sigmoid"),
}
ALL_CELLS = {**CELLS, **OTHER_CELLS}


def compare(model, cell, params, x, states=None, lengths=None, **options):
    """Runs the model and forward on the same data; the worst error of y and the final states."""
    feeds = {"x": x}
    if lengths is not None:
        feeds["lengths"] = lengths
    if states is not None:
        feeds.update({f"initial_{name}": s for name, s in zip(cell.states, states)})
    y, *final = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
    ours, state, _ = forward(cell, params, x, states, lengths=lengths, save=False, **options)
    assert y.dtype == np.float32
    return max(error(a, b) for a, b in zip((y, *final), (ours, *state), strict=True))


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("name", ALL_CELLS)
def test_every_cell_with_lengths_and_initial_states(name, go_backwards):
    p = problem(ALL_CELLS[name], dtype="float32")
    x, states = p.x.copy(), p.options["initial_state"]
    x[np.arange(7) >= LENGTHS[:, None]] = np.nan  # what lies after the end is never seen
    model = to_onnx(p.cell, p.params, masking="lengths", initial_state=True, go_backwards=go_backwards)
    assert compare(model, p.cell, p.params, x, states, LENGTHS, go_backwards=go_backwards) <= 1e-5


@pytest.mark.parametrize("name", ALL_CELLS)
def test_every_cell_with_neither(name):
    p = problem(ALL_CELLS[name], dtype="float32")
    assert compare(to_onnx(p.cell, p.params), p.cell, p.params, p.x) <= 1e-5


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("zero_masked_outputs", [False, True])
@pytest.mark.parametrize("initial_state", [False, True])
@pytest.mark.parametrize("masking", [None, "lengths"])
@pytest.mark.parametrize("cell", [cells.PeepholeLSTM(), cells.GRU(False)], ids=repr)
def test_every_combination_of_options(cell, masking, initial_state, zero_masked_outputs, go_backwards):
    p = problem(cell, dtype="float32")
    flags = {"go_backwards": go_backwards, "zero_masked_outputs": zero_masked_outputs}
    model = to_onnx(cell, p.params, masking=masking, initial_state=initial_state, **flags)
    states, lengths = p.options["initial_state"] if initial_state else None, LENGTHS if masking else None
    assert compare(model, cell, p.params, p.x, states, lengths, **flags) <= 1e-5


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", [cells.forms()[form] for form in OPERATORS], ids=repr)
def test_a_batch_that_is_cut_among_threads(cell, go_backwards):
    p = problem(cell, "lengths", "float32", sizes=(33, 20, 8, 40))
    lengths = mask_lengths(p.options["mask"])
    params = {name: a / 4 for name, a in p.params.items()}
    model = to_onnx(cell, params, masking="lengths", initial_state=True, go_backwards=go_backwards)
    assert compare(model, cell, params, p.x, p.options["initial_state"], lengths, go_backwards=go_backwards) <= 1e-5


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRU(), cells.SimpleRNN()], ids=repr)
def test_batch_and_time_are_dynamic(cell):
    p = problem(cell, dtype="float32")
    model = to_onnx(cell, p.params, masking="lengths")
    for B, T in ((1, 1), (2, 11), (9, 3)):
        x = np.random.default_rng(B).standard_normal((B, T, 3)).astype("float32")
        assert compare(model, cell, p.params, x, None, np.arange(B) % (T + 1)) <= 1e-5


def test_all_rows_empty():
    p = problem(cells.LSTM(), dtype="float32")
    model = to_onnx(p.cell, p.params, masking="lengths", initial_state=True)
    assert compare(model, p.cell, p.params, p.x, p.options["initial_state"], np.zeros(6, int)) == 0


def test_the_file_is_read_back(tmp_path):
    p = problem(cells.GRU(), dtype="float32")
    onnx.save(to_onnx(p.cell, p.params), tmp_path / "gru.onnx")
    y, h = onnxruntime.InferenceSession(str(tmp_path / "gru.onnx")).run(["y", "h"], {"x": p.x})
    assert error(y, forward(p.cell, p.params, p.x)[0]) <= 1e-5
    assert np.array_equal(y[:, -1], h)


def test_mask_lengths():
    mask = np.arange(7) < LENGTHS[:, None]
    assert np.array_equal(mask_lengths(mask), LENGTHS)
    gap, late = mask.copy(), mask.copy()
    gap[4, 2] = late[1, 0] = False
    with pytest.raises(ValueError, match="got a gap or a late start in row 4"):
        mask_lengths(gap)
    with pytest.raises(ValueError, match="got a gap or a late start in row 1"):
        mask_lengths(late)
    with pytest.raises(ValueError, match=r"mask: expected \[B, T\] bool, got \[6, 7\] int64"):
        mask_lengths(mask.astype(int))


def test_errors_say_what_to_do(monkeypatch):
    p = problem(cells.LSTM(), dtype="float32")
    with pytest.raises(ValueError, match="a mask with gaps or with masked steps at the start cannot be exported"):
        to_onnx(p.cell, p.params, masking="mask")
    with pytest.raises(TypeError, match="params: expected float32, which is all that ONNX Runtime computes in, got float64"):
        to_onnx(p.cell, {name: a.astype("float64") for name, a in p.params.items()})
    with pytest.raises(ValueError, match="params: expected exactly Wx, Wh, b for LSTM; missing b"):
        to_onnx(p.cell, {"Wx": p.params["Wx"], "Wh": p.params["Wh"]})

    class Mine(cells.LSTM):
        pass

    with pytest.raises(ValueError, match="framework: ONNX has no Mine"):
        to_onnx(Mine(), p.params)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match="to_onnx needs onnx: pip install onnx"):
        to_onnx(p.cell, p.params)
