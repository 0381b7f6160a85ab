"""Whole Keras models in ONNX Runtime against Keras itself: layers, masks, directions, states, stacks, dynamic sizes."""

import itertools

import keras
import numpy as np
import onnxruntime
import pytest
from keras import Input, Sequential
from keras.layers import LSTM, Bidirectional, Concatenate, Dense, Dropout, Embedding, Flatten, LayerNormalization, Masking

from rnn_from_scratch import layers
from rnn_from_scratch.interop import model_to_onnx
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import MASK

I, H = 3, 5
KERAS = {
    "SimpleRNN": (keras.layers.SimpleRNN, {}),
    "SimpleRNN relu": (keras.layers.SimpleRNN, {"activation": "relu", "use_bias": False}),
    "LSTM": (keras.layers.LSTM, {}),
    "LSTM hard": (keras.layers.LSTM, {"activation": "relu", "recurrent_activation": "hard_sigmoid", "dropout": 0.3}),
    "GRU after": (keras.layers.GRU, {}),
    "GRU before": (keras.layers.GRU, {"reset_after": False, "activation": "linear"}),
}
OURS = {name: (getattr(layers, cls.__name__), options) for name, (cls, options) in KERAS.items()}
OURS["PeepholeLSTM"] = layers.PeepholeLSTM, {}
KINDS = {f"{name} of {whose}": row for whose, rows in (("Keras", KERAS), ("ours", OURS)) for name, row in rows.items()}


