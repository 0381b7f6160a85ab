"""to_keras: the way out to SavedModel, XLA and third-order gradients."""

from __future__ import annotations

from typing import Any

import keras

from .recurrent import LAYERS
from .stacked import RNN, StackedRNNCells

# as Keras names it in a saved model -> our layer or cell; its `twin` is the tf.keras class that computes the same, if there is one
CLASSES = [*(cls for layer in LAYERS.values() for cls in (layer, layer.cell_class)), RNN, StackedRNNCells]
OURS = {keras.saving.get_registered_name(cls): cls for cls in CLASSES}


def to_keras(model: Any) -> Any:
    """The same model, or the same layer, with the same weights and outputs, on tf.keras layers; also inside of wrappers.

    model: a Keras model or layer that can be serialized (get_config) and is built.
    Raises ValueError for a layer that tf.keras does not have, such as PeepholeLSTM, and for a model that is not built.
    """
    if not model.built:
        raise ValueError(f"to_keras: expected a built model, got {model.name!r} without weights; call it once on data")
    twin = keras.saving.deserialize_keras_object(translated(keras.saving.serialize_keras_object(model)))
    if not twin.built:
        twin.build_from_config(model.get_build_config())
    twin.set_weights(model.get_weights())
    return twin


def translated(config: Any) -> Any:
    """A serialized object with every layer of this package replaced by its tf.keras twin."""
    if isinstance(config, (list, tuple)):
        return type(config)(translated(part) for part in config)
    if not isinstance(config, dict):
        return config
    config = {name: translated(part) for name, part in config.items()}
    cls = OURS.get(config.get("registered_name"))
    if cls is not None:
        if cls.twin is None:
            raise ValueError(f"to_keras: {cls.__name__} has no tf.keras twin")
        config.update(module="keras.layers", class_name=cls.twin.__name__, registered_name=None)
        config["config"] = {key: value for key, value in config["config"].items() if key != "backend"}
    return config
