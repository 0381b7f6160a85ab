"""The custom call of Keras on JAX beside the call through Python: python -m tests.helpers.jax_calls NAME...

A process of its own, since Keras chooses its backend when it is imported. NAME is a kind of KINDS, which prints "same" if the bits
are, or a function of CHECKS. ../layers/test_layers_jax_op.py reads the lines.
"""

from __future__ import annotations

import os
import sys
import warnings

import jax
import keras
import numpy as np

from rnn_from_scratch import backends, layers
from rnn_from_scratch.layers import jax_bridge, jax_op

from .layer_shapes import MASK, B, H, I, T, fill, random

KINDS = {
    "SimpleRNN": (layers.SimpleRNN, {}),
    "SimpleRNN masked": (layers.SimpleRNN, {"activation": "relu", "use_bias": False}),
    "LSTM": (layers.LSTM, {"return_sequences": True}),
    "LSTM masked, dropout": (layers.LSTM, {"dropout": 0.3, "recurrent_dropout": 0.4, "dtype": "float64"}),
    "GRU after": (layers.GRU, {"go_backwards": True}),
    "GRU after masked, no training": (layers.GRU, {"return_sequences": True, "zero_output_for_mask": True}),
    "GRU before, dropout": (layers.GRU, {"reset_after": False, "recurrent_dropout": 0.4, "dtype": "float64"}),
    "PeepholeLSTM masked": (layers.PeepholeLSTM, {"return_sequences": True, "go_backwards": True}),
    "CoupledLSTM": (layers.CoupledLSTM, {"return_sequences": True, "dtype": "float64"}),
}


def compiled(kind, rows):
    """All outputs and all gradients of a layer under jit, and the program that JAX hands to XLA."""
    cls, options = KINDS[kind]
    keras.utils.set_random_seed(0)
    layer = cls(H, return_state=True, seed=3, **options)
    layer.build((B, T, I))
    fill(layer)
    dtype, training = options.get("dtype", "float32"), "no training" not in kind
    states = [random(rows, H, seed=5 + i, dtype=dtype) for i in range(len(layer.cell.maths.states))]
    mask = jax.numpy.asarray(MASK[:rows]) if "masked" in kind else None
    fixed = [v.value for v in layer.non_trainable_variables]

    def call(weights, x, states):
        return layer.stateless_call(weights, fixed, x, initial_state=states, mask=mask, training=training)[0]

    def loss(*given):
        return sum(jax.numpy.sin((i + 1.0) * output).sum() for i, output in enumerate(call(*given)))

    def step(*given):
        return call(*given), jax.grad(loss, argnums=(0, 1, 2))(*given)

    jax.clear_caches()
    given = [v.value for v in layer.trainable_variables], random(rows, T, I, dtype=dtype), states
    return jax.tree.leaves(jax.jit(step)(*given)), jax.jit(step).lower(*given).as_text()


def compare(kind):
    usable = jax_op.usable
    for rows in (B, 0):
        ours, program = compiled(kind, rows)
        assert jax_op.target() in program and "callback" not in program
        jax_op.usable = lambda call: False
        theirs, other = compiled(kind, rows)
        jax_op.usable = usable
        assert jax_op.target() not in other and "callback" in other
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b), (rows, a, b)
        assert any(np.any(a) for a in ours) or not rows
    print(f"{kind}: same")


def built():
    layer = layers.LSTM(H, return_sequences=True, dtype="float64")
    layer.build((B, T, I))
    fill(layer)
    return layer


def refusals():
    """No step, in the layer and in the custom call; attributes that the handler does not understand: its words come through."""
    layer, x = built(), np.zeros((B, 0, I))
    weights, states = [w.value for w in layer.trainable_variables], [jax.numpy.zeros((B, H))] * 2
    calls = [
        lambda: layer(x),
        lambda: jax.jit(layer)(x),
        lambda: jax_bridge.recurrent(layer.cell.maths, weights, jax.numpy.asarray(x), states, sequences=False)[1],
        lambda: jax.ffi.ffi_call(jax_op.target(), jax.ShapeDtypeStruct((2,), "float32"))(np.zeros(2, "float32")),
    ]
    for call in calls:
        try:
            jax.block_until_ready(call())
        except (ValueError, jax.errors.JaxRuntimeError) as error:
            print(" ".join(str(error).split()))


def transforms():
    """vmap, a scan, and what JAX would hand to a GPU: there the call goes through Python."""
    call = built()
    slope = jax.jit(jax.grad(lambda x: (call(x) ** 3).sum()))
    many = random(3, B, T, I)
    assert np.array_equal(jax.jit(jax.vmap(slope))(many), np.stack([slope(x) for x in many]))
    _, found = jax.jit(lambda many: jax.lax.scan(lambda carry, x: (carry, slope(x)), 0, many))(many)
    assert np.array_equal(found, np.stack([slope(x) for x in many]))
    host, jax_op.on_host = jax_op.on_host, lambda function, like, values: [jax.numpy.full(shape, 7, dtype) for shape, dtype in like]
    jax.clear_caches()
    for platform in ("cpu", "cuda"):
        text = jax.jit(call).trace(many[0]).lower(lowering_platforms=(platform,)).as_text()
        assert (jax_op.target() in text) == (platform == "cpu") and ("dense<7" in text) == (platform == "cuda")
    jax_op.on_host = host
    print("right")


def fallback():
    """Without jax.ffi, and with a library from another xla_handler.cpp: a warning says why, and the call goes through Python."""
    ffi, digest, x = jax.ffi, jax_op.sources.digest, random(B, T, I)
    expected = built()(x)
    for part in ("jax.ffi", "library"):
        jax.clear_caches()
        jax_op.registered.cache_clear()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if part == "jax.ffi":
                del jax.ffi
            else:
                jax_op.sources.digest = lambda *_: "another"
            assert np.array_equal(built()(x), expected)
            built()(x)
        jax.ffi, jax_op.sources.digest = ffi, digest
        print(*[str(warning.message) for warning in said if "JAX calls" in str(warning.message)], sep="\n")


def threads():
    """How many threads come up when a compiled call is told 1, 4, 2 of them."""
    layer = layers.LSTM(64)
    run, x = jax.jit(layer), np.ones((64, 20, 32), "float32")

    def more(count):
        backends.set_num_threads(count)
        before = len(os.listdir("/proc/self/task"))
        jax.block_until_ready([run(x), run(x)])
        return len(os.listdir("/proc/self/task")) - before

    more(1)
    print(more(1), more(4), more(2))


def cached():
    """A compiled call, which JAX may have from its folder; a digest of what it found."""
    layer = built()

    def lstm(x):
        return layer(x)

    print(hash(np.asarray(jax.jit(lstm)(random(B, T, I))).tobytes()))


CHECKS = {f.__name__: f for f in (refusals, transforms, fallback, threads, cached)}

if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for name in sys.argv[1:]:
        CHECKS[name]() if name in CHECKS else compare(name)
