"""The encoder and decoder: built for training, and taken apart again to write a translation token by token.

    source -> embedding -> recurrent layers -> k [B,S,H]      the keys, one for each token of the source; and the final states
    target -> embedding -> recurrent layers -> y [B,T,H]      begins with the encoder's states
    attention(y, k) -> out [B,T,H] -> dense -> logits [B,T,V]
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .. import cells
from ..data.tokens import EOS, GO, PAD
from ..layers import Attention
from ..typing import Array
from . import models

BLOCK = 200  # sentences decoded side by side


def build(settings: dict[str, Any], V: int) -> keras.Model:
    """Source [B,S] and target [B,T] -> logits [B,T,V], out [B,T,H], and with attention p [B,T,S]."""
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    E, H = settings["embedding"], settings["units"]
    x = keras.layers.Embedding(V, E, mask_zero=True, name="source_embedding")(source)
    keys, states = models.stack(x, settings, prefix="encoder_")
    x = keras.layers.Embedding(V, E, name="target_embedding")(target)
    outputs, _ = models.stack(x, settings, states, prefix="decoder_")
    out, seen = outputs[-1], []
    if settings["attention"]:
        out, p = Attention(H, name="attention")([out, keys[-1]])
        seen = [p]
    if settings["dropout"]:
        out = keras.layers.Dropout(settings["dropout"], name="dropout_out")(out)
    return keras.Model([source, target], [keras.layers.Dense(V, name="logits")(out), out, *seen], name="translate")


class Translator:
    """Writes translations with a trained model, whose layers it shares."""

    def __init__(self, model: keras.Model, settings: dict[str, Any]):
        self.model, self.attention = model, settings["attention"]
        name, layers = settings["cell"], range(1, settings["layers"] + 1)
        self.encoder, self.decoder = ([model.get_layer(f"{side}{name}_{n}") for n in layers] for side in ("encoder_", "decoder_"))
        self.S = len(cells.by_name(name).states)
        codes, many = tf.TensorSpec([None, None], tf.int32), [tf.TensorSpec([None, settings["units"]])] * (self.S * len(layers))
        keys, mask = tf.TensorSpec([None, None, settings["units"]]), tf.TensorSpec([None, None], tf.bool)
        self.encode = tf.function(self._encode, input_signature=(codes,))
        self.step = tf.function(self._step, input_signature=(codes, keys, mask, many))

    def _encode(self, source: Any) -> Any:
        """source [B,S] -> keys [B,S,H], their mask, all final states."""
        mask, x, final = source != PAD, self.model.get_layer("source_embedding")(source), []
        for layer in self.encoder:
            x, *states = layer(x, mask=mask)
            final += states
        return x, mask, final

    def _step(self, codes: Any, keys: Any, mask: Any, states: Any) -> Any:
        """One token [N,1] -> log of the probabilities of the next [N,V], the states after it."""
        x, final = self.model.get_layer("target_embedding")(codes), []
        for n, layer in enumerate(self.decoder):
            x, *after = layer(x, initial_state=states[self.S * n : self.S * (n + 1)])
            final += after
        if self.attention:
            x, _ = self.model.get_layer("attention")([x, keys], mask=[None, mask])
        return tf.nn.log_softmax(self.model.get_layer("logits")(x)[:, 0]), final

    def translate(self, sources: list[list[int]], limit: int, width: int = 1) -> list[list[int]]:
        """The target's tokens for each source's, at most `limit`; width: of the beam, 1 is greedy."""
        order = sorted(range(len(sources)), key=lambda n: len(sources[n]))
        made: dict[int, list[int]] = {}
        for first in range(0, len(order), BLOCK):
            block = order[first : first + BLOCK]
            made.update(zip(block, self.beam(padded([sources[n] for n in block]), limit, width)))
        return [made[n] for n in range(len(sources))]

    def beam(self, source: Array, limit: int, width: int) -> list[list[int]]:
        """The likeliest of `width` candidates per row of source [B,S], by mean log-probability per token; each token is fed back.

        A candidate that has ended stays as it is. The search is over when all have.
        """
        B, K = len(source), width
        keys, mask, states = self.encode(tf.constant(source))
        keys, mask, states = (tf.nest.map_structure(lambda a: tf.repeat(a, K, axis=0), each) for each in (keys, mask, states))
        texts = np.full((B, K, limit + 1), PAD, np.int32)
        texts[:, :, 0] = GO
        ended, score = np.zeros((B, K), bool), np.where(np.arange(K) == 0, 0.0, -np.inf) * np.ones((B, 1))
        rows = np.arange(B)[:, None]
        for t in range(limit):
            log_p, states = self.step(tf.constant(texts[:, :, t].reshape(-1, 1)), keys, mask, states)
            log_p = log_p.numpy().astype("float64").reshape(B, K, -1)
            log_p[:, :, [PAD, GO]] = -np.inf
            log_p[ended] = np.where(np.arange(log_p.shape[2]) == PAD, 0.0, -np.inf)
            total, V = (score[:, :, None] + log_p).reshape(B, -1), log_p.shape[2]
            best = np.argsort(-total, axis=1, kind="stable")[:, :K] if K > 1 else total.argmax(axis=1)[:, None]
            came, code = best // V, best % V
            texts, ended, score = texts[rows, came], ended[rows, came], total[rows, best]
            texts[:, :, t + 1] = code
            ended |= (code == EOS) | (code == PAD)
            if ended.all():
                break
            places = tf.constant((rows * K + came).ravel())
            states = [tf.gather(state, places) for state in states] if K > 1 else states
        length = np.maximum((texts[:, :, 1:] != PAD).sum(axis=2), 1)
        chosen = texts[np.arange(B), (score / length).argmax(axis=1), 1:]
        return [row[(row != PAD) & (row != EOS)].tolist() for row in chosen]

    def weights(self, source: list[int], target: list[int]) -> Array:
        """p [T,S]: where each token of `target`, and the end, was looked for in the source."""
        return self.model([np.array([source], np.int32), np.array([[GO, *target]], np.int32)], training=False)[2].numpy()[0]


def padded(rows: list[list[int]]) -> Array:
    """Token rows of any lengths as int32 [B,T], with PAD behind their ends."""
    made = np.full((len(rows), max(map(len, rows))), PAD, np.int32)
    for row, codes in zip(made, rows):
        row[: len(codes)] = codes
    return made
