"""New text from a character model: one character at a time, the states carried on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from ..backends import stepper
from ..backends.stepper import Stepper
from ..data import InputError, abc
from ..data import text as data
from ..layers.recurrent import Recurrent
from ..typing import Array

LONGEST = 2000  # characters of a tune
# Read before a new tune begins. Training carries the states on, so that a model hardly ever sees zeros, and starts badly from them.
READ_BEFORE = "X:1\nT:Scale\nM:4/4\nL:1/8\nK:C\nCDEF GABc|cBAG FEDC|CDEF GABc|cBAG FEDC|]\n\n\n"


def sample(model: keras.Model, prime: Array, temperature: float, seed: int) -> Iterator[Array]:
    """Codes [B] of the next character, without end.

    prime [B,T]: what the model has read before. temperature: the logits are divided by it; 0 takes the likeliest character.
    """
    rng, read = np.random.default_rng(seed), reader(model, len(prime))
    for codes in prime.T[:-1]:
        read(codes)
    picked = prime[:, -1]
    while True:
        z = read(picked).astype("float64")
        if temperature:
            z = z / temperature + rng.gumbel(size=z.shape)  # the largest of these is a draw from softmax(z / temperature)
        picked = z.argmax(axis=1)
        yield picked


def reader(model: keras.Model, batch: int) -> Callable[[Array], Array]:
    """read(codes [B]) -> logits [B,V] of the character after them. The states begin with zeros and are kept from call to call.

    A layer on backend native or reference is stepped there, any other where Stepper's "auto" says.
    """
    embedding, (kernel, bias) = model.get_layer("embedding").get_weights()[0], model.get_layer("logits").get_weights()
    steppers = []
    for layer in model.layers:
        if isinstance(layer, Recurrent):
            backend = layer.backend if layer.backend in stepper.BACKENDS else "auto"
            steppers.append(Stepper(layer.cell.maths, layer.cell.params(), batch, backend=backend))

    def read(codes: Array) -> Array:
        h = embedding[codes]
        for layer in steppers:
            h = layer.step(h)
        return h @ kernel + bias

    return read


def generate(run_dir: str | Path, prime: str | None, length: int, temperature: float, seed: int) -> Iterator[str]:
    """`prime`, then `length` characters one by one; None: a new line, or what the text of the training has instead. Raises InputError."""
    model, characters = load(run_dir)
    if prime is None:
        prime = next((character for character in "\n " if character in characters), characters[0])
    if not prime:
        raise InputError("--prime: expected at least one character")
    drawn = sample(model, data.numbers_of(prime, characters, "--prime")[None], temperature, seed)
    return itertools.chain([prime], (characters[next(drawn)[0]] for _ in range(length)))


def generate_tunes(run_dir: str | Path, count: int, temperature: float, seed: int) -> list[str]:
    """`count` tunes in ABC notation. Raises InputError."""
    model, characters = load(run_dir)
    data.numbers_of("X:1\n", characters, f"{run_dir}: not trained on ABC tunes")
    return sample_tunes(model, characters, count, temperature, seed)


def sample_tunes(model: keras.Model, characters: list[str], count: int, temperature: float = 1.0, seed: int = 0) -> list[str]:
    """`count` tunes, each from "X:1" to its first empty line, drawn side by side."""
    before = "".join(letter for letter in READ_BEFORE if letter in characters)
    prime = np.tile(data.numbers_of(before + "X:1\n", characters, "prime"), (count, 1))
    texts, drawn = ["X:1\n"] * count, sample(model, prime, temperature, seed)
    for _ in range(LONGEST):
        if all("\n\n" in text for text in texts):
            break
        texts = [text + characters[code] for text, code in zip(texts, next(drawn))]
    return [(abc.tunes_of(text) or [text])[0] for text in texts]


def load(run_dir: str | Path) -> tuple[keras.Model, list[str]]:
    """The model and its vocabulary. Raises InputError."""
    from .training import load_model, read_json

    run, model = load_model(run_dir, "char")
    path = run.path / "vocabulary.json"
    characters = read_json(path)
    if not isinstance(characters, list) or len(characters) != model.outputs[0].shape[-1]:
        raise InputError(f"{path}: damaged: expected a list of {model.outputs[0].shape[-1]} characters")
    return model, characters
