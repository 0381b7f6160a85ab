"""check_function on plain functions: what is right passes, what is wrong is named, and so is all that is no matter of digits."""

import json

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradcheck, assert_gradients, check_function

from . import hand_written as lstm

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
MANNERS = [
    (in_place_forward, lambda x, w, dy: (2 * w * dy, 2 * x * dy), "in place", "forward_fn changes its argument x in place, at [0]"),
    (square, in_place_backward, "in place", "backward_fn changes its argument upstream 0 in place"),
    (Counter(square), square_backward, "not deterministic", "forward_fn: two calls with the same arguments give a different output 0"),
    (square, Counter(square_backward), "not deterministic", "backward_fn: two calls with the same arguments give a different gradient 0"),
    (square, lambda *a: square_backward(*a)[:1], "count", "backward_fn gives 1 gradients for 2 inputs"),
    (square, lambda *a: (square_backward(*a)[0][:2], square_backward(*a)[1]), "shape", "gradient of x: expected [3], got [2]"),
    (square, lambda *a: (square_backward(*a)[0].astype("f4"), square_backward(*a)[1]), "dtype", "gradient of x: expected float64"),
    (square, lambda *a: (None, square_backward(*a)[1]), "missing", "gradient of x is None, but the outputs depend on it"),
    (square, with_nan, "nan", "gradient of x is not finite at [1]"),
    (lambda x, w: square(x, w) / [1, 1, 0], square_backward, "nan", "output 0 of forward_fn is not finite at [2]"),
]


@pytest.mark.parametrize(("forward", "backward", "kind", "text"), MANNERS, ids=[f"{m[2]}: {m[3][:40]}" for m in MANNERS])
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
