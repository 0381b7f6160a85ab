"""check_function on numbers that are hard to compare: parts that are not analytic, values from 1e-300 to 1e300, overflow."""

import numpy as np
import pytest

from rnn_from_scratch.verify import assert_gradients, check_function

PARTS = {  # not analytic where complex numbers can go: f, its gradient
    "abs": (lambda W: np.abs(W).sum(), np.sign),
    "max": (lambda W: np.maximum(W.real, 0.1).sum(), lambda W: (W > 0.1) * 1.0),
    "where": (lambda W: np.where(W.real > 0, 2 * W.real, W.real).sum(), lambda W: np.where(W > 0, 2.0, 1.0)),
    "norm": (lambda W: np.sqrt((np.abs(W) ** 2).sum()), lambda W: W / np.sqrt((W * W).sum())),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("share", [1e-2, 1e-5, 1e-6, 1e-7, 1e-9, 1e-11])
def test_a_small_part_that_is_not_analytic(part, share):
    f, g = PARTS[part]
    for shape in ((3, 6), (5, 2)):
        for seed in range(6):
            rng = np.random.default_rng(seed)
            x, W = rng.standard_normal((4, shape[0])), rng.standard_normal(shape)

            def forward(x, W):
                return (np.tanh(x @ W) ** 2).sum() + share * f(W)

            def backward(x, W, d, keep=1.0):
                y = np.tanh(x @ W)
                da = 2 * d * y * (1 - y * y)
                return da @ W.T, x.T @ da + keep * d * share * g(W)

            report = check_function(forward, backward, [x, W], seed=seed)
            assert report.verdict == "right", report
            if share >= 1e-5:
                report = check_function(forward, lambda *a: backward(*a, keep=0.0), [x, W], seed=seed)
                assert report.verdict == "wrong", report
                assert report.culprit.array == "W"


SCALES = [1e-300, 1e-200, 1e-30, 1e30, 1e150, 1e200, 1e300]
SLOPES = [(1.0, "right"), (1.001, "wrong"), (-1.0, "wrong"), (0.0, "wrong"), (2.0, "wrong")]  # ours / the true one


@pytest.mark.parametrize("method", ["auto", "central"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("slope", "verdict"), SLOPES)
def test_large_and_small_outputs(scale, method, slope, verdict):
    def backward(x, dy):
        return slope * scale * dy * (1 - np.tanh(x) ** 2)

    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((3, 4))
        report = check_function(lambda x: np.tanh(x) * scale, backward, [x], seed=seed, method=method)
        assert report.verdict == verdict, report


@pytest.mark.parametrize("method", ["auto", "central"])
@pytest.mark.parametrize("scale", [1e30, 1e200, 1e300])
@pytest.mark.parametrize(("slope", "verdict"), SLOPES)
def test_large_inputs(scale, method, slope, verdict):
    def backward(x, dy):
        return slope * dy * (1 - np.tanh(x / scale) ** 2) / scale

    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((3, 4)) * scale
        report = check_function(lambda x: np.tanh(x / scale), backward, [x], seed=seed, method=method)
        assert report.verdict == verdict, report


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("slope", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("directions", [8, "full"])
@pytest.mark.parametrize(
    "forward",
    [
        lambda x: x * 1e308,
        lambda x: np.exp(x * 400.0),
        lambda x: np.where(x > 0, np.inf, x),
        lambda x: x * np.nan,
        lambda x: (x * 1e250) * 1e60,
    ],
    ids=["slopes", "exp", "inf", "nan", "values"],
)
def test_what_overflows_is_undecided(forward, slope, directions):
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(3, 5, (4, 30 if directions == 8 else 3))
        report = check_function(forward, lambda x, dy: np.full(x.shape, slope), [x], seed=seed, directions=directions)
        assert report.verdict == "undecided", report
        with pytest.raises(AssertionError, match="UNDECIDED"):
            assert_gradients(forward, lambda x, dy: np.full(x.shape, slope), [x], seed=seed, directions=directions)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("slope", [1.0, -1.0, 0.0])
def test_slopes_that_overflow_are_undecided(slope):
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(1e-9, 2e-9, 5)
        report = check_function(lambda x: (x * 1e200) * 1e117, lambda x, dy: np.full(x.shape, slope), [x], seed=seed)
        assert report.verdict == "undecided", report
