"""Attention of a decoder over an encoder's outputs, as a Keras layer. attention_by_hand.py has its equations and gradients."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from .framework import bridge
from .step import register


@register
class Attention(keras.layers.Layer):
    """Luong's general attention, scaled: `Attention(units)([y, k])` -> out [B,T,units] and p [B,T,S], which sums to 1 over the keys.

    y [B,T,H]: the decoder's outputs; k [B,S,K]: the encoder's, whose mask [B,S] says which keys are there. Weights: W [H,K],
    V [K+H,units], b [units]. All steps of y at once, so the decoder's loop stays one call of the kernel.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(f"units: expected a whole number of at least 1, got {units!r}")
        self.units = units
        self.supports_masking = True
        self.supports_jit = bridge.SUPPORTS_JIT

    def build(self, shapes: Any) -> None:
        (*_, H), (*_, K) = shapes
        self.W = self.add_weight(name="W", shape=(H, K))
        self.V = self.add_weight(name="V", shape=(K + H, self.units))
        self.b = self.add_weight(name="b", shape=(self.units,), initializer="zeros")

    def call(self, inputs: Any, mask: Any = None) -> tuple[Any, Any]:
        y, k = inputs
        live = None if mask is None else mask[1]
        if live is not None:
            live = ops.cast(live, "bool")
            k = bridge.where(live[:, :, None], k, ops.zeros_like(k))  # selected: 0 times NaN is NaN
        a = bridge.einsum("btk,bsk->bts", bridge.einsum("bth,hk->btk", y, self.W), k) / k.shape[2] ** 0.5
        if live is not None:
            a = bridge.where(live[:, None, :], a, ops.full_like(a, -1e30))
        p = bridge.softmax(a)  # Keras' own warns of a source of one token
        if live is not None:
            p = bridge.where(live[:, None, :], p, ops.zeros_like(p))  # a row without keys sees nothing
        both = bridge.concat([p @ k, y], axis=2)
        return bridge.tanh(bridge.einsum("btj,ju->btu", both, self.V) + ops.convert_to_tensor(self.b)), p

    def compute_output_shape(self, shapes: Any) -> Any:
        (B, T, _), (_, S, _) = shapes
        return (B, T, self.units), (B, T, S)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        first = None if previous_mask is None else previous_mask[0]
        return first, first

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