def shake(model, seed=1):
    """Seeded random weights, biases too; states of stateful layers stay zero."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape) * 0.5)
    return model


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def blanked(x, mask=MASK):
    """x with zeros where the mask is False: what Masking takes for padding."""
    return np.where(mask[..., None], x, np.float32(0))


def session(model):
    return onnxruntime.InferenceSession(model_to_onnx(model).SerializeToString())


def worst(model, *arrays):
    """The largest error of any output of the exported model."""
    runtime = session(model)
    found = runtime.run(None, {given.name: array for given, array in zip(runtime.get_inputs(), arrays, strict=True)})
    expected = keras.tree.flatten(model(list(arrays) if len(arrays) > 1 else arrays[0], training=False))
    assert [result.dtype for result in found] == [np.asarray(e).dtype for e in expected]
    return max(error(a, np.asarray(b)) for a, b in zip(found, expected, strict=True))


def operators(model):
    return [node.op_type for node in model_to_onnx(model).graph.node]


FLAGS = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize("kind", KINDS)
def test_every_recurrent_layer_with_every_mask_and_option(kind):
    cls, options = KINDS[kind]
    x = Input((None, I), name="x")
    masked, results = Masking()(x), []
    for sequences, backwards, zero in FLAGS:
        more = {"return_sequences": sequences, "return_state": True, "go_backwards": backwards, "zero_output_for_mask": zero}
        for source in (x, masked):
            results += cls(H, **options, **more)(source)
    model = shake(keras.Model(x, results))
    assert worst(model, blanked(draw(6, 7, I))) <= 1e-5


@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("kind", ["LSTM of Keras", "GRU after of ours", "PeepholeLSTM of ours"])
def test_both_directions(kind, merge):
    cls, options = KINDS[kind]
    x, results = Input((None, I)), []
    for source in (x, Masking()(x)):
        for sequences in (False, True):
            results += Bidirectional(cls(H, return_sequences=sequences, return_state=True, **options), merge_mode=merge)(source)
    backward = cls(H, return_sequences=True, go_backwards=True, activation="relu")
    results += keras.tree.flatten(
        Bidirectional(cls(H, return_sequences=True, **options), backward_layer=backward)(Masking()(x)) if merge == "concat" else []
    )
    assert worst(shake(keras.Model(x, results)), blanked(draw(6, 7, I))) <= 1e-5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("module", [keras.layers, layers], ids=["Keras", "ours"])
def test_a_reader_of_texts(module, seed):
    model = Sequential(
        [
            Embedding(11, 6, mask_zero=True),
            Dropout(0.5),
            Bidirectional(module.LSTM(H, return_sequences=True, recurrent_dropout=0.2)),
            LayerNormalization(),
            module.GRU(4, return_sequences=True),
            Dense(7, activation="tanh"),
            module.SimpleRNN(4),
            Dense(3, activation="softmax"),
        ]
    )
    ids = np.random.default_rng(seed).integers(1, 11, (6, 7)) * MASK
    model(ids)
    shake(model, seed)
    assert worst(model, ids.astype("float32")) <= 1e-5
    wanted = {"LSTM", "GRU", "RNN", "LayerNormalization", "Softmax"}
    assert wanted <= set(operators(model)) and not {"Loop", "Scan"} & set(operators(model))


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "hard_sigmoid", "softmax", "elu", "selu", "softplus", "softsign"])
def test_layers_without_time(activation):
    x, z = Input((4, I)), Input((2,), dtype="int32")
    flat = Flatten()(Dense(3, activation=activation, use_bias=activation is None)(x))
    both = Concatenate()([flat, Dense(2)(z)])
    normal = LayerNormalization(center=activation is None, scale=activation != "relu", epsilon=0.1)(both)
    deep = LayerNormalization(axis=[1, 2])(x)
    model = shake(keras.Model([x, z], [normal, deep, Flatten()(z)]))
    assert worst(model, draw(5, 4, I), np.arange(10, dtype="int32").reshape(5, 2)) <= 1e-5


@pytest.mark.parametrize("module", [keras.layers, layers], ids=["Keras", "ours"])
def test_an_encoder_and_a_decoder(module):
    source, target = Input((None,), name="source"), Input((None,), name="target")
    embed = Embedding(9, 4, mask_zero=True)
    masked = embed(source)
    _, *state = module.LSTM(H, return_state=True)(masked)
    decoder = module.LSTM(H, return_sequences=True, return_state=True)
    y, h, c = decoder(embed(target), initial_state=state)  # Keras gives it no mask beside an initial state ...
    told, _, _ = decoder(embed(target), initial_state=state, mask=keras.ops.not_equal(target, 0))  # ... unless it is told to
    model = shake(keras.Model([source, target], [Dense(9)(y), h, c, told, LSTM(2)(told)]))
    ids = (np.random.default_rng(0).integers(1, 9, (6, 7)) * MASK).astype("float32")
    assert worst(model, ids, ids[::-1]) <= 1e-5


def test_inputs_that_are_masks_and_states():
    x, live = Input((None, I), name="x"), Input((None,), dtype="bool", name="live")
    h, c = Input((H,), name="h"), Input((H,), name="c")
    results = [
        *layers.GRU(H, return_sequences=True, return_state=True)(x, mask=live, initial_state=h),
        LSTM(2)(layers.GRU(H, return_sequences=True)(x, mask=live)),  # the mask goes on to the next layer
        LSTM(2)(layers.GRU(H, return_sequences=True)(Masking()(x), mask=live)),  # in place of the one that was there
        Bidirectional(LSTM(H))(x, mask=live),
        keras.layers.SimpleRNN(H)(x, initial_state=h),
        *Bidirectional(layers.LSTM(H, return_state=True))(x, initial_state=[h, c, c, h]),
    ]
    assert (
        worst(shake(keras.Model([x, live, h, c], results)), blanked(draw(6, 7, I), MASK[::-1]), MASK, draw(6, H), draw(6, H, seed=1))
        <= 1e-5
    )


def test_masks_that_meet():
    x, z = Input((None, I)), Input((None, I))
    met = [Concatenate()([Masking()(x), Masking()(z)]), Concatenate()([Masking()(x), z])]
    model = shake(keras.Model([x, z], [LSTM(H)(both) for both in met]))
    assert worst(model, blanked(draw(6, 7, I)), blanked(draw(6, 7, I, seed=1), MASK[::-1])) <= 1e-5


@pytest.mark.parametrize("module", [keras.layers, layers], ids=["Keras", "ours"])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True, "return_state": True}])
def test_cells_and_stacks_of_them(module, options):
    x = Input((None, I))
    results = []
    for source in (x, Masking()(x)):
        results += keras.tree.flatten(keras.layers.RNN(module.GRUCell(H), **options)(source))
        stack = [module.LSTMCell(H), module.GRUCell(4, reset_after=False), module.SimpleRNNCell(3)]
        results += keras.tree.flatten(keras.layers.RNN(stack, **options)(source))
    assert worst(shake(keras.Model(x, results)), blanked(draw(6, 7, I))) <= 1e-5


def test_models_in_models_and_layers_used_twice():
    inner = Sequential([Input((None, I)), Masking(), layers.LSTM(H, return_sequences=True)], name="inner")
    a, b = Input((None, I)), Input((None, I))
    twice = [inner(a), inner(b)]
    pair = keras.Model([a, b], [*twice, keras.layers.GRU(4)(Concatenate()(twice))])
    outer = [Input((None, I)), Input((None, I))]
    model = shake(keras.Model(outer, pair(outer)))
    assert worst(model, blanked(draw(6, 7, I)), blanked(draw(6, 7, I, seed=1), MASK[::-1])) <= 1e-5


@pytest.mark.filterwarnings("ignore:.*does not support masking")  # Keras says so, and hands the mask on all the same
def test_a_mask_goes_through_a_model_in_a_model():
    inner = Sequential([Input((None, 4)), LSTM(H, return_sequences=True, go_backwards=True), Dense(3)])
    ids = Input((None,), dtype="int32")
    model = shake(keras.Model(ids, layers.GRU(H)(inner(Embedding(9, 4, mask_zero=True)(ids)))))
    assert worst(model, (np.random.default_rng(0).integers(1, 9, (6, 7)) * MASK).astype("int32")) <= 1e-5


@pytest.mark.parametrize("module", [keras.layers, layers], ids=["Keras", "ours"])
def test_batch_and_time_are_dynamic(module):
    model = shake(Sequential([Input((None, I)), Masking(), Bidirectional(module.LSTM(H, return_sequences=True)), module.GRU(4)]))
    runtime = session(model)
    assert runtime.get_inputs()[0].shape[0] == "B" and runtime.get_inputs()[0].shape[2] == I
    for B, T in ((1, 1), (2, 11), (9, 3), (33, 20)):
        x = blanked(draw(B, T, I), np.random.default_rng(B).random((B, T)) < 0.6)
        (found,) = runtime.run(None, {runtime.get_inputs()[0].name: x})
        assert error(found, np.asarray(model(x))) <= 1e-5


@pytest.mark.parametrize("module", [keras.layers, layers], ids=["Keras", "ours"])
def test_a_stateful_layer_hands_its_state_out_and_takes_it_back(module):
    stack = [Input(batch_shape=(6, 7, I)), Masking(), module.LSTM(H, stateful=True, return_sequences=True, name="first")]
    both = Bidirectional(module.GRU(4, stateful=True, name="second"), name="both")
    cells = keras.layers.RNN([module.LSTMCell(2), module.GRUCell(2)], stateful=True, name="cells", return_sequences=True)
    model = shake(Sequential([*stack, cells, both]))
    runtime = session(model)
    given, results = ([place.name for place in places] for places in (runtime.get_inputs(), runtime.get_outputs()))
    states = [("first", "h"), ("first", "c"), ("cells", "0_h"), ("cells", "0_c"), ("cells", "1_h")]
    states += [("forward_second", "h"), ("backward_second", "h")]
    assert results[1:] == [f"{layer}_{state}" for layer, state in states]
    assert given[1:] == [f"{layer}_initial_{state}" for layer, state in states]
    carried = {place.name: np.zeros((6, place.shape[1]), "float32") for place in runtime.get_inputs()[1:]}
    for call in range(3):
        x = blanked(draw(6, 7, I, seed=call), MASK[::-1] if call else MASK)
        y, *after = runtime.run(None, {given[0]: x, **carried})
        assert error(y, np.asarray(model(x, training=False))) <= 1e-5
        carried = dict(zip(given[1:], after, strict=True))


def test_the_file_and_its_names(tmp_path):
    ids = Input((None,), dtype="int32", name="ids")
    y, h = layers.GRU(H, return_sequences=True, return_state=True, name="reader")(Embedding(9, 4)(ids))
    model = shake(keras.Model(ids, [y, h, ids]))
    made = model_to_onnx(model, tmp_path / "model.onnx")
    runtime = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert (tmp_path / "model.onnx").read_bytes() == made.SerializeToString()
    assert [place.name for place in runtime.get_inputs()] == ["ids"] and runtime.get_inputs()[0].type == "tensor(int32)"
    assert [place.name for place in runtime.get_outputs()] == ["reader", "reader_1", "ids_1"]
