"""The product of options, beside tf.keras: every pair of arguments, and combinations that hypothesis picks."""

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

ARGUMENTS = [case for case in CASES if case[1] not in ("units", "kwargs")]


def made(cls, dtype, options):
    layer = cls(H, **{"dtype": dtype, "seed": 3, **options})
    layer.build((B, T, I))
    return fill(layer)


def outcome(cls, dtype, chosen):
    options = {name: OTHER_VALUES[name] if name in OTHER_VALUES else CALLS[name] for name in chosen}
    call = {"training": options.pop("training", True), "mask": options.pop("mask", None)}
    layer = made(cls, dtype, options)
    return {**results(layer, random(B, T, I), **call), "losses": np.asarray([float(v) for v in layer.losses])}


@pytest.mark.parametrize(("name", "first"), ARGUMENTS)
def test_every_pair_of_arguments(name, first):
    arguments = [argument for case, argument in CASES if case == name and argument in OTHER_VALUES] + list(CALLS)
    for second in arguments[arguments.index(first) + 1 :]:
        chosen, ours, theirs = (first, second), getattr(layers, name), TWINS[name]
        assert worst(outcome(ours, "float64", chosen), outcome(theirs, "float64", chosen)) <= 1e-12, chosen


@pytest.mark.parametrize(("name", "first"), ARGUMENTS)
def test_float32_budget_of_every_argument(name, first):
    for chosen in ((first,), (first, "mask")):
        exact, own = (outcome(TWINS[name], dtype, chosen) for dtype in ("float64", "float32"))
        found = outcome(getattr(layers, name), "float32", chosen)
        assert found.keys() == exact.keys()
        for array, budget in float32_budget(own, exact).items():
            assert error(found[array], exact[array]) <= budget, (chosen, array)


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
