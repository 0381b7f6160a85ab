"""Skip-gram embeddings: a word's vector is to tell its neighbours in the text from words drawn at random (nce.py has the loss).

An epoch is `batches` batches, each of some words of the text with all their neighbours; the text is gone through in random order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..data import InputError
from ..data import words as data
from ..typing import Array
from . import nearest, word_plots
from .lazy_adam import LazyAdam
from .loop import Program
from .negatives import Negatives

LABELS = {"loss": "noise-contrastive loss (nats per pair)", "true": "loss of the true pair (nats per pair)"}
AT_START = 20  # batches whose mean loss is told from before the first step
SHOWN = 500  # words in tsne.png


def prepare(settings: dict[str, Any]) -> Program:
    text = data.load(settings["data"], settings["vocabulary"])
    check_size(text, settings)
    drawn = Negatives(len(text.words), settings["negatives"], "--negatives")
    model = build(settings, len(text.words))
    matrices = [model.get_layer(name).embeddings.value for name in ("words", "contexts")]
    optimizer = LazyAdam(settings["learning_rate"], matrices)
    at_start = np.mean([measure(matrices, *batch)[0] for batch in first_batches(text.codes, drawn, settings)])

    def judged() -> dict[str, float]:
        return nearest.judge(matrices[0].numpy(), text.words)

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        vectors = matrices[0].numpy()
        groups = {word: name for name, members in data.GROUPS.items() for word in members.split()}
        shown = [word for word in text.words if word != data.UNKNOWN][:SHOWN]
        picture, kept = word_plots.words(vectors[[text.words.index(word) for word in shown]], shown, groups, settings["seed"])
        files = {
            "embeddings.npy": lambda path: np.save(path, vectors),
            "embeddings.txt": lambda path: write_text(path, text.words, vectors),
            "tsne.png": picture,
        }
        return {"loss_at_start": float(at_start), **judged(), "tsne_neighbours_kept": kept}, files

    return Program(
        data={
            "source": text.source,
            "sizes": {"words": len(text.codes), "in the vocabulary": len(text.words)},
            "notes": notes(text, settings),
            "sha256": text.sha256,
        },
        title=f"word2vec, {settings['embedding']} numbers a word, lazy Adam {settings['learning_rate']:g}, batch {settings['batch_size']}",
        model=model,
        optimizer=optimizer,
        labels=LABELS,
        examples=settings["batches"] * settings["batch_size"],
        batches=partial(batches, text.codes, drawn, settings),
        step=make_step(matrices, optimizer),
        validate=judged,
        finish=finish,
        watched=False,  # no loss on other text: what is asked is which words lie near each other
        files={"vocabulary.json": text.words},
    )


def check_size(text: data.Words, settings: dict[str, Any]) -> None:
    """Raise InputError if a batch does not fit the window, or the text is shorter than a batch."""
    width = 2 * settings["window"]
    if settings["batch_size"] % width:
        raise InputError(f"--batch-size: expected a multiple of the {width} neighbours of a word, got {settings['batch_size']}")
    needed = settings["batch_size"] // width + width
    if len(text.codes) < needed:
        raise InputError(f"{text.source}: expected at least {needed:,} words for --batch-size and --window, got {len(text.codes):,}")


def notes(text: data.Words, settings: dict[str, Any]) -> list[str]:
    if text.types < settings["vocabulary"]:
        return [f"--vocabulary {settings['vocabulary']}: there are only {text.types:,} different words"]
    unknown = text.counts[text.words.index(data.UNKNOWN)] / len(text.codes) if data.UNKNOWN in text.words else 0
    return [f"{text.types:,} different words; those beyond the vocabulary are {unknown:.1%} of the text, read as {data.UNKNOWN}"]


def build(settings: dict[str, Any], V: int) -> keras.Model:
    """Word and neighbour [B] -> the score of the pair, h . w + b; the last column of `contexts` is b."""
    D, r = settings["embedding"], settings["init_range"]
    word, neighbour = (keras.Input((), dtype="int32", name=name) for name in ("word", "neighbour"))
    uniform = keras.initializers.RandomUniform(-r, r, seed=settings["seed"])
    h = keras.layers.Embedding(V, D, embeddings_initializer=uniform, name="words")(word)
    w = keras.layers.Embedding(V, D + 1, embeddings_initializer="zeros", name="contexts")(neighbour)
    return keras.Model([word, neighbour], keras.ops.sum(h * w[:, :-1], axis=-1) + w[:, -1], name="word2vec")


def batches(codes: Array, drawn: Negatives, settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Array, ...]]:
    """words [B], neighbours [B], false ones [K], logs of the expected counts of the last two; by (seed, epoch, batch) alone."""
    window, seed = settings["window"], settings["seed"]
    around = np.array([n for n in range(-window, window + 1) if n])
    count = settings["batch_size"] // len(around)  # words of the text in a batch
    per_pass = (len(codes) - 2 * window) // count
    for n in range(first, settings["batches"]):
        done, place = divmod((epoch - 1) * settings["batches"] + n, per_pass)
        middle = order(len(codes) - 2 * window, seed, done)[place * count : (place + 1) * count] + window
        neighbours = codes[middle[:, None] + around].ravel()
        false, tries = drawn.draw(np.random.default_rng([seed, epoch, n]))
        yield (
            np.repeat(codes[middle], len(around)),
            neighbours,
            false,
            drawn.log_expected(neighbours, tries),
            drawn.log_expected(false, tries),
        )


@lru_cache(maxsize=1)
def order(size: int, seed: int, done: int) -> Array:
    """The order in which pass number `done` goes through the words of the text."""
    return np.random.default_rng([seed, done]).permutation(size).astype(np.int32)


def first_batches(codes: Array, drawn: Negatives, settings: dict[str, Any]) -> list[tuple[Array, ...]]:
    return [batch for _, batch in zip(range(AT_START), batches(codes, drawn, settings, 1))]


def measure(matrices: list[Any], words: Any, neighbours: Any, false: Any, log_expected: Any, log_expected_false: Any) -> tuple[Any, ...]:
    """The loss, its part from true pairs, and gradients: the same lines as nce.py, in TensorFlow's operations."""
    embeddings, contexts = matrices
    h, w, w_false = tf.gather(embeddings, words), tf.gather(contexts, neighbours), tf.gather(contexts, false)
    a_true = tf.reduce_sum(h * w[:, :-1], axis=1) + w[:, -1] - log_expected
    a_false = tf.matmul(h, w_false[:, :-1], transpose_b=True) + w_false[:, -1] - log_expected_false
    true = tf.reduce_mean(tf.nn.softplus(-a_true))
    loss = true + tf.reduce_mean(tf.reduce_sum(tf.nn.softplus(a_false), axis=1))
    B = tf.cast(tf.shape(h)[0], h.dtype)
    da_true, da_false = -tf.sigmoid(-a_true)[:, None] / B, tf.sigmoid(a_false) / B
    dh = da_true * w[:, :-1] + tf.matmul(da_false, w_false[:, :-1])
    dw = tf.concat([da_true * h, da_true], axis=1)
    dw_false = tf.concat([tf.matmul(da_false, h, transpose_a=True), tf.reduce_sum(da_false, axis=0)[:, None]], axis=1)
    return loss, true, dh, tf.concat([dw, dw_false], axis=0)


