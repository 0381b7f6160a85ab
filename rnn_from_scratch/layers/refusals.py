"""What these layers refuse, in words that say what to do instead."""

from __future__ import annotations

from typing import Any

import keras

INSTEAD = "rnn_from_scratch.layers.to_keras(model) returns the same model, with the same weights, on tf.keras layers"
THIRD_ORDER = f"third-order gradients: these layers have gradients, and gradients of gradients, but no more. {INSTEAD}: use that one"


def refuse_savedmodel(layer: Any, save_type: str) -> None:
    """Raise ValueError for a SavedModel export: TensorFlow would write it, and fail to run it in the next process."""
    if save_type == "savedmodel":
        name = type(layer).__name__
        refuse_tflite_too()
        raise ValueError(f"SavedModel export: {name} runs Python code, which a SavedModel cannot hold. {INSTEAD}: export that one")


def checked(layer: Any, sequences: Any) -> Any:
    """The sequences, if they have a step, and are as many as the states of a stateful layer.

    Raises ValueError; in a graph that learns of the batch size only when it runs, where Keras looks away, InvalidArgumentError.
    """
    if sequences.shape[1] == 0:
        raise ValueError(f"sequences: expected [B, T, I] with T of at least 1, got {list(sequences.shape)}")
    if not layer.stateful or layer.states is None:
        return sequences
    expected = keras.tree.flatten(layer.states)[0].shape[0]
    message = (
        "If an RNN is stateful, the batch size of the input sequences must be the same as the batch size of the initial state. "
        "Choose a batch_size that divides the number of sequences, or leave the rest out: dataset.batch(n, drop_remainder=True). "
        f"Expected batch size: {expected}, received batch size:"  # in one line: TensorFlow shows no others
    )
    if sequences.shape[0] not in (None, expected):
        raise ValueError(f"{message} {sequences.shape[0]}")
    if sequences.shape[0] is None:
        import tensorflow as tf  # no other framework learns of a shape when it runs

        with tf.control_dependencies([tf.debugging.Assert(tf.shape(sequences)[0] == expected, [message, tf.shape(sequences)[0]])]):
            return tf.identity(sequences)
    return sequences


def refuse_tflite_too() -> None:
    """Have TFLiteConverter refuse in words of ours.

    It first tries a SavedModel, and swallows whatever that raises. Then it traces the model within Keras' call context, which
    Keras 3 does not have ("'NoneType' object is not callable"). That context is the one place where it asks for anything.
    """
    from tensorflow.python.util import keras_deps

    before = keras_deps.get_call_context_function()

    class CallContext:
        layer = None  # TensorFlow asks which layer is being called

        def enter(self, model: Any, *args: Any, **options: Any) -> Any:
            keras_deps.register_call_context_function(before)
            ours = [type(part).__name__ for part in model._flatten_layers() if is_ours(part)]
            if ours:
                what = f"{ours[0]} calls kernels that TFLite does not have"
                raise ValueError(f"TFLite: convert rnn_from_scratch.layers.to_keras(model) in place of the model: {what}. {INSTEAD}")
            return before().enter(model, *args, **options)

    if getattr(before, "__module__", "") != __name__:
        keras_deps.register_call_context_function(CallContext)


def is_ours(layer: Any) -> bool:
    """Is it a layer or cell of this package, or of a class made from one?"""
    return any(cls.__module__.startswith(f"{__package__}.") for cls in type(layer).__mro__)
