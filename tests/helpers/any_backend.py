"""The layers beside keras.layers on the backend that KERAS_BACKEND names: python -m tests.helpers.any_backend NAME...

A process of its own, since Keras chooses its backend when it is imported. NAME is a function of CASES. Every case is a line, "what it is:
largest error", which ../layers/test_keras_backends.py reads.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path

import keras
import numpy as np
from keras.src.backend.common import dtypes

from rnn_from_scratch import backends, layers
from rnn_from_scratch.layers import attention_by_hand
from rnn_from_scratch.measure import error

from .layer_shapes import KINDS, MASK, B, H, I, T, fill, random, worst
from .pairwise import table

BACKEND = keras.backend.backend()
FLAGS = ("return_sequences", "return_state", "zero_output_for_mask", "go_backwards")
QUICK = [
    ("SimpleRNN", {"return_state": True}, None, 0),
    ("LSTM", {"return_sequences": True, "return_state": True, "go_backwards": True}, MASK, 1),
    ("GRU after", {"return_state": True, "zero_output_for_mask": True}, MASK, 2),
    ("GRU before", {"return_sequences": True}, MASK, 3),
]


def on_torch(function, values):
    """function(*tensors) -> tensors, and the gradients by all tensors of <upstream, results>."""
    import torch

    tensors = [torch.from_numpy(np.asarray(v)).requires_grad_() for v in values]
    outputs = function(*tensors)
    loss = sum((o * torch.from_numpy(random(*o.shape, seed=7 + i))).sum() for i, o in enumerate(outputs))
    return outputs, torch.autograd.grad(loss, tensors)


def on_jax(function, values):
    import jax

    outputs, gradients = jax.vjp(function, *map(jax.numpy.asarray, values))
    return outputs, gradients([jax.numpy.asarray(random(*o.shape, seed=7 + i)) for i, o in enumerate(outputs)])


def on_tensorflow(function, values):
    import tensorflow as tf

    tensors = [tf.constant(v) for v in values]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        outputs = function(*tensors)
        loss = tf.add_n([tf.reduce_sum(o * random(*o.shape, seed=7 + i)) for i, o in enumerate(outputs)])
    return outputs, tape.gradient(loss, tensors)


DIFFERENTIATE = {"torch": on_torch, "jax": on_jax, "tensorflow": on_tensorflow}[BACKEND]


def as_list(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def results(layer, x, states=(), **arguments):
    """Every output and every gradient of a call, as arrays, by name; random upstream gradients on all outputs."""
    fixed, count = [v.value for v in layer.non_trainable_variables], 1 + len(states)
    start = lambda given: {"initial_state": list(given)} if given else {}  # noqa: E731

    def call(x, *rest):
        outputs, _ = layer.stateless_call(list(rest[count - 1 :]), fixed, x, **start(rest[: count - 1]), **arguments)
        return as_list(outputs)

    values = [x, *states, *layer.get_weights()[: len(layer.trainable_variables)]]
    outputs, gradients = DIFFERENTIATE(call, values)
    names = ["dx", *(f"ds{i}" for i in range(len(states))), *(f"d{w.name} {i}" for i, w in enumerate(layer.trainable_variables))]
    found = {**{f"output {i}": o for i, o in enumerate(outputs)}, **dict(zip(names, gradients, strict=True))}
    return {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


def pair(make, shape=(B, T, I), seed=1):
    """make(layers) and make(keras.layers), built, with the same random weights."""
    ours, theirs = (make(module) for module in (layers, keras.layers))
    for layer in (ours, theirs):
        layer.build(shape)
    fill(theirs, seed)
    for mine, other in zip(ours.trainable_variables, theirs.trainable_variables, strict=True):
        mine.assign(other)
    return ours, theirs


@contextmanager
def in_float64():
    """On PyTorch and JAX keras.layers computes float64 in float32, by this table: a finer Keras to compare with."""
    narrower, given = dtypes.BIT64_TO_BIT32_DTYPE, dict(dtypes.BIT64_TO_BIT32_DTYPE)
    narrower["float64"] = "float64"
    try:
        yield
    finally:
        narrower.update(given)


def beside(make, mask=None, seed=0, states=0, **arguments):
    ours, theirs = pair(make, seed=seed + 1)
    start = [random(B, H, seed=seed + 20 + i) for i in range(states)]
    arguments.update(mask=None if mask is None else keras.ops.convert_to_tensor(mask))
    found = results(ours, random(B, T, I, seed=seed), start, **arguments)
    with in_float64():
        return worst(found, results(theirs, random(B, T, I, seed=seed), start, **arguments))


def one(kind, options, mask, seed, **arguments):
    """One layer, with initial states."""
    name, more = KINDS[kind]
    states = 2 if name == "LSTM" else 1
    return beside(lambda m: getattr(m, name)(H, dtype="float64", name="layer", **more, **options), mask, seed, states, **arguments)


def quick():
    for kind, options, mask, seed in QUICK:
        yield f"{kind} {options}", one(kind, options, mask, seed)


def wide():
    """Every kind, flag, mask and seed beside every other; all at once would take JAX an hour, which compiles each case anew."""
    factors = {"kind": tuple(KINDS), **dict.fromkeys(FLAGS, (False, True)), "mask": (None, MASK), "seed": (0, 1, 2)}
    for row in table(factors):
        kind, mask, seed = row["kind"], row["mask"], row["seed"]
        case = f"{kind} {[flag for flag in FLAGS if row[flag]]} masked {mask is not None} seed {seed}"
        off = one(kind, {flag: row[flag] for flag in FLAGS}, mask, seed)
        yield case, off * (1e-5 if kind == "LSTM hard" and BACKEND == "torch" else 1)  # the slope of torch's hardsigmoid is a float32


def dropout():
    """The same generator draws the same masks as in keras.layers."""
    rates_by_seed = enumerate(((0.3, 0.0), (0.0, 0.4), (0.3, 0.4)))
    for kind, (seed, rates) in itertools.product(("SimpleRNN", "LSTM", "GRU after"), rates_by_seed):
        options = {"dropout": rates[0], "recurrent_dropout": rates[1], "seed": seed, "return_sequences": True}
        yield f"{kind} {rates} seed {seed}", one(kind, options, MASK, seed, training=True)


def wrapped():
    """Bidirectional, cells upon each other, cells in Keras' loop, an activation that the kernels lack."""
    for mask, seed in itertools.product((None, MASK), range(2)):
        both = lambda m: keras.layers.Bidirectional(m.LSTM(H, return_sequences=True, dtype="float64"), dtype="float64", name="b")  # noqa: E731
        yield f"Bidirectional {mask is not None}", beside(both, mask, seed)
        cells = lambda m: m.StackedRNNCells([c(3, dtype="float64") for c in (m.LSTMCell, m.GRUCell)], dtype="float64")  # noqa: E731
        for backwards in (False, True):
            rnn = lambda m: m.RNN(cells(m), return_sequences=True, go_backwards=backwards, dtype="float64", name="r")  # noqa: B023, E731
            yield f"RNN {backwards} {mask is not None}", beside(rnn, mask, seed)
        step = lambda m: keras.layers.RNN(m.LSTMCell(H, dtype="float64"), dtype="float64", name="s")  # noqa: E731
        yield f"single steps {mask is not None}", beside(step, mask, seed)
        swish = lambda m: m.GRU(H, activation="swish", return_state=True, dtype="float64", name="s")  # noqa: E731
        yield f"any activation {mask is not None}", beside(swish, mask, seed)


