"""The product of options, beside tf.keras: every pair of arguments, and combinations that hypothesis picks."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_from_scratch import layers
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import MASK, B, H, I, T, fill, float32_budget, random, results, worst
from .test_layers_arguments import CASES, OTHER_VALUES, TWINS

pytestmark = pytest.mark.check
CALLS = {"mask": MASK, "zero_output_for_mask": True, "training": False}  # more options: two of the call, one that Keras hides

SIZE, TIMES = 6, 2  # arguments that are given together; how often every pair of them is, each time among others


def together(arguments):
    """Sets of SIZE arguments, such that every two are in at least TIMES of them: a greedy cover."""
    count, found = {frozenset(two): 0 for two in itertools.combinations(arguments, 2)}, []
    while min(count.values()) < TIMES:
        chosen = set(min(count, key=lambda two: (count[two], sorted(two))))
        while len(chosen) < SIZE:
            gain = {one: sum(count[frozenset((one, other))] < TIMES for other in chosen) for one in arguments if one not in chosen}
            chosen.add(max(gain, key=lambda one: (gain[one], (len(found) * arguments.index(one)) % 29)))
        for two in itertools.combinations(chosen, 2):
            count[frozenset(two)] += 1
        found.append(tuple(sorted(chosen)))
    return found


GIVEN = {name: [argument for case, argument in CASES if case == name and argument in OTHER_VALUES] + list(CALLS) for name in TWINS}
ROWS = [(name, chosen) for name, arguments in GIVEN.items() for chosen in together(arguments)]


def made(cls, dtype, options):
    layer = cls(H, **{"dtype": dtype, "seed": 3, **options})
    layer.build((B, T, I))
    return fill(layer)


def outcome(cls, dtype, chosen):
    options = {name: OTHER_VALUES[name] if name in OTHER_VALUES else CALLS[name] for name in chosen}
    masked = "mask" in options or "zero_output_for_mask" in options  # which means nothing without one
    call = {"training": options.pop("training", True), "mask": MASK if masked else None}
    options.pop("mask", None)
    layer = made(cls, dtype, options)
    return {**results(layer, random(B, T, I), **call), "losses": np.asarray([float(v) for v in layer.losses])}


@pytest.mark.parametrize(("name", "chosen"), ROWS, ids=lambda given: given if isinstance(given, str) else "-".join(given))
def test_every_pair_of_arguments_among_others(name, chosen):
    """In float64 as tf.keras; in float32 within its own error."""
    exact, own = (outcome(TWINS[name], dtype, chosen) for dtype in ("float64", "float32"))
    assert worst(outcome(getattr(layers, name), "float64", chosen), exact) <= 1e-12
    found = outcome(getattr(layers, name), "float32", chosen)
    assert found.keys() == exact.keys()
    for array, budget in float32_budget(own, exact).items():
        assert error(found[array], exact[array]) <= budget, array


@st.composite
def cases(draw):
    name = draw(st.sampled_from(list(TWINS)))
    options = {
        "activation": draw(st.sampled_from(["tanh", "relu", "sigmoid", "linear", "hard_sigmoid", None])),
        "use_bias": draw(st.booleans()),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "zero_output_for_mask": draw(st.booleans()),
        "dropout": draw(st.sampled_from([0.0, 0.4])),
        "recurrent_dropout": draw(st.sampled_from([0.0, 0.3])),
        "kernel_regularizer": draw(st.sampled_from([None, "l1"])),
        "seed": draw(st.integers(0, 99)),
    }
    if name != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(["sigmoid", "hard_sigmoid"]))
    if name == "GRU":
        options["reset_after"] = draw(st.booleans())
    sizes = tuple(draw(st.integers(1, most)) for most in (4, 6, 3, 5))
    mask = draw(st.none() | st.lists(st.booleans(), min_size=sizes[0] * sizes[1], max_size=sizes[0] * sizes[1]))
    return name, options, sizes, mask, draw(st.booleans()), draw(st.booleans())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(cases())
def test_picked_combinations(case):
    name, options, (batch, steps, inputs, units), mask, given_states, training = case
    found = []
    for cls in (getattr(layers, name), TWINS[name]):
        layer = cls(units, dtype="float64", **options)
        layer.build((batch, steps, inputs))
        fill(layer)
        states = [tf.constant(random(batch, units, seed=4 + i)) for i in range(len(layer.state_size))] if given_states else None
        live = None if mask is None else np.reshape(mask, (batch, steps))
        found.append(run(layer, random(batch, steps, inputs), states, live, training))
    ours, theirs = found
    assert worst(ours, theirs) <= 1e-12


def run(layer, x, states, mask, training):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch([x, *(states or [])])
        outputs = layer(x, initial_state=states, mask=mask, training=training)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        loss = tf.add_n([tf.reduce_sum(tf.sin(3 * o)) for o in outputs] + layer.losses)
    sources = [x, *(states or []), *layer.trainable_weights]
    arrays = [*outputs, *tape.gradient(loss, sources, unconnected_gradients="zero")]
    return {str(i): keras.ops.convert_to_numpy(a) for i, a in enumerate(arrays)}
