"""layers.RNN over this package's cells, layer by layer, beside keras.layers.RNN over tf.keras' cells; and what takes Keras' loop."""

import itertools
import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, layers
from rnn_from_scratch.layers import slow_path, stacked
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import MASK, B, H, I, T, fill, random, some_checked

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

STACKS = {
    "LSTM": lambda m, **kw: [m.LSTMCell(H, **kw)],
    "LSTM, GRU, SimpleRNN": lambda m, **kw: [m.LSTMCell(H, **kw), m.GRUCell(4, reset_after=False, **kw), m.SimpleRNNCell(3, **kw)],
    "SimpleRNN, LSTM": lambda m, **kw: [m.SimpleRNNCell(H, activation="relu", **kw), m.LSTMCell(2, **kw)],
    "GRU, GRU": lambda m, **kw: [m.GRUCell(H, **kw), m.GRUCell(H, **kw)],
}
FLAGS = ("return_sequences", "return_state", "go_backwards", "zero_output_for_mask")


def pair(stack, input_shape=(B, T, I), cell=None, **options):
    """Ours and tf.keras' RNN over the cells of a stack, with the same random weights."""
    made = []
    for module in (layers, keras.layers):
        cells = STACKS[stack](module, dtype="float64", **(cell or {}))
        several = module.StackedRNNCells(cells, dtype="float64")
        made.append(module.RNN(several if len(cells) > 1 else cells[0], dtype="float64", **options))
        made[-1].build(input_shape)
    fill(made[1])
    made[0].set_weights(made[1].get_weights())
    return made


def results(layer, mask=None, training=True, states=True, call=None, seed=0):
    """Every output and every gradient: by x, the initial states and the weights."""
    x = tf.constant(random(B, T, I, seed=seed))
    start = [random(*s.shape, seed=20 + n) for n, s in enumerate(keras.tree.flatten(layer.get_initial_state(B)))]
    start = keras.tree.pack_sequence_as(layer.get_initial_state(B), [tf.constant(s) for s in start])
    with tf.GradientTape() as tape:
        sources = [x, *(keras.tree.flatten(start) if states else []), *layer.trainable_weights]
        tape.watch(sources[: -len(layer.trainable_weights)])
        outputs = keras.tree.flatten((call or layer)(x, initial_state=start if states else None, mask=mask, training=training))
        loss = tf.add_n([tf.reduce_sum(o * random(*o.shape, seed=7 + n)) for n, o in enumerate(outputs)])
    return [*outputs, *(tf.convert_to_tensor(g) for g in tape.gradient(loss, sources))]


