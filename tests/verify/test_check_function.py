"""check_function on plain functions: what is right passes, what is wrong is named, and so is all that is no matter of digits."""

import json

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradients, check_function

from ..helpers import hand_written as lstm

METHODS = [("complex", 1e-12), ("central", 1e-7)]


@pytest.mark.parametrize(("method", "tol"), METHODS)
@pytest.mark.parametrize(("directions", "seed"), [(8, 0), (8, 1), ("full", 0)])
def test_a_right_gradient_passes(method, tol, directions, seed):
    report = check_function(
        lstm.forward, lstm.backward, lstm.inputs(), method=method, tol=tol, directions=directions, seed=seed, blocks=lstm.BLOCKS
    )
    assert report.ok, report
    assert report.method == method
    assert report.culprit is None
    assert {part.array for part in report.parts} == {"x", "Wx", "Wh", "b"}
    assert {part.block for part in report.parts if part.array == "Wh"} == set(lstm.GATES)
    assert all(part.floor < tol for part in report.parts)
    assert "right" in str(report)


@pytest.mark.parametrize(("method", "tol"), METHODS)
@pytest.mark.parametrize("directions", [1, 8, "full"])
def test_a_tenth_of_a_percent_in_one_gate_at_one_step_is_named(method, tol, directions):
    options = {"method": method, "tol": tol, "directions": directions, "blocks": lstm.BLOCKS, "time_axis": 1}
    report = check_function(lstm.forward, lstm.wrong_backward, lstm.inputs(), **options)
    assert not report.ok
    assert (report.culprit.array, report.culprit.block) == ("Wx", "g"), report
    assert report.birth.step == lstm.STEP, report
    assert report.birth.suspects[0] == ("Wx", ("g",)), report
    text = str(report)
    assert "culprit: Wx, block g, unit" in text
    assert "born at step t = 2: right on the first 2 steps of x, wrong on the first 3" in text
    with pytest.raises(AssertionError, match="culprit: Wx, block g"):
        assert_gradients(lstm.forward, lstm.wrong_backward, lstm.inputs(), **options)


def test_the_culprit_element_is_ours_and_expected():
    x, Wx, Wh, b = lstm.inputs()

    def backward(*arguments):
        dx, dWx, dWh, db = lstm.backward(*arguments)
        dWh[2, 4] *= 2
        return dx, dWx, dWh, db

    report = check_function(lstm.forward, backward, [x, Wx, Wh, b], blocks=lstm.BLOCKS, time_axis=1)
    culprit = report.culprit
    assert (culprit.array, culprit.block, culprit.unit, culprit.place) == ("Wh", "f", 1, (2, 4)), report
    assert culprit.ours == pytest.approx(2 * culprit.expected, rel=1e-12)
    assert [part.array for part in report.parts if not part.ok] == ["Wh"]
    assert report.birth.step == 1  # in the first step h_prev is zero


def test_as_dict_is_json_and_the_figure_shows_the_step():
    report = check_function(lstm.forward, lstm.wrong_backward, lstm.inputs(), blocks=lstm.BLOCKS, time_axis=1)
    found = json.loads(json.dumps(report.as_dict()))
    assert found["ok"] is False
    assert found["culprit"]["block"] == "g"
    assert found["birth"]["step"] == lstm.STEP
    errors = report.map_of_errors()
    assert errors.shape == (4, 3)
    assert (errors[: lstm.STEP] < 1e-12).all()
    assert (errors[lstm.STEP :] > 1e-9).all()
    figure = report.figure()
    assert figure.axes[0].get_xlabel() == "unit"
    figure.savefig("/dev/null", format="png")
    with pytest.raises(ValueError, match="needs time_axis"):
        check_function(lstm.forward, lstm.backward, lstm.inputs()).figure()


def test_float32_is_held_against_float64():
    report = check_function(lstm.forward, lstm.backward, lstm.inputs("float32"), blocks=lstm.BLOCKS)
    assert report.ok, report
    assert report.method == "complex"
    assert 1e-9 < report.worst.error < 1e-6
    assert "the truth is forward_fn in float64" in str(report)
    report = check_function(lstm.forward, lstm.wrong_backward, lstm.inputs("float32"), blocks=lstm.BLOCKS, time_axis=1)
    assert not report.ok
    assert report.culprit.block == "g"


def test_float32_that_refuses_float64_knows_its_floor():
    def forward(x):
        return np.tanh(x.astype("float32"))

    report = check_function(forward, lambda x, dy: dy * (1 - np.tanh(x) ** 2), [np.linspace(-1, 1, 7, dtype="float32")])
    assert report.ok, report
    assert report.worst.allowed > 2e-5
    assert "check in float64 to see more" in str(report)
    report = check_function(forward, lambda x, dy: dy * (1 - np.tanh(x) ** 2) * 1.1, [np.linspace(-1, 1, 7, dtype="float32")])
    assert not report.ok


# a corner: relu at 0. Any slope from 0 to 1 is right there, none outside, and elsewhere only the slope is
CORNERS = [(0.0, True), (1.0, True), (0.3, True), (1.001, False), (-0.001, False)]


@pytest.mark.parametrize(("slope", "right"), CORNERS)
@pytest.mark.parametrize("directions", [8, "full"])
def test_a_corner_is_seen_and_forgives_what_lies_between(slope, right, directions):
    x = np.array([-1.0, 0.0, 2.0])
    report = check_function(lambda x: np.maximum(x, 0), lambda x, dy: dy * np.where(x == 0, slope, x > 0), [x], directions=directions)
    assert report.ok == right, report
    assert "corner here (relu at 0?) along x" in str(report)


def test_a_corner_forgives_nothing_elsewhere():
    x = np.array([-1.0, 0.0, 2.0])
    report = check_function(lambda x: np.maximum(x, 0), lambda x, dy: dy * np.where(x == 2, 1.001, x > 0), [x], directions="full")
    assert not report.ok
    assert report.culprit.place == (2,)


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 3e-7])
def test_a_corner_close_by_is_no_corner(gap):
    x = np.array([-gap, gap, 1.0])
    report = check_function(lambda x: np.maximum(x, 0) ** 2 + np.maximum(x, 0), lambda x, dy: dy * (x > 0) * (2 * x + 1), [x])
    assert report.ok, report


@pytest.mark.parametrize("function", [np.abs, lambda x: x.real * x, lambda x: np.maximum(x, 0.3), lambda x: np.sqrt(x * x.conj())])
def test_what_is_not_analytic_is_not_given_to_complex_step(function):
    x = np.array([0.5, -1.5, 0.7])
    slope = np.array([(function(a + 1e-6) - function(a - 1e-6)) / 2e-6 for a in x]).real
    report = check_function(lambda x: function(x).real, lambda x, dy: dy * slope, [x], tol=1e-7)
    assert report.ok, report


def test_complex_by_name_says_why_not():
    with pytest.raises(ValueError, match="method: no complex step here: it disagrees with differences: forward_fn is not analytic"):
        check_function(lambda x: np.abs(x) * (1 + 0 * x), lambda x, dy: dy, [np.ones(3)], method="complex")
    with pytest.raises(ValueError, match="forward_fn refuses complex .TypeError: must be real"):
        check_function(refuses_complex, lambda x, dy: dy, [np.ones(3)], method="complex")


def refuses_complex(x):
    if np.iscomplexobj(x):
        raise TypeError("must be real")
    return x
