"""Text, one character after the other: embedding -> recurrent layers -> the next character's probabilities.

The training text is cut into `batch_size` streams, read side by side, `bptt` characters at a time: gradients go back to the beginning of
such a piece and no further (truncated backpropagation through time), the states are carried on from piece to piece.
The last 5 % of the text are for validation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .. import cells
from ..data import InputError, abc
from ..data import text as data
from ..typing import Array
from . import models
from .loop import Program
from .sampling import sample_tunes

LABELS = {"loss": "cross-entropy (nats per character)", "bits": "cross-entropy (bits per character)"}
HELD_OUT = 0.05
STREAMS = 20  # the validation text is read in so many streams, each from zero states
TUNES, TEMPERATURE = 50, 0.7


def prepare(settings: dict[str, Any]) -> Program:
    text = data.load(settings["data"])
    training, validation = divide(text.codes, settings, text.source)
    model = build(settings, len(text.characters))
    optimizer = models.optimizer(settings, model)
    carried = [tf.Variable(tf.zeros([settings["batch_size"], settings["units"]]), trainable=False) for _ in model.inputs[1:]]

    def measure(x, y):
        logits, *states = model([x, *map(tf.convert_to_tensor, carried)], training=True)
        for variable, state in zip(carried, states):
            variable.assign(tf.cast(state, variable.dtype))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        return loss, loss / np.log(2)

    def begin() -> None:
        for variable in carried:
            variable.assign(tf.zeros_like(variable))

    def validate() -> dict[str, float]:
        loss = evaluate(model, validation)
        return {"validation_loss": loss, "validation_bits": loss / math.log(2)}

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        loss = evaluate(model, validation)
        results = {"bits_per_character": loss / math.log(2), "perplexity": float(np.exp(loss))}
        results["unigram_bits"] = unigram_bits(training, validation, len(text.characters))
        return results | judge_tunes(model, text.characters, data.decode(validation, text.characters)), {}

    pieces = tf.TensorSpec([settings["batch_size"], settings["bptt"]], tf.int32)
    return Program(
        data={
            "source": text.source,
            "sizes": {
                "characters of training": len(training),
                "of validation": len(validation),
                "different ones": len(text.characters),
            },
            "sha256": text.sha256,
        },
        title=f"char, {models.title(settings)}",
        model=model,
        optimizer=optimizer,
        labels=LABELS,
        examples=count(training, settings) * settings["batch_size"] * settings["bptt"],
        batches=partial(batches, training, settings),
        step=models.make_step(model, optimizer, measure, pieces, pieces),
        validate=validate,
        finish=finish,
        size=lambda x, y: x.size,
        carried=tuple(carried),
        begin=begin,
        judge=judge,
        curves={"bits": LABELS["bits"]},  # nats are the same curve
        files={"vocabulary.json": text.characters},
    )


def judge(results: dict[str, Any]) -> list[str]:
    if results["bits_per_character"] < results["unigram_bits"]:
        return []
    return ["The model does not beat letters by frequency alone: train it longer."]


def divide(codes: Array, settings: dict[str, Any], source: str) -> tuple[Array, Array]:
    """Codes for training and for validation. Raises InputError, which names `source`, if there are too few for a single batch."""
    cut = int(len(codes) * (1 - HELD_OUT))
    needed = settings["batch_size"] * settings["bptt"] + 1
    if cut < needed or len(codes) - cut < 2 * STREAMS:
        expected = max(int(needed / (1 - HELD_OUT)) + 1, int(2 * STREAMS / HELD_OUT))
        raise InputError(f"{source}: expected at least {expected:,} characters for --batch-size and --bptt, got {len(codes):,}")
    return codes[:cut], codes[cut:]


def build(settings: dict[str, Any], characters: int) -> keras.Model:
    """[B,T] codes and the states that the layers begin with -> logits [B,T,V] and the final states."""
    codes = keras.Input((None,), dtype="int32", name="codes")
    S = len(cells.by_name(settings["cell"]).states)
    states = [keras.Input((settings["units"],), name=f"state_{n}") for n in range(S * settings["layers"])]
    x = keras.layers.Embedding(characters, settings["embedding"], name="embedding")(codes)
    outputs, final = models.stack(x, settings, states)
    return keras.Model([codes, *states], [keras.layers.Dense(characters, name="logits")(outputs[-1]), *final], name="char")


def count(training: Array, settings: dict[str, Any]) -> int:
    """Batches in an epoch."""
    return (len(training) // settings["batch_size"] - 1) // settings["bptt"] or 1


def batches(training: Array, settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Array, Array]]:
    """Pieces of the streams from number `first`: codes [B,T] and the codes one later; the same in every epoch."""
    B, T = settings["batch_size"], settings["bptt"]
    L = (len(training) - 1) // B
    starts = np.arange(B)[:, None] * L
    for n in range(first, count(training, settings)):
        window = training[starts + np.arange(n * T, (n + 1) * T + 1)].astype(np.int32)
        yield window[:, :-1], window[:, 1:]


def evaluate(model: keras.Model, codes: Array, piece: int = 500) -> float:
    """Mean cross-entropy in nats over codes [N], read in STREAMS streams with carried states."""
    streams = codes[: (len(codes) - 1) // STREAMS * STREAMS].reshape(STREAMS, -1).astype(np.int32)
    states = [tf.zeros([STREAMS, state.shape[-1]]) for state in model.inputs[1:]]
    total, seen = 0.0, 0
    for start in range(0, streams.shape[1] - 1, piece):
        window = streams[:, start : start + piece + 1]
        logits, *states = model([tf.constant(window[:, :-1]), *states], training=False)
        total += float(tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(window[:, 1:], logits)))
        seen += window[:, 1:].size
    return total / seen


def unigram_bits(training: Array, validation: Array, characters: int) -> float:
    """Bits per character for who knows only how often each character comes in the training text."""
    blocks = range(0, len(training), data.BLOCK)  # bincount makes eight bytes of every code
    counts = np.ones(characters)
    for start in blocks:
        counts += np.bincount(training[start : start + data.BLOCK], minlength=characters)
    return float(-np.log2(counts / counts.sum())[validation].mean())


def judge_tunes(model: keras.Model, characters: list[str], validation: str) -> dict[str, Any]:
    """For ABC tunes: how many of the held-out ones, of the same with shuffled lines, and of new ones are well formed."""
    real = abc.tunes_of(validation)[:-1]  # the last one may be cut
    if len(real) < 10 or not set("X:1\n") <= set(characters):
        return {}
    new = sample_tunes(model, characters, TUNES, TEMPERATURE)
    return {
        "tunes_held_out": len(real),
        "held_out_well_formed": abc.accepted(real),
        "shuffled_well_formed": abc.accepted(abc.shuffled(tune, n) for n, tune in enumerate(real)),
        "generated_well_formed": abc.accepted(new),
    }