def make_step(matrices: list[Any], optimizer: LazyAdam) -> Any:
    ids, numbers = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)

    @tf.function(input_signature=(ids, ids, ids, numbers, numbers))
    def step(words, neighbours, false, log_expected, log_expected_false):
        loss, true, dh, dw = measure(matrices, words, neighbours, false, log_expected, log_expected_false)
        optimizer.move((words, dh), (tf.concat([neighbours, false], axis=0), dw))
        return loss, true

    return step


def both_steps(settings: dict[str, Any]) -> list[Any]:
    """A step of ours, and one with Keras' Adam, which moves all rows, on the same batch of noise: for times."""
    V, rng = settings["vocabulary"], np.random.default_rng(0)
    ids = [rng.integers(0, V, count).astype(np.int32) for count in (settings["batch_size"], settings["batch_size"], settings["negatives"])]
    batch = (*ids, *(np.zeros(len(part), np.float32) for part in ids[1:]))
    steps = []
    for lazy in (True, False):
        matrices = [model.get_layer(name).embeddings.value for model in [build(settings, V)] for name in ("words", "contexts")]
        steps.append(make_step(matrices, LazyAdam(settings["learning_rate"], matrices)) if lazy else keras_step(matrices, settings))
    return [lambda step=step: float(step(*batch)[0]) for step in steps]


def keras_step(matrices: list[Any], settings: dict[str, Any]) -> Any:
    variables = [keras.Variable(matrix) for matrix in matrices]
    optimizer = keras.optimizers.Adam(settings["learning_rate"])
    optimizer.build(variables)

    @tf.function
    def step(words, neighbours, false, *constants):
        loss, true, dh, dw = measure([variable.value for variable in variables], words, neighbours, false, *constants)
        ids = words, tf.concat([neighbours, false], axis=0)
        slices = [tf.IndexedSlices(d, rows, tf.shape(v.value)) for d, rows, v in zip((dh, dw), ids, variables)]
        optimizer.apply_gradients(zip(slices, variables))
        return loss, true

    return step


def write_text(path: Path, words: list[str], vectors: Array) -> None:
    """word2vec's text form: a line with V and D, then a line for each word."""
    form = "%s" + " %.6g" * vectors.shape[1] + "\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n")
        for word, row in zip(words, vectors.tolist()):
            file.write(form % (word, *row))
