"""Converters over drawn cells, sizes, options and values: the way there and back changes no bit, and computes the same."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_from_scratch import cells, forward
from rnn_from_scratch.interop.conventions import LAYOUTS, from_framework, kind, split, to_framework
from rnn_from_scratch.measure import error
from rnn_from_scratch.params import param_shapes

QUICK = settings(deadline=None, derandomize=True, database=None)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1.0, 1e38])


@st.composite
def conversions(draw, special=False):
    """A framework, a cell that it has, parameters of a drawn shape and dtype; `special` puts zeros, infinities and NaN in."""
    framework = draw(st.sampled_from(list(LAYOUTS)))
    layout = LAYOUTS[framework]
    row_kind = draw(st.sampled_from(list(layout.rows)))
    row = layout.rows[row_kind]
    options = {"activation": draw(st.sampled_from(row.activations.split())), "use_bias": draw(st.booleans())}
    if hasattr(cells.forms()[row_kind], "recurrent_activation"):
        options["recurrent_activation"] = draw(st.sampled_from(row.recurrent_activations.split()))
    cell = replace(cells.forms()[row_kind], **options)
    I, H = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    params = {name: rng.standard_normal(shape).astype(dtype) for name, shape in param_shapes(cell, I, H).items()}
    if special:
        with np.errstate(over="ignore"):
            for a in params.values():
                where = rng.random(a.shape) < 0.3
                a[where] = rng.choice(SPECIAL, where.sum())
    assert kind(cell) == row_kind
    return framework, cell, params


def no_arithmetic(framework, cell):
    """Options under which nothing is added or multiplied."""
    slope = {"slope": 1 / 6} if LAYOUTS[framework].slope else {}
    forget = {"forget_bias": 0.0} if LAYOUTS[framework].rows[kind(cell)].forget_bias else {}
    return slope | forget


@settings(QUICK, max_examples=150)
@given(conversions(special=True))
def test_there_and_back_changes_no_bit(drawn):
    framework, cell, params = drawn
    options = no_arithmetic(framework, cell)
    before = {name: a.tobytes() for name, a in params.items()}
    arrays = to_framework(framework, cell, params, **options)
    back = from_framework(framework, cell, arrays, **options)
    assert list(back) == list(params)
    for name, a in back.items():
        assert a.dtype == params[name].dtype
        assert a.tobytes() == params[name].tobytes() == before[name], name
        assert not any(np.shares_memory(a, other) for other in arrays.values())
    again = to_framework(framework, cell, back, **options)
    assert {name: a.tobytes() for name, a in again.items()} == {name: a.tobytes() for name, a in arrays.items()}


@settings(QUICK, max_examples=100)
@given(conversions(), st.floats(-3, 3), st.floats(0.05, 1))
def test_arithmetic_rounds_as_the_table_says(drawn, forget_bias, slope):
    framework, cell, params = drawn
    if cell.activation == "hard_sigmoid" and "c" in cell.states:
        return
    options = {"rescale": True, "slope": slope} if LAYOUTS[framework].slope else {}
    if LAYOUTS[framework].rows[kind(cell)].forget_bias:
        options["forget_bias"] = forget_bias
    back = from_framework(framework, cell, to_framework(framework, cell, params, **options), **options)
    for name, a in params.items():
        size = np.maximum(np.abs(a), abs(options.get("forget_bias", 0)) if name == "b" else 0)
        assert (np.abs(back[name] - a) <= 2 * np.spacing(size.astype(a.dtype))).all(), name


@settings(QUICK, max_examples=60)
@given(conversions(), st.sampled_from(list(LAYOUTS)))
def test_every_road_leads_to_the_same_outputs(drawn, other):
    """framework -> ours -> another framework -> ours: the cell computes the same at the end."""
    framework, cell, params = drawn
    row = LAYOUTS[other].rows.get(kind(cell))
    if row is None or cell.activation not in row.activations or getattr(cell, "recurrent_activation", "sigmoid") == "hard_sigmoid":
        return
    x = np.random.default_rng(0).standard_normal((2, 3, len(params["Wx"]))).astype(params["Wx"].dtype)
    there = params
    for name in (framework, other):
        options = no_arithmetic(name, cell)
        there = from_framework(name, cell, to_framework(name, cell, there, **options), **options)
    assert error(forward(cell, there, x)[0], forward(cell, params, x)[0]) == 0


@settings(QUICK, max_examples=60)
@given(conversions())
def test_each_weight_lands_once(drawn):
    """Every element of every part is a different number: the framework's arrays hold each of ours exactly once."""
    framework, cell, params = drawn
    count = 0
    for a in params.values():
        a[...] = np.arange(count + 1, count + 1 + a.size).reshape(a.shape)
        count += a.size
    arrays = to_framework(framework, cell, params, **no_arithmetic(framework, cell))
    values = np.sort(np.concatenate([a.ravel() for a in arrays.values()]))
    ours = np.sort(np.concatenate([a.ravel() for a in split(cell, params).values()]))
    assert np.array_equal(values[values != 0], ours[ours != 0])
