"""CoupledLSTM: its layer is the cell, and an LSTM whose forget gate is tied to its input gate: 1 - sigma(a) = sigma(-a)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, layers

from ..helpers.layer_pairs import MASK, B, H, I, T, fill, initial_states, random, results, worst

OPTIONS = {"return_sequences": True, "return_state": True, "dtype": "float64"}
GATES = ["dkernel", "drecurrent_kernel", "dbias"]


def coupled(**options):
    layer = layers.CoupledLSTM(H, **{**OPTIONS, **options})
    layer.build((B, T, I))
    return fill(layer)


@pytest.mark.parametrize("mask", [None, MASK], ids=["live", "masked"])
def test_the_layer_is_the_cell(mask):
    layer = coupled()
    found = results(layer, random(B, T, I), mask=mask)
    states = tuple(s.numpy() for s in initial_states(layer))
    params = dict(zip(("Wx", "Wh", "b"), layer.get_weights()))
    y, state, tape = backends.forward(layer.cell.maths, params, random(B, T, I), states, mask=mask)
    grads = backends.backward(tape, random(*y.shape, seed=7), tuple(random(B, H, seed=8 + i) for i in range(2)))
    expected = {"output 0": y, "output 1": state[0], "output 2": state[1], "dx": grads.x}
    expected.update(ds0=grads.initial_state[0], ds1=grads.initial_state[1], **dict(zip(GATES, grads.params.values())))
    assert worst(found, expected) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("recurrent_activation", ["sigmoid", "hard_sigmoid"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["live", "masked"])
def test_it_is_an_lstm_with_tied_gates(mask, recurrent_activation, seed):
    options = {"recurrent_activation": recurrent_activation, "activation": "relu" if seed == 2 else "tanh"}
    ours, theirs = coupled(**options), keras.layers.LSTM(H, **OPTIONS, **options)
    theirs.build((B, T, I))
    fill(ours, seed)

    def four_gates(w):
        i, g, o = np.split(w, 3, axis=-1)
        return np.concatenate([i, -i, g, o], axis=-1)

    def three_gates(dw):
        di, df, dg, do = np.split(dw, 4, axis=-1)
        return np.concatenate([di - df, dg, do], axis=-1)

    theirs.set_weights([four_gates(w) for w in ours.get_weights()])
    expected = results(theirs, random(B, T, I), mask=mask)
    expected.update({name: three_gates(expected[name]) for name in GATES})
    assert worst(results(ours, random(B, T, I), mask=mask), expected) <= 1e-12


def test_the_bias_of_the_input_gate_begins_at_minus_one():
    for options, i in (({}, -1.0), ({"unit_forget_bias": False}, 0.0), ({"bias_initializer": "ones"}, -1.0)):
        bias = coupled_bias(**options)
        others = 1.0 if "bias_initializer" in options else 0.0
        assert bias.tolist() == [i] * H + [others] * 2 * H
    layer = layers.CoupledLSTM(H, use_bias=False)
    layer.build((None, None, I))
    assert [w.shape for w in layer.get_weights()] == [(I, 3 * H), (H, 3 * H)]


def coupled_bias(**options):
    layer = layers.CoupledLSTM(H, **options)
    layer.build((None, None, I))
    return layer.get_weights()[2]


def test_dropout_has_a_mask_for_each_of_three_gates():
    layer = coupled(dropout=0.4, recurrent_dropout=0.3, seed=5)
    x = tf.constant(random(B, T, I))
    y, *_ = layer(x, training=True)
    layer.cell.seed_generator.state.assign([5, 0])
    draws = [[keras.random.dropout(tf.ones((B, n), "float64"), rate, seed=layer.cell.seed_generator) for _ in range(3)]
             for n, rate in ((I, 0.4), (H, 0.3))]  # fmt: skip
    params = dict(zip(("Wx", "Wh", "b"), layer.get_weights()))
    scales = {"x_scale": np.stack(draws[0]), "h_scale": np.stack(draws[1])}
    expected, _, _ = backends.forward(layer.cell.maths, params, x.numpy(), **scales)
    assert np.array_equal(y, expected)


def test_single_steps_are_the_layer():
    layer = coupled()
    loop = keras.layers.RNN(layers.CoupledLSTMCell(H, dtype="float64"), return_sequences=True, dtype="float64")
    loop.build((B, T, I))
    loop.set_weights(layer.get_weights())
    x = tf.constant(random(B, T, I))
    np.testing.assert_allclose(loop(x), layer(x)[0], rtol=0, atol=1e-13)


def test_there_is_no_twin():
    with pytest.raises(ValueError, match=r"to_keras: CoupledLSTM has no tf.keras twin"):
        layers.to_keras(keras.Sequential([keras.Input((None, I)), layers.CoupledLSTM(H)]))
