"""What these layers refuse, in words that say what to do instead."""

from __future__ import annotations

from typing import Any

INSTEAD = "rnn_from_scratch.layers.to_keras(model) returns the same model, with the same weights, on tf.keras layers"
SECOND_ORDER = f"second-order gradients: the backward pass of these layers is itself not differentiable. {INSTEAD}: use that one"


def refuse_savedmodel(layer: Any, save_type: str) -> None:
    """Raise ValueError for a SavedModel export: TensorFlow would write it, and fail to run it in the next process."""
    if save_type == "savedmodel":
        name = type(layer).__name__
        raise ValueError(f"SavedModel export: {name} runs Python code, which a SavedModel cannot hold. {INSTEAD}: export that one")