def worst(ours, theirs):
    return max(error(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("mask", [None, MASK], ids=["live", "masked"])
@pytest.mark.parametrize(
    "flags",
    some_checked(list(itertools.product([False, True], repeat=4)), *[f for f in itertools.product([False, True], repeat=4) if sum(f) % 2]),
    ids=str,
)
def test_every_flag_equals_keras(flags, mask):
    for stack in ("LSTM, GRU, SimpleRNN", "LSTM"):
        ours, theirs = pair(stack, **dict(zip(FLAGS, flags)))
        assert ours.refusal() == ""
        assert worst(results(ours, mask), results(theirs, mask)) <= 1e-12
        assert ours.compute_output_shape((B, T, I)) == theirs.compute_output_shape((B, T, I))


@pytest.mark.parametrize("stack", STACKS)
def test_without_initial_state_in_a_graph_and_for_a_second_sequence(stack):
    ours, theirs = pair(stack, return_sequences=True, return_state=True)
    structures = [keras.tree.map_structure(lambda t: t.shape.as_list(), list(layer(random(B, T, I)))) for layer in (ours, theirs)]
    assert structures[0] == structures[1]
    graph = tf.function(ours)
    for seed in (1, 2):
        expected = results(theirs, states=False, seed=seed)
        assert worst(results(ours, states=False, seed=seed), expected) <= 1e-12
        assert worst(results(ours, states=False, call=graph, seed=seed), expected) <= 1e-12


@pytest.mark.parametrize("rates", [(0.3, 0.0), (0.2, 0.4)], ids=str)
@pytest.mark.parametrize("stack", some_checked(STACKS, "GRU, GRU", "LSTM"))
def test_dropout_draws_the_masks_of_keras(stack, rates):
    ours, theirs = pair(stack, cell={"dropout": rates[0], "recurrent_dropout": rates[1], "seed": 6}, return_sequences=True)
    for training in (True, False, True):
        assert worst(results(ours, MASK, training), results(theirs, MASK, training)) <= 1e-12


@pytest.mark.parametrize("stack", ["LSTM", "LSTM, GRU, SimpleRNN"])
def test_stateful(stack):
    found = []
    for layer in pair(stack, stateful=True):
        first, second = layer(random(B, T, I)), layer(random(B, T, I))
        found.append([first, second, *keras.tree.flatten(layer.states)])
    assert worst(*[[tf.convert_to_tensor(t) for t in part] for part in found]) <= 1e-12
    ours, _ = pair(stack, stateful=True)
    first = ours(random(B, T, I))
    assert error(ours(random(B, T, I)), first) > 0
    ours.reset_state()
    assert error(ours(random(B, T, I)), first) == 0


def test_peephole_and_coupled_cells_are_their_layers():
    cells = [layers.PeepholeLSTMCell(H, dtype="float64"), layers.CoupledLSTMCell(4, dtype="float64")]
    whole = layers.RNN(cells, return_sequences=True, dtype="float64")
    parts = [layers.PeepholeLSTM(H, return_sequences=True, dtype="float64"), layers.CoupledLSTM(4, return_sequences=True, dtype="float64")]
    model = keras.Sequential([keras.Input((None, I), dtype="float64"), *parts])
    whole.build((None, None, I))
    model.set_weights(fill(whole).get_weights())
    assert np.array_equal(whole(random(B, T, I)), model(random(B, T, I)))


def model_of(module, **options):
    cells = [module.LSTMCell(H, **options), module.GRUCell(4)]
    return keras.Sequential(
        [keras.Input((None, I)), keras.layers.Masking(), module.RNN(cells, return_sequences=True), keras.layers.Dense(2)]
    )


def test_saving_cloning_weights_files_and_to_keras(tmp_path):
    x = random(B, T, I, dtype="float32") * MASK[:, :, None]
    ours, theirs = fill(model_of(layers)), model_of(keras.layers)
    y = ours.predict(x, verbose=0)
    ours.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [type(cell) for cell in again.layers[1].cells] == [layers.LSTMCell, layers.GRUCell]
    assert np.array_equal(again.predict(x, verbose=0), y)
    ours.save_weights(tmp_path / "all.weights.h5")
    theirs.load_weights(tmp_path / "all.weights.h5")
    assert error(theirs.predict(x, verbose=0), y) <= 2e-6
    names = [re.sub(r"_\d+", "", w.path) for w in ours.weights]
    assert names == [re.sub(r"_\d+", "", w.path) for w in theirs.weights]
    clone = keras.models.clone_model(ours)
    assert clone.layers[1].get_config() == ours.layers[1].get_config()
    twin = layers.to_keras(ours)
    assert type(twin.layers[1]) is keras.layers.RNN
    assert {type(cell).__module__.partition(".")[0] for cell in twin.layers[1].cell.cells} == {"keras"}
    assert error(twin.predict(x, verbose=0), y) <= 2e-6


def test_fit_with_an_uneven_last_batch_and_bidirectional():
    x, labels = random(22, T, I, dtype="float32"), random(22, 2, dtype="float32")
    found = []
    for module in (layers, keras.layers):
        keras.utils.set_random_seed(3)
        rnn = keras.layers.Bidirectional(module.RNN([module.GRUCell(H, dropout=0.2, seed=1), module.SimpleRNNCell(3)]))
        model = keras.Sequential([keras.Input((None, I)), rnn, keras.layers.Dense(2)])
        model.compile("sgd", "mse")
        found.append(model.fit(x, labels, batch_size=8, epochs=3, shuffle=False, verbose=0).history["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0][-1] < found[0][0]


def test_a_list_of_cells_takes_the_dtype_of_the_layer():
    cells = [layers.LSTMCell(H, dtype="float64"), layers.GRUCell(4, dtype="float64")]
    layer = layers.RNN(cells, return_sequences=True, dtype="float64")
    y = layer(random(B, T, I), mask=MASK)
    assert y.dtype == tf.float64
    assert np.array_equal(layers.RNN.from_config(layer.get_config())(random(B, T, I)).dtype, y.dtype)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_low_precision_is_float32_inside(policy, monkeypatch):
    monkeypatch.setattr(backends, "rounds", lambda *_: False)  # as on a machine that has no bfloat16
    cells = [layers.LSTMCell(H, dtype=policy), layers.GRUCell(4, dtype=policy)]
    layer, exact = layers.RNN(cells, dtype=policy), layers.RNN([layers.LSTMCell(H), layers.GRUCell(4)])
    x = tf.cast(random(B, T, I), layer.compute_dtype)
    y = layer(x)
    exact.build((B, T, I))
    exact.set_weights(layer.get_weights())
    assert y.dtype == layer.compute_dtype
    assert error(y, tf.cast(exact(tf.cast(x, tf.float32)), y.dtype)) == 0


def test_explain_names_the_cells_and_their_backend():
    layer = layers.RNN([layers.LSTMCell(H), layers.GRUCell(4)])
    with pytest.raises(ValueError, match="explain: rnn.* has no weights yet; call it on data first"):
        layer.explain()
    layer.build((B, T, I))
    name, reason, saved_bytes = layer.explain()
    alone = layers.LSTM(H)
    alone.build((B, T, I))
    assert name == alone.explain().backend
    assert reason == f"LSTMCell, GRUCell layer by layer; {alone.explain().reason}"
    assert saved_bytes == 4 * ((4 + 2) * H + (4 + 1) * 4)
    one = layers.RNN(layers.LSTMCell(H, backend="reference"))
    one.build((B, T, I))
    assert one.explain()[:2] == ("reference", "LSTMCell over all steps; asked for by name")


class Minimal(keras.layers.Layer):
    """A cell of the user's own."""

    state_size = output_size = 4

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 4), name="kernel")

    def call(self, x, states):
        h = tf.tanh(x @ self.kernel.value + states[0])
        return h, [h]


class Changed(layers.GRUCell):
    """Derived from a cell of this package, with another step."""

    def call(self, inputs, states, training=False):
        h, states = super().call(inputs, states, training)
        return 2 * h, states


@pytest.mark.parametrize("other", [Minimal, lambda: Changed(4), lambda: keras.layers.GRUCell(4)], ids=["own", "derived", "keras"])
def test_another_cell_takes_keras_loop_and_says_so(other):
    slow_path.warn_once.cache_clear()
    cells = [layers.LSTMCell(H), other()]
    name = type(cells[1]).__name__
    ours = layers.RNN(cells)
    ours.build((B, T, I))
    x = random(B, T, I, dtype="float32")
    told = f"{name} is not a cell of rnn_from_scratch.layers; Keras' loop runs all cells step by step"
    with pytest.warns(RuntimeWarning, match=f"^RNN: {told}, which takes longer$"):
        y = ours(x)
    assert error(ours(x), y) == 0  # without a second warning: it would be an error here
    assert ours.explain()[:2] == ("keras", told)
    assert "training keeps what TensorFlow needs" in str(ours.explain())
    assert error(keras.layers.RNN(cells)(x), y) <= 2e-6


def test_the_layers_run_after_each_other(monkeypatch):
    """That the fused path is taken at all: one call of the kernels for each cell, none for a step."""
    calls = []
    run = layers.LSTMCell.run
    monkeypatch.setattr(stacked.Step, "run", lambda self, x, *a, **kw: (calls.append(x.shape[1]), run(self, x, *a, **kw))[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.RNN([layers.LSTMCell(H), layers.LSTMCell(4)])(random(B, T, I, dtype="float32"))
    assert [n for n in calls if n != 1] == [T, T]
