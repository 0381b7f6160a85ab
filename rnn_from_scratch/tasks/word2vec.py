"""Skip-gram embeddings: a word's vector is to tell its neighbours in the text from words drawn at random (nce.py has the loss).

An epoch is `batches` batches of pairs: a word of the text and one of its neighbours. The text is gone through in random order, each
word with a neighbour drawn anew: a batch of many different words teaches more than one in which every word comes with all of its own.
A step is NumPy's: of few rows, TensorFlow's operations would spend most of their time on being called.
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
from . import nce, nearest, word_plots
from .lazy_adam import LazyAdam, Table, Variable
from .loop import Program
from .negatives import Negatives

LABELS = {"loss": "noise-contrastive loss (nats per pair)", "true": "loss of the true pair (nats per pair)"}
AT_START = 20  # batches whose mean loss is told from before the first step


def prepare(settings: dict[str, Any]) -> Program:
    text = data.load(settings["data"], settings["vocabulary"])
    check_size(text, settings)
    drawn = Negatives(len(text.words), settings["negatives"], "--negatives")
    model = Model(settings, len(text.words))
    optimizer = LazyAdam(settings["learning_rate"], model.tables)
    first = zip(range(AT_START), batches(text.codes, drawn, settings, 1))
    at_start = np.mean([sum(nce.losses(*nce.scores(*rows(model.tables, *batch), *batch[3:]))) for _, batch in first])

    def judged() -> dict[str, float]:
        return nearest.judge(model.tables[0].rows, text.words)

    def finish() -> tuple[dict[str, Any], dict[str, Any]]:
        vectors = np.array(model.tables[0].rows)
        shown, groups = word_plots.shown(text.words)
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
        step=partial(step, model.tables, optimizer),
        validate=judged,
        finish=finish,
        watched=False,  # no loss on other text: what is asked is which words lie near each other
        files={"vocabulary.json": text.words},
    )


def check_size(text: data.Words, settings: dict[str, Any]) -> None:
    """Raise InputError if the text is shorter than a batch."""
    needed = settings["batch_size"] + 2 * settings["window"]
    if len(text.codes) < needed:
        raise InputError(f"{text.source}: expected at least {needed:,} words for --batch-size and --window, got {len(text.codes):,}")


def notes(text: data.Words, settings: dict[str, Any]) -> list[str]:
    if text.types < settings["vocabulary"]:
        return [f"--vocabulary {settings['vocabulary']}: there are only {text.types:,} different words"]
    unknown = text.counts[text.words.index(data.UNKNOWN)] / len(text.codes) if data.UNKNOWN in text.words else 0
    return [f"{text.types:,} different words; those beyond the vocabulary are {unknown:.1%} of the text, read as {data.UNKNOWN}"]


class Model:
    """The vectors of the words, and those of their neighbours, whose last column is the bias."""

    def __init__(self, settings: dict[str, Any], V: int):
        D, r = settings["embedding"], settings["init_range"]
        drawn = np.random.default_rng(settings["seed"]).uniform(-r, r, (V, D)).astype(np.float32)
        self.tables = [Table(drawn), Table(np.zeros((V, D + 1), np.float32))]
        self.variables = [Variable(table.rows) for table in self.tables]

    def save(self, path: Path) -> None:
        as_keras(*(variable.numpy() for variable in self.variables)).save(path)


def as_keras(words: Array, contexts: Array) -> keras.Model:
    """Word and neighbour [B] -> the score of the pair, h . w + b."""
    word, neighbour = (keras.Input((), dtype="int32", name=name) for name in ("word", "neighbour"))
    h = keras.layers.Embedding(*words.shape, weights=words, name="words")(word)
    w = keras.layers.Embedding(*contexts.shape, weights=contexts, name="contexts")(neighbour)
    return keras.Model([word, neighbour], keras.ops.sum(h * w[:, :-1], axis=-1) + w[:, -1], name="word2vec")


def batches(codes: Array, drawn: Negatives, settings: dict[str, Any], epoch: int, first: int = 0) -> Iterator[tuple[Array, ...]]:
    """words [B], neighbours [B], false ones [K], logs of the expected counts of the last two; by (seed, epoch, batch) alone."""
    window, seed, B = settings["window"], settings["seed"], settings["batch_size"]
    around = np.array([n for n in range(-window, window + 1) if n])
    per_pass = (len(codes) - 2 * window) // B
    for n in range(first, settings["batches"]):
        done, place = divmod((epoch - 1) * settings["batches"] + n, per_pass)
        middle = order(len(codes) - 2 * window, seed, done)[place * B : (place + 1) * B] + window
        rng = np.random.default_rng([seed, epoch, n])
        neighbours = codes[middle + around[rng.integers(len(around), size=B)]]
        false, tries = drawn.draw(rng)
        yield codes[middle], neighbours, false, drawn.log_expected(neighbours, tries), drawn.log_expected(false, tries)


@lru_cache(maxsize=1)
def order(size: int, seed: int, done: int) -> Array:
    """The order in which pass number `done` goes through the words of the text."""
    return np.random.default_rng([seed, done]).permutation(size).astype(np.int32)


def rows(tables: list[Table], words: Array, neighbours: Array, false: Array, *_: Array) -> tuple[Array, Array, Array]:
    """h [B,D], w [B,D+1], w_false [K,D+1] of a batch."""
    return tables[0].rows[words], tables[1].rows[neighbours], tables[1].rows[false]


def step(tables: list[Table], optimizer: LazyAdam, words: Array, neighbours: Array, false: Array, *constants: Array) -> tuple[Any, Any]:
    """One step of training; the loss and its part from true pairs, both from before it."""
    h, w, w_false = rows(tables, words, neighbours, false)
    a_true, a_false = nce.scores(h, w, w_false, *constants)
    dh, dw, dw_false = nce.gradients(h, w, w_false, a_true, a_false, np.ones((), h.dtype))
    optimizer.move((words, dh), (np.concatenate([neighbours, false]), np.concatenate([dw, dw_false])))
    of_true, of_false = nce.losses(a_true, a_false)
    return of_true + of_false, of_true


def both_steps(settings: dict[str, Any]) -> list[Any]:
    """A step of ours, and one of TensorFlow's loss with Keras' Adam, which moves all rows, on the same batch of noise: for times."""
    model, rng = Model(settings, settings["vocabulary"]), np.random.default_rng(0)
    sizes = settings["batch_size"], settings["batch_size"], settings["negatives"]
    ids = [rng.integers(0, settings["vocabulary"], size).astype(np.int32) for size in sizes]
    batch = (*ids, *(np.zeros(len(part), np.float32) for part in ids[1:]))
    ours = partial(step, model.tables, LazyAdam(settings["learning_rate"], model.tables))
    return [lambda step=step: float(step(*batch)[0]) for step in (ours, keras_step(model, settings))]


def keras_step(model: Model, settings: dict[str, Any]) -> Any:
    V, K, (words, contexts) = settings["vocabulary"], settings["negatives"], (table.rows for table in model.tables)
    variables = [keras.Variable(part) for part in (words, contexts[:, :-1], contexts[:, -1])]
    optimizer = keras.optimizers.Adam(settings["learning_rate"])
    optimizer.build(variables)

    @tf.function
    def step(words, neighbours, false, *logs):
        drawn = tf.cast(false, tf.int64), tf.exp(logs[0])[:, None], tf.exp(logs[1])
        h, w, b = (variable.value for variable in variables)
        with tf.GradientTape() as tape:
            right = tf.cast(neighbours, tf.int64)[:, None]
            loss = tf.reduce_mean(tf.nn.nce_loss(w, b, right, tf.gather(h, words), K, V, sampled_values=drawn))
        optimizer.apply_gradients(zip(tape.gradient(loss, [h, w, b]), variables))
        return loss, loss

    return step


def write_text(path: Path, words: list[str], vectors: Array) -> None:
    """word2vec's text form: a line with V and D, then a line for each word."""
    form = "%s" + " %.6g" * vectors.shape[1] + "\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n")
        for word, row in zip(words, vectors.tolist()):
            file.write(form % (word, *row))