def hand_written():
    """The cells that keras.layers has not, and attention, beside NumPy."""
    live = MASK | (np.arange(T) == 0)  # before the first live step Keras on JAX has another y
    for name, mask, seed in itertools.product(("PeepholeLSTM", "CoupledLSTM"), (None, live), range(3)):
        layer = getattr(layers, name)(H, dtype="float64", return_sequences=True, return_state=True)
        layer.build((B, T, I))
        fill(layer, seed)
        states = tuple(random(B, H, seed=2 + i) for i in range(2))
        found = results(layer, random(B, T, I), states, mask=mask)
        y, state, tape = backends.forward(layer.cell.maths, layer.cell.params(), random(B, T, I), states, mask=mask)
        grads = backends.backward(tape, random(*y.shape, seed=7), tuple(random(B, H, seed=8 + i) for i in range(2)))
        expected = [y, *state, grads.x, *grads.initial_state, *grads.params.values()]
        yield f"{name} {mask is not None}", worst(found, dict(zip(found, expected, strict=True)))
    layer = layers.Attention(4, dtype="float64")
    y, k, mask = random(B, T, I), random(B, 3, H), random(B, 3) > 0
    layer.build((y.shape, k.shape))
    fill(layer)
    with np.errstate(over="ignore"):
        expected = attention_by_hand.forward(y, k, *layer.get_weights(), mask)
    found = layer([keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(k)], mask=[None, mask])
    yield "Attention", max(error(keras.ops.convert_to_numpy(a), b) for a, b in zip(found, expected))


