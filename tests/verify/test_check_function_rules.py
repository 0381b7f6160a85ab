"""check_function on functions that break the rules, on large and odd inputs, and on wrong use."""

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradcheck, check_function

from ..helpers import hand_written as lstm


def square(x, w):
    return x * x * w


def square_backward(x, w, dy):
    return 2 * x * w * dy, x * x * dy


def in_place_forward(x, w):
    x *= 2
    return x * w


def in_place_backward(x, w, dy):
    dy *= 2
    return x * w * dy, x * x * dy / 2


def reshaped_backward(x, w, dy):
    dy.shape = (3, 1)
    return square_backward(x, w, dy[:, 0])


class Counter:
    """A function that gives another answer at every call."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        found = self.function(*arguments)
        return tuple(g * (1 + 1e-15 * self.calls) for g in found) if isinstance(found, tuple) else found * (1 + 1e-15 * self.calls)


def with_nan(x, w, dy):
    dx, dw = square_backward(x, w, dy)
    dx[1] = np.nan
    return dx, dw


# forward, backward, the kind of finding, a part of its text
CONTRACT = [
    (in_place_forward, lambda x, w, dy: (2 * w * dy, 2 * x * dy), "in place", "forward_fn changes its argument x in place, at [0]"),
    (square, in_place_backward, "in place", "backward_fn changes its argument upstream 0 in place"),
    (square, reshaped_backward, "in place", "backward_fn changes the shape of its argument upstream 0 in place, from [3]"),
    (Counter(square), square_backward, "not deterministic", "forward_fn: two calls with the same arguments give a different output 0"),
    (square, Counter(square_backward), "not deterministic", "backward_fn: two calls with the same arguments give a different gradient 0"),
    (square, lambda *a: square_backward(*a)[:1], "count", "backward_fn gives 1 gradients for 2 inputs"),
    (square, lambda *a: (square_backward(*a)[0][:2], square_backward(*a)[1]), "shape", "gradient of x: expected [3], got [2]"),
    (square, lambda *a: (square_backward(*a)[0].astype("f4"), square_backward(*a)[1]), "dtype", "gradient of x: expected float64"),
    (square, lambda *a: (None, square_backward(*a)[1]), "missing", "gradient of x is None, but the outputs depend on it"),
    (square, with_nan, "nan", "gradient of x is not finite at [1]"),
    (lambda x, w: square(x, w) / [1, 1, 0], square_backward, "nan", "output 0 of forward_fn is not finite at [2]"),
]


@pytest.mark.parametrize(("forward", "backward", "kind", "text"), CONTRACT, ids=[f"{m[2]}: {m[3][:40]}" for m in CONTRACT])
@pytest.mark.filterwarnings("ignore:divide by zero")  # one row makes an infinity on purpose
def test_what_is_no_matter_of_digits(forward, backward, kind, text):
    report = check_function(forward, backward, [np.array([0.5, -1.5, 0.7]), np.array([2.0, 3.0, 4.0])])
    assert not report.ok
    assert kind in [finding.kind for finding in report.findings]
    assert text in str(report)


def test_nan_is_located():
    report = check_function(square, with_nan, [np.array([0.5, -1.5, 0.7]), np.ones(3)])
    assert report.culprit.place == (1,)


def test_none_is_right_where_nothing_depends_and_integers_are_left_alone():
    def forward(x, unused, index):
        return x[index] * 2.0

    def backward(x, unused, index, dy):
        dx = np.zeros_like(x)
        np.add.at(dx, index, 2 * dy)
        return dx, None, None

    report = check_function(forward, backward, [np.arange(3.0), np.ones(2), np.array([0, 2, 2])])
    assert report.ok, report
    assert {part.array for part in report.parts} == {"x", "unused"}
    report = check_function(forward, lambda *a: (backward(*a)[0], np.full(2, 1e-9), None), [np.arange(3.0), np.ones(2), np.array([0, 2])])
    assert not report.ok
    assert report.culprit.array == "unused"


@pytest.mark.parametrize("method", ["complex", "central"])
def test_a_small_error_in_a_large_array_and_a_zero_dimensional_input(method):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((80, 120)) / 9

    def forward(x, W, scale):
        return np.tanh(x @ W) * scale

    def backward(x, W, scale, dy):
        y = np.tanh(x @ W)
        d = dy * scale * (1 - y * y)
        dW = x.T @ d
        dW[17, 100] += WRONG
        return d @ W.T, dW, np.asarray(np.sum(dy * y))

    WRONG = 0.0
    inputs = [rng.standard_normal((4, 80)), W, np.array(1.5)]
    assert check_function(forward, backward, inputs, method=method).ok
    WRONG = 1e-2
    report = check_function(forward, backward, inputs, method=method)
    assert not report.ok
    assert report.culprit.place == (17, 100), report


def test_several_outputs_and_time_on_another_axis():
    def forward(x, Wx, Wh, b):  # x [T,B,I] -> y [T,B,H], last h
        y = lstm.forward(x.transpose(1, 0, 2), Wx, Wh, b)
        return y.transpose(1, 0, 2), y[:, -1]

    def backward(x, Wx, Wh, b, dy, dh):
        dy = dy.transpose(1, 0, 2).copy()
        dy[:, -1] += dh
        dx, *rest = lstm.wrong_backward(x.transpose(1, 0, 2), Wx, Wh, b, dy)
        return dx.transpose(1, 0, 2), *rest

    x, *weights = lstm.inputs()
    report = check_function(forward, backward, [x.transpose(1, 0, 2), *weights], blocks=lstm.BLOCKS, time_axis={"x": -3})
    assert report.birth.step == lstm.STEP, report
    assert report.culprit.block == "g"
    assert (report.map_of_errors()[: lstm.STEP] < 1e-12).all()


def test_blocks_along_the_first_axis():
    W = np.random.default_rng(0).standard_normal((6, 3))
    wrong = np.repeat([1, 1.001, 1], 2)[:, None]
    report = check_function(
        lambda x, W: np.tanh(W @ x), lambda x, W, dy: (W.T @ (dy * (1 - np.tanh(W @ x) ** 2)),
        wrong * np.outer(dy * (1 - np.tanh(W @ x) ** 2), x)), [np.ones(3), W], blocks={"W": (("z", "r", "n"), 0)},
    )  # fmt: skip
    assert (report.culprit.block, {p.block for p in report.parts if not p.ok}) == ("r", {"r"})


def test_a_function_that_insists_on_its_number_of_steps():
    def forward(x, Wx, Wh, b):
        if x.shape[1] != 4:
            raise RuntimeError("four steps, please")
        return lstm.forward(x, Wx, Wh, b)

    report = check_function(forward, lstm.wrong_backward, lstm.inputs(), blocks=lstm.BLOCKS, time_axis=1)
    assert report.birth is None
    assert "no step of birth: fewer steps of the same inputs fail with RuntimeError: four steps, please" in str(report)


# wrong use: options, the message
USES = [
    ({"names": ["a"]}, "names: expected 2 different names, one for each input, got ['a']"),
    ({"blocks": {"y": "ab"}}, "blocks: expected names of inputs (x, w), got 'y'"),
    ({"blocks": {"x": ("a", "b")}}, "blocks: expected axis -1 of x to divide into 2 parts, got shape [3]"),
    ({"time_axis": 1}, "time_axis: expected an axis of x, of shape [3], got 1"),
    ({"time_axis": {"t": 0}}, "time_axis: expected names of inputs (x, w), got 't'"),
    ({"method": "magic"}, "method: expected auto, complex or central, got 'magic'"),
    ({"directions": 0}, 'directions: expected an integer of at least 1 or "full", got 0'),
]


@pytest.mark.parametrize(("options", "message"), USES, ids=[m[:40] for _, m in USES])
def test_wrong_use(options, message):
    with pytest.raises(ValueError) as caught:
        check_function(square, square_backward, [np.ones(3), np.ones(3)], **options)
    assert str(caught.value) == message


def test_wrong_inputs():
    with pytest.raises(TypeError, match="expected arrays of real numbers, got object for w"):
        check_function(square, square_backward, [np.ones(3), None])
    with pytest.raises(TypeError, match="there is nothing to differentiate by"):
        check_function(square, square_backward, [np.ones(3, int), np.ones(0)])
    with pytest.raises(TypeError, match="expected floating outputs, got int64 for output 0"):
        check_function(lambda x: (x > 0).astype(int), lambda x, dy: x, [np.ones(3)])


def test_names_come_from_the_function_or_are_numbers():
    assert check_function(square, square_backward, [np.ones(3), np.ones(3)]).names == ("x", "w")
    report = check_function(lambda *a: square(*a), square_backward, [np.ones(3), np.ones(3)])
    assert report.names == ("input 0", "input 1")
    assert check_function(np.tanh, lambda x, dy: dy / np.cosh(x) ** 2, [np.ones(3)], names=["a"]).names == ("a",)


def test_assert_gradcheck_reads_well():
    from rnn_from_scratch import cells

    class Wrong(cells.LSTM):
        def backward(self, k, d, saved, s_prev, s, p):
            (dai, daf, dag, dao), _, ds_prev, dp = super().backward(k, d, saved, s_prev, s, p)
            return (dai, -daf, dag, dao), (dai, -daf, dag, dao), ds_prev, dp

    assert_gradcheck(cells.LSTM())
    with pytest.raises(AssertionError, match=r"gradcheck of Wrong on .*: WRONG\n  culprit: parameter b, gate f, unit"):
        assert_gradcheck(Wrong())
