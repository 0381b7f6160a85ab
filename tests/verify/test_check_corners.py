"""check_function where values sit on a corner: blank rows and zero biases, the normal start of a relu network."""

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradients, check_function

SHAPES = [(4, 3, 4), (32, 5, 8), (7, 2, 1)]  # rows, inputs, units


def relu_layer(rows, inputs, units, seed, slope_at_0=0.0, shift=0.0):
    """relu(X W + b) with half of the rows blank and b = shift; slope_at_0: which slope backward gives at the corner."""
    rng = np.random.default_rng(seed)
    X, W, b = rng.standard_normal((rows, inputs)), rng.standard_normal((inputs, units)), np.full(units, shift)
    X[rows // 2 :] = 0

    def backward(X, W, b, dy):
        a = X @ W + b
        d = dy * np.where(a == 0, slope_at_0, a > 0)
        return d @ W.T, X.T @ d, d.sum(0)

    return lambda X, W, b: np.maximum(X @ W + b, 0), backward, [X, W, b]


def planted(backward, plant):
    def wrong(*arguments):
        *rest, db = backward(*arguments)
        return (*rest, plant(db))

    return wrong


PLANTS = {
    "negated": lambda g: -g,
    "doubled": lambda g: 2 * g,
    "zero": lambda g: 0 * g,
    "None": lambda g: None,
    "0.1 %": lambda g: 1.001 * g,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("directions", [8, "full"])
@pytest.mark.parametrize("plant", PLANTS)
def test_no_wrong_gradient_of_a_bias_hides_behind_blank_rows(shape, plant, seed, directions):
    if directions == "full" and shape == (32, 5, 8):
        shape = (8, 5, 3)
    for shift in (0.0, 1e-3):  # the oracle: off the corner all are caught
        forward, backward, inputs = relu_layer(*shape, seed, shift=shift)
        report = check_function(forward, planted(backward, PLANTS[plant]), inputs, seed=seed, directions=directions)
        assert report.verdict == "wrong", report
        assert {part.array for part in report.parts if part.wrong} == {"b"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("directions", [8, "full"])
def test_each_convention_at_a_corner_is_right(shape, slope, seed, directions):
    if directions == "full" and shape == (32, 5, 8):
        shape = (8, 5, 3)
    forward, backward, inputs = relu_layer(*shape, seed, slope)
    report = check_function(forward, backward, inputs, seed=seed, directions=directions)
    assert report.verdict == "right", report


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("directions", [8, "full"])
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_several_corners_in_one_output(seed, directions, slope):
    """A head on a relu layer: 0 at every corner is between no two sides along a single direction."""
    forward, backward, inputs = relu_layer(6, 3, 5, seed, slope)
    V = np.random.default_rng(seed + 100).standard_normal((5, 2))
    report = check_function(lambda *a: forward(*a) @ V, lambda *a: backward(*a[:3], a[3] @ V.T), inputs, seed=seed, directions=directions)
    assert report.verdict == "right", report


@pytest.mark.parametrize("directions", [8, "full"])
@pytest.mark.parametrize("slope", [5.0, -1.0, 1.01])
def test_a_slope_outside_of_a_corner_is_not_right(directions, slope):
    forward, backward, inputs = relu_layer(4, 3, 4, 0, slope)
    report = check_function(forward, backward, inputs, directions=directions)
    assert report.verdict == "undecided", report
    assert "not between those on the sides of the corner" in str(report)


@pytest.mark.parametrize("directions", [8, "full"])
def test_a_function_that_refuses_to_be_moved_is_undecided(directions):
    def backward(x, dy):
        if x[1] != 0:
            raise RuntimeError("x[1] has to be 0")
        return dy * np.sign(x)

    x = np.array([1.0, 0.0, 2.0])
    report = check_function(
        lambda x: np.abs(x) + np.maximum(x, 0), lambda x, dy: backward(x, dy) + dy * (x > 0), [x], directions=directions
    )
    assert report.verdict == "undecided", report
    assert "inputs moved off it fail with RuntimeError: x[1] has to be 0" in str(report)
    with pytest.raises(AssertionError, match="gradients are UNDECIDED"):
        assert_gradients(lambda x: np.maximum(x, 0), lambda x, dy: backward(x, dy), [x], directions=directions)