def stateful():
    """Two batches one after the other, with gradients asked for, then the first one anew."""
    for kind in ("SimpleRNN", "LSTM", "GRU after"):
        name, more = KINDS[kind]
        found = []
        for layer in pair(lambda m: getattr(m, name)(H, stateful=True, dtype="float64", **more)):  # noqa: B023
            with in_float64() if type(layer).__module__.startswith("keras") else nullcontext():
                calls = [results(layer, random(B, T, I))]
                calls += [keras.ops.convert_to_numpy(layer(random(B, T, I, seed=s))) for s in (1, 2)]
                layer.reset_state()
                calls.append(keras.ops.convert_to_numpy(layer(random(B, T, I, seed=1))))
            found.append({**calls[0], **{str(i): call for i, call in enumerate(calls[1:])}})
        assert error(found[0]["0"], found[0]["1"]) > 1e-3
        yield kind, max(worst(*found), error(found[0]["0"], found[0]["2"]))


def saved():
    """A model saved and loaded gives the same bits; its twin on keras.layers nearly."""
    every = [getattr(layers, name)(H, return_sequences=True) for name in ("SimpleRNN", "LSTM", "PeepholeLSTM", "GRU", "CoupledLSTM")]
    model = keras.Sequential([keras.Input((None, I)), *every, layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])])
    x = random(B, T, I, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.saving.load_model(Path(folder) / "model.keras")
    yield "saved", error(again.predict(x, verbose=0), model.predict(x, verbose=0))
    model = keras.Sequential([keras.Input((None, I)), layers.LSTM(H)])
    yield "to_keras", error(layers.to_keras(model).predict(x, verbose=0), model.predict(x, verbose=0)) / 1e6  # float32


def fitted():
    """The losses of 50 steps of model.fit, as far off as they are from those with keras.layers."""
    more = [{"recurrent_dropout": 0.2, "seed": 1}, *([{"stateful": True}] if BACKEND != "torch" else [])]  # there keras.layers fails
    for name, options in (("LSTM", {}), ("GRU", {}), ("SimpleRNN", {}), *(("LSTM", options) for options in more)):
        losses = []
        for module in (layers, keras.layers):
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input(batch_shape=(64, 9, 4)), getattr(module, name)(16, **options), keras.layers.Dense(3)])
            model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            x = random(640, 9, 4, dtype="float32")
            record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses[-1].append(logs["loss"]))  # noqa: B023
            losses.append([])
            model.fit(x, (x[:, :, 0].sum(1) > 0).astype("int32"), batch_size=64, epochs=5, shuffle=False, verbose=0, callbacks=[record])
        assert len(losses[0]) == 50
        assert losses[0][-1] < 0.9 * losses[0][0]
        yield f"{name} {options}", error(*map(np.asarray, losses))


CASES = {f.__name__: f for f in (quick, wide, dropout, wrapped, hand_written, stateful, saved, fitted)}

if __name__ == "__main__":
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    print(f"{BACKEND}, TensorFlow loaded: {'tensorflow' in sys.modules and os.environ['KERAS_BACKEND'] != 'tensorflow'}")
    for wanted in sys.argv[1:]:
        for case, off in CASES[wanted]():
            print(f"{wanted}: {case}: {off!r}", flush=True)
