"""The layers inside of Keras: wrappers, masks, states, weights files, training; and what they refuse."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_from_scratch import backends, layers
from rnn_from_scratch.measure import error

from ..helpers.layer_pairs import KINDS, MASK, B, H, I, T, fill, pair, random, results, some_checked, worst

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def twins(make, seed=1):
    """make(layers) and make(keras.layers), built by a call on data of their own, with the same random weights."""
    ours, theirs = make(layers), make(keras.layers)
    fill(theirs, seed)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("name", some_checked(["LSTM", "GRU"], "GRU"))
def test_bidirectional(name, mode, sequences):
    def make(module):
        layer = getattr(module, name)(H, return_sequences=sequences, return_state=True, dtype="float64")
        wrapper = keras.layers.Bidirectional(layer, merge_mode=mode, dtype="float64")
        wrapper.build((B, T, I))
        return wrapper

    found = []
    for wrapper in twins(make):
        states = [tf.constant(random(B, H, seed=i)) for i in range(4 if name == "LSTM" else 2)]
        x = tf.constant(random(B, T, I))
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = wrapper(x, initial_state=states, mask=MASK, training=True)
            loss = tf.add_n([tf.reduce_sum(o**2) for o in outputs])
        found.append([*outputs, *tape.gradient(loss, [x, *wrapper.trainable_weights])])
    assert max(error(a, b) for a, b in zip(*found, strict=True)) <= 1e-12


def test_bidirectional_never_calls_the_fused_keras_path():
    wrapper = keras.layers.Bidirectional(layers.LSTM(H))
    wrapper.build((B, T, I))
    assert not wrapper._can_attempt_fused_lstm(None)
    keras_wrapper = keras.layers.Bidirectional(keras.layers.LSTM(H))
    keras_wrapper.build((B, T, I))
    assert keras_wrapper._can_attempt_fused_lstm(None)


MODELS = {
    "embedding": lambda m: [keras.Input((None,), dtype="int32"), keras.layers.Embedding(9, 4, mask_zero=True), m.LSTM(H)],
    "masking": lambda m: [keras.Input((None, I)), keras.layers.Masking(), m.GRU(H, return_sequences=True), m.SimpleRNN(H)],
    "time distributed": lambda m: [keras.Input((2, T, I)), keras.layers.TimeDistributed(m.GRU(H))],
    "repeat": lambda m: [keras.Input((None, I)), m.LSTM(H), keras.layers.RepeatVector(3), m.LSTM(2, return_sequences=True)],
}
TOKENS = np.array([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0], [0, 7, 0, 8, 0], [0, 0, 0, 0, 0]], "int32")


@pytest.mark.parametrize("kind", some_checked(MODELS, "time distributed", "repeat"))
def test_models_with_masks_and_wrappers(kind):
    ours, theirs = twins(lambda module: keras.Sequential(MODELS[kind](module)))
    x = random(B, T, I, dtype="float32") * MASK[:, :, None]
    data = {"embedding": TOKENS, "time distributed": np.stack([x, -x], 1)}.get(kind, x)
    found = []
    for model in (ours, theirs):
        with tf.GradientTape() as tape:
            y = model(data, training=True)
            loss = tf.reduce_sum(y**2)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_weights)]
        found.append([y, *gradients, model.predict(data, verbose=0)])
    assert max(error(a, b) for a, b in zip(*found, strict=True)) <= 5e-6


def test_stateful_and_reset_state():
    found = []
    for layer in pair("LSTM", stateful=True, return_sequences=True):
        outputs = [layer(random(B, T, I)), layer(random(B, T, I))]
        layer.reset_state()
        found.append([*outputs, layer(random(B, T, I))])
    assert max(error(a, b) for a, b in zip(*found)) <= 1e-12
    first, second, again = found[0]
    assert error(first, again) == 0 < error(first, second)
    with pytest.raises(ValueError, match="batch size"):
        pair("LSTM", stateful=True)[0](random(B + 1, T, I))


def test_weights_files_go_both_ways_with_keras(tmp_path):
    def make(module):
        first = keras.layers.Bidirectional(module.LSTM(H, return_sequences=True, dropout=0.1))
        return keras.Sequential([keras.Input((None, I)), first, module.GRU(4, return_sequences=True), module.SimpleRNN(3)])

    models, x = twins(make), random(B, T, I, dtype="float32")
    for writer, reader in (models, models[::-1]):
        writer.save_weights(tmp_path / "all.weights.h5")
        fill(reader, seed=4)
        reader.load_weights(tmp_path / "all.weights.h5")
        assert all(np.array_equal(a, b) for a, b in zip(writer.get_weights(), reader.get_weights(), strict=True))
        assert error(reader.predict(x, verbose=0), writer.predict(x, verbose=0)) <= 2e-6


def test_clone_model_and_output_shapes():
    first, second = layers.PeepholeLSTM(H, return_sequences=True), layers.GRU(2, backend="reference")
    model = keras.Sequential([keras.Input((None, I)), first, second])
    clone = keras.models.clone_model(model)
    assert [layer.get_config() for layer in clone.layers] == [layer.get_config() for layer in model.layers]
    assert [layer.output.shape for layer in clone.layers] == [(None, None, H), (None, 2)]
    for kind in KINDS:
        ours, theirs = pair(kind, return_sequences=True, return_state=True)
        assert ours.compute_output_shape((None, None, I)) == theirs.compute_output_shape((None, None, I))
        assert ours.compute_mask(None, tf.constant(MASK))[0] is not None


def deep(module):
    yield module.LSTM(H, return_sequences=True, recurrent_dropout=0.2, dropout=0.1, seed=1)
    yield module.GRU(4, return_sequences=True, dropout=0.3, seed=2, recurrent_constraint="unit_norm")


def training_run(module, **options):
    """A few steps of fit in float64: dropout, masks, tf.data, an uneven last batch, gradient accumulation, a frozen layer."""
    keras.utils.set_random_seed(2)
    x, labels = random(22, T, I) * np.tile(MASK, (4, 1))[:22, :, None], random(22, 2, seed=3)
    model = keras.Sequential(
        [
            keras.Input((None, I)),
            keras.layers.Masking(),
            *(deep(module) if options.pop("deep", False) else []),
            module.SimpleRNN(3, recurrent_dropout=0.3, seed=3, kernel_regularizer="l2"),
            keras.layers.Dense(2),
        ]
    )
    model.layers[1].trainable = not options.pop("freeze", False)
    model.compile(keras.optimizers.Adam(0.01, **options), "mse")
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(8)
    history = model.fit(data, epochs=3, verbose=0, shuffle=False).history["loss"]
    return [*history, model.evaluate(data, verbose=0)], model.get_weights()


RUNS = {
    "one layer": {},
    "deep": {"deep": True},
    "deep, first layer frozen, accumulated": {"deep": True, "gradient_accumulation_steps": 2, "freeze": True},
}


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.usefixtures("float64")
@pytest.mark.check
@pytest.mark.parametrize("run", RUNS)
def test_fit_follows_keras_from_the_same_seed(run):
    options = RUNS[run]
    (ours, our_weights), (theirs, their_weights) = (training_run(module, **options) for module in (layers, keras.layers))
    assert ours == pytest.approx(theirs, rel=1e-11)
    assert len(set(ours)) == len(ours)
    assert max(error(a, b) for a, b in zip(our_weights, their_weights, strict=True)) <= 1e-9


def test_only_gradients_that_are_asked_for_are_computed(monkeypatch):
    asked, saved = [], []
    forward, backward = backends.forward, backends.backward
    monkeypatch.setattr(backends, "forward", lambda *a, save, **kw: (saved.append(save), forward(*a, save=save, **kw))[1])
    monkeypatch.setattr(backends, "backward", lambda *a, wrt, **kw: (asked.append(wrt), backward(*a, wrt=wrt, **kw))[1])
    stack = [layers.LSTM(H, return_sequences=True, backend="reference"), layers.GRU(4, backend="reference")]  # all in Python
    model = keras.Sequential([keras.Input((None, I)), *stack])
    model.compile("sgd", "mse")
    data = random(B, T, I, dtype="float32"), random(B, 4, dtype="float32")
    for eagerly in (False, True):
        asked.clear()
        saved.clear()
        model.run_eagerly = eagerly
        model.fit(*data, batch_size=B, verbose=0)
        assert asked == [("x", "params"), ("params",)]  # the last layer first; nobody wants the gradient by the data
        assert saved == [True, True]
        model.predict(data[0], verbose=0)
        assert saved == [True, True, False, False]
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    asked.clear()
    model.fit(*data, batch_size=B, verbose=0)
    assert asked == [("x", "params")]  # nothing at all is computed for the frozen layer


def test_without_training_a_gradient_runs_the_forward_pass_again(monkeypatch):
    saved = []
    forward = backends.forward
    monkeypatch.setattr(backends, "forward", lambda *a, save, **kw: (saved.append(save), forward(*a, save=save, **kw))[1])
    ours, theirs = pair("GRU before", return_sequences=True, return_state=True, go_backwards=True)
    assert worst(results(ours, random(B, T, I), mask=MASK), results(theirs, random(B, T, I), mask=MASK)) <= 1e-12
    assert saved == [False, True]


def test_jit_compile_is_dropped_with_keras_own_warning():
    model = keras.Sequential([keras.Input((None, I)), layers.LSTM(H)])
    with pytest.warns(UserWarning, match=r"doesn't support `jit_compile=True`"):
        model.compile("sgd", "mse", jit_compile=True)
    model.fit(random(B, T, I, dtype="float32"), random(B, H, dtype="float32"), verbose=0)
    assert not model.layers[0].supports_jit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.compile("sgd", "mse")


def test_initial_state_held_by_variables():
    x, layer = random(B, T, I).astype("float32"), layers.GRU(H)
    start = tf.Variable(random(B, H, seed=5).astype("float32"))
    with tf.GradientTape() as tape:
        y = layer(x, initial_state=[start], training=True)
    assert np.array_equal(y, layer(x, initial_state=[tf.constant(start)]))
    assert tape.gradient(y, start).shape == (B, H)
