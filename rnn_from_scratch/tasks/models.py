"""What the models of the tasks share: a stack of recurrent layers, the train step, the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .. import cells
from ..data import InputError
from ..layers.recurrent import layer_for
from ..typing import Array

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adagrad": keras.optimizers.Adagrad,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def class_name(settings: dict[str, Any]) -> str:
    return type(cells.by_name(settings["cell"])).__name__


def stack(x: Any, settings: dict[str, Any], states: list[Any] | None = None, prefix: str = "") -> tuple[list[Any], list[Any]]:
    """`layers` recurrent layers, one upon the other, with dropout on the input of each (a new mask for every step, as in the book).

    x [B,T,I]; states: those that the layers begin with, flat, or None for zeros; prefix: of the layers' names.
    Returns every layer's output [B,T,H] and all final states, flat.
    """
    outputs, final = [], []
    try:
        layer_class = layer_for(settings["cell"])
    except ValueError as error:  # a cell of the table without a layer: the user's choice, not a bug
        raise InputError(f"--{error}") from error
    S = len(cells.by_name(settings["cell"]).states)
    for n in range(settings["layers"]):
        if settings["dropout"]:
            x = keras.layers.Dropout(settings["dropout"], name=f"{prefix}dropout_{n + 1}")(x)
        options = {"activation": settings["activation"], "backend": settings["backend"], "name": f"{prefix}{settings['cell']}_{n + 1}"}
        layer = layer_class(settings["units"], **options, return_sequences=True, return_state=True)
        x, *last = layer(x, initial_state=states[S * n : S * (n + 1)] if states else None)
        outputs.append(x)
        final += last
    return outputs, final


def optimizer(settings: dict[str, Any], model: keras.Model) -> keras.Optimizer:
    made = OPTIMIZERS[settings["optimizer"]](settings["learning_rate"], global_clipnorm=settings["clip"] or None)
    made.build(model.trainable_variables)
    return made


def make_step(model: keras.Model, optimizer: keras.Optimizer, measure: Callable, *specs: tf.TensorSpec) -> Callable[..., tuple[Any, Any]]:
    """step(*batch) -> loss and metric, both from before the weights move. measure(*batch) -> the same, with training=True."""

    @tf.function(input_signature=specs)
    def step(*batch):
        with tf.GradientTape() as tape:
            loss, metric = measure(*batch)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss, metric

    return step


def errors(model: keras.Model) -> Callable:
    """What make_step needs of a model of numbers: mean squared and mean absolute error."""

    def measure(x, y):
        difference = model(x, training=True) - y
        return tf.reduce_mean(tf.square(difference)), tf.reduce_mean(tf.abs(difference))

    return measure


def make_infer(model: keras.Model, prepare: Callable[[Array], Array] = np.asarray, batch_size: int = 1000) -> Callable[[Array], Array]:
    """infer(x [N,...]) -> the model's answers as float64, without dropout; prepare: what x needs to become the model's input."""
    infer_block = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def infer(x: Array) -> Array:
        parts = [infer_block(prepare(x[n : n + batch_size])).numpy() for n in range(0, len(x), batch_size)]
        return np.concatenate(parts).astype("float64")

    return infer


def title(settings: dict[str, Any]) -> str:
    name = settings["optimizer"].capitalize()
    shape = f"{settings['layers']} x {class_name(settings)}({settings['units']})"
    return f"{shape}, {name} {settings['learning_rate']:g}, batch {settings['batch_size']}"
