"""What torch, TensorFlow and JAX give at a corner is right with random directions and with every element alike, and a sign is not.

Half of the rows are blank, so that their values sit exactly on the corner: relu and abs at 0, ties of max, the ends of hard_sigmoid
and clip. The frameworks differ there: relu'(0) is 0, that of maximum(a, 0) 0, 1/2 or 1; a tie goes to one or is shared.
"""

from itertools import product

import numpy as np
import pytest

from rnn_from_scratch.verify import check_function, of_jax, of_tensorflow, of_torch

from ..helpers.sample import drawn

CORNERS = {
    "relu": 0.0,
    "maximum": 0.0,
    "abs": 0.0,
    "max": 0.0,
    "hard_sigmoid": 3.0,
    "hard_sigmoid, below": -3.0,
    "clip": 1.0,
    "clip, below": -1.0,
}


def of_framework(name):
    """of_...(function, *inputs), and its function of each name."""
    if name == "torch":
        torch = pytest.importorskip("torch", reason="needs torch")
        found = {
            "relu": torch.relu,
            "maximum": lambda a: torch.maximum(a, torch.zeros_like(a)),
            "abs": torch.abs,
            "max": lambda a: torch.max(a, 1).values + torch.amax(a, 1),
            "hard_sigmoid": torch.nn.functional.hardsigmoid,
            "clip": lambda a: torch.clamp(a, -1, 1),
        }
        return of_torch, found
    if name == "TensorFlow":
        tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
        found = {
            "relu": tf.nn.relu,
            "maximum": lambda a: tf.maximum(a, tf.zeros_like(a)),
            "abs": tf.abs,
            "max": lambda a: tf.reduce_max(a, 1),
            "hard_sigmoid": lambda a: tf.nn.relu6(a + 3) / 6,
            "clip": lambda a: tf.clip_by_value(a, -1.0, 1.0),
        }
        return of_tensorflow, found
    jax = pytest.importorskip("jax", reason="needs JAX")
    jax.config.update("jax_enable_x64", True)
    found = {
        "relu": jax.nn.relu,
        "maximum": lambda a: jax.numpy.maximum(a, 0),
        "abs": jax.numpy.abs,
        "max": lambda a: jax.numpy.max(a, 1),
        "hard_sigmoid": jax.nn.hard_sigmoid,
        "clip": lambda a: jax.numpy.clip(a, -1, 1),
    }
    return of_jax, found


FRAMEWORKS = ("torch", "TensorFlow", "JAX")
ONCE = list(product(FRAMEWORKS, CORNERS, [0]))
SHORT = [("torch", "relu", 0), ("torch", "max", 0)]
MORE = drawn(list(product(FRAMEWORKS, CORNERS, [1, 2, 3])), every=18)
CASES = [pytest.param(*case, marks=[pytest.mark.check] * (case not in SHORT)) for case in ONCE + MORE]


@pytest.mark.parametrize(("framework", "corner", "seed"), CASES)
def test_both_ways_of_checking_give_one_verdict(framework, corner, seed):
    of, functions = of_framework(framework)
    function = functions[corner.split(",")[0]]
    draw = np.random.default_rng(seed).standard_normal
    X, W, b = draw((4, 2)), draw((2, 3)), np.full(3, CORNERS[corner])
    X[2:] = 0
    pair = of(lambda X, W, b: function(X @ W + b), X, W, b)

    def negated(*arguments):
        *rest, db = pair.backward_fn(*arguments)
        return *rest, -db

    for directions in (2, "full"):
        report = pair.check(directions=directions, seed=seed)
        assert report.verdict == "right", report
        options = {"names": pair.names, "directions": directions, "seed": seed}
        report = check_function(pair.forward_fn, negated, pair.inputs, **options)
        assert report.verdict == "wrong", report
        assert report.culprit.array == "b"


LONGER = [pytest.param(*pair, marks=pytest.mark.check) for pair in [("torch", 1), ("TensorFlow", 0), ("JAX", 0)]]


@pytest.mark.parametrize(("framework", "seed"), [("torch", 0), *LONGER])
def test_relu_behind_relu(framework, seed):
    """Two layers of relu that are 0 at once, as a recurrent one is at blank rows: along one bias alone the output may stay 0."""
    of, functions = of_framework(framework)
    draw = np.random.default_rng(seed).standard_normal
    X, W, b, V = draw((4, 2)), draw((2, 3)), np.zeros(3), draw((3, 2))
    X[2:] = 0
    for name in ("relu", "maximum"):
        pair = of(lambda X, W, b, V, f=functions[name]: f(f(X @ W + b) @ V), X, W, b, V)
        found = {pair.check(directions=directions, seed=seed).verdict for directions in (2, "full")}
        # a slope of 1/2 at both may lie outside of what there is beside the corner, and then nothing can tell
        assert found in ([{"right"}] if name == "relu" else [{"right"}, {"undecided"}])
