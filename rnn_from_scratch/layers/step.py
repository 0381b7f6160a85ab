"""Single-step cells: Keras' own cells (constructor, weights, dropout masks, config) with this package's maths in call().

As layer.cell they hold the weights of the sequence layers, and in RNN of stacked.py too; in keras.layers.RNN they run step by step.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import keras
import numpy as np
from keras import ops

from .. import backends, cells
from ..cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS
from . import slow_path, tensor_step
from .arrays import params_of, weight_names
from .framework import TITLE, bridge
from .refusals import refuse_savedmodel

Tensor = Any
register = keras.saving.register_keras_serializable("rnn_from_scratch")
# the activations that the kernels have
KNOWN = {"activation": tuple(ACTIVATIONS), "recurrent_activation": RECURRENT_ACTIVATIONS}


def name_of(function: Any) -> str | None:
    """The name of one of the package's activations, given as Keras' function or as that of the framework below."""
    homes = (keras.activations, *bridge.HOMES)
    return next((name for name in ACTIVATIONS for home in homes if function is getattr(home, name, None)), None)


def called(function: Any) -> str:
    """What to call an activation in a message."""
    return getattr(function, "__name__", type(function).__name__)


class Step:
    """What the cells share; stands before a Keras cell class. `maths` is the cell of this package that call() runs.

    backend: "auto" or a name of rnn_from_scratch.backends.available().
    activation and recurrent_activation: any that Keras takes. `unknown` tells of those that the kernels do not have, or is "".
    Raises ValueError for a backend that does not exist, and for one asked for by name that has not this activation.
    """

    twin: Any = None  # the tf.keras class with the same weights and outputs
    maths_class: Any = None

    compute_dtype: str  # these come from the Keras class
    dropout: float
    recurrent_dropout: float
    get_dropout_mask: Any
    get_recurrent_dropout_mask: Any

    def __init__(self, *args: Any, backend: str = "auto", **kwargs: Any):
        super().__init__(*args, **kwargs)
        if backend not in ("auto", *backends.BACKENDS):
            raise ValueError(f"backend: expected auto or one of {', '.join(backends.BACKENDS)}, got {backend!r}")
        self.backend = backend
        self.supports_jit = bridge.SUPPORTS_JIT
        options = {field.name: getattr(self, field.name) for field in fields(self.maths_class)}
        functions = {argument: options[argument] for argument in KNOWN if argument in options}
        names = {argument: name_of(function) for argument, function in functions.items()}
        unknown = [argument for argument, name in names.items() if name not in KNOWN[argument]]
        self.unknown = "; ".join(f"{a}: {called(functions[a])} is not one of {', '.join(KNOWN[a])}" for a in unknown)
        if unknown and backend != "auto":
            raise ValueError(f"{self.unknown}, which backend {backend!r} has; without backend= {TITLE}'s operations run it")
        self.tensor_maths = self.maths_class(**{**options, **{a: tensor_step.activation(f, names[a]) for a, f in functions.items()}})
        self.maths = self.tensor_maths if unknown else self.maths_class(**{**options, **names})

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """Weights stay in their own dtype under mixed precision: the maths runs in float32."""
        return super().add_weight(*args, autocast=False, **kwargs)  # type: ignore[misc]

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, Any]:
        """inputs [B,I], states as Keras hands them over -> h, states.

        A single step is quickest in the framework's own operations; a kernel would pack the weights anew for every step.
        """
        nested = keras.tree.is_nested(states)
        states = list(states) if nested else [states]
        if self.backend == "auto":
            new = self.tensor_step(inputs, states, training)
        else:
            _, new = self.run(ops.expand_dims(inputs, 1), states, training=training, sequences=False)
        new = [ops.cast(s, self.compute_dtype) for s in new]
        return new[0], new if nested else new[0]

    def tensor_step(self, x: Tensor, states: list[Tensor], training: bool) -> list[Tensor]:
        """tensor_step.step with this cell's weights and dropout masks, in inner_dtype."""
        weights, x, *states = self.as_inner([getattr(self, name) for name in weight_names(self.maths)], x, *states)
        params = params_of(self.maths, dict(zip(weight_names(self.maths), weights)))
        scales = self.as_inner(*self.scales(x, states, training))
        # where it does not know the batch size, TensorFlow's gradient asks at each product which of two tensors was broadcast
        by_hand = x.shape[0] is None and len(self.maths.gates) > 1 and not self.unknown
        return tensor_step.step(self.tensor_maths, params, x, states, *scales, by_hand=by_hand)

    @property
    def inner_dtype(self) -> str:
        """float64 stays float64, all else is float32 inside."""
        return "float64" if self.compute_dtype == "float64" else "float32"

    @property
    def precision(self) -> str | None:
        """Of the products: under the policy mixed_bfloat16 they are bfloat16, where the kernels on the CPU have them."""
        asked = self.compute_dtype == "bfloat16" and not bridge.wants_gpu(self.backend)
        return "bfloat16" if asked and backends.rounds("bfloat16", self.backend, self.maths) else None

    def params(self) -> dict[str, Any]:
        """The weights as NumPy arrays under this package's names, in inner_dtype."""
        weights = {name: np.asarray(getattr(self, name)).astype(self.inner_dtype) for name in weight_names(self.maths)}
        return params_of(self.maths, weights)

    def run(self, x: Tensor, states: list[Tensor], mask: Tensor | None = None, training: bool = False, **flags: bool) -> Any:
        """The bridge's `recurrent` with this cell's weights and dropout masks, in inner_dtype."""
        if training and self.backend == "auto" and not bridge.wants_gpu("auto"):
            slow_path.warn_without_kernels(self.maths)
        scales = [bridge.stack(scale) if isinstance(scale, list) else scale for scale in self.scales(x[:, 0], states, training)]
        weights, x, states, scales = self.as_inner([getattr(self, name) for name in weight_names(self.maths)], x, states, scales)
        options = {"save": bool(training), "backend": self.backend, "precision": self.precision}
        return bridge.recurrent(self.maths, weights, x, states, mask, *scales, **options, **flags)

    def scales(self, x: Tensor, states: list[Tensor], training: bool) -> list[Any]:
        """Keras' dropout masks for x and for h, each [B,K], or a list with one per gate, or None."""
        return [
            self.scale(self.get_dropout_mask, x, self.dropout, training),
            self.scale(self.get_recurrent_dropout_mask, states[0], self.recurrent_dropout, training),
        ]

    def scale(self, draw: Any, like: Tensor, rate: float, training: bool) -> Any:
        """Keras draws once per call of the layer and keeps the masks till its end."""
        if not training or rate == 0 or (rate == 1 and len(self.maths.gates) > 1):  # Keras' gated cells ignore a rate of 1
            return None
        return draw(like)

    def as_inner(self, *values: Any) -> list[Any]:
        """Tensors, lists of them and Nones, in inner_dtype."""
        return keras.tree.map_structure(lambda t: None if t is None else ops.cast(t, self.inner_dtype), list(values))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backend": self.backend}  # type: ignore[misc]

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> Any:
        refuse_savedmodel(self, save_type)
        return super()._trackable_children(save_type, **kwargs)  # type: ignore[misc]


@register
class SimpleRNNCell(Step, keras.layers.SimpleRNNCell):
    """One step of SimpleRNN: the arguments of keras.layers.SimpleRNNCell, and backend."""

    twin = keras.layers.SimpleRNNCell
    maths_class = cells.SimpleRNN


@register
class LSTMCell(Step, keras.layers.LSTMCell):
    """One step of LSTM: the arguments of keras.layers.LSTMCell, and backend."""

    twin = keras.layers.LSTMCell
    maths_class = cells.LSTM


@register
class CoupledLSTMCell(Step, keras.layers.LSTMCell):
    """One step of CoupledLSTM: the arguments of keras.layers.LSTMCell, and backend. Its weights hold three gates, i, g, o.

    unit_forget_bias: the bias of i begins at -1, which keeps c as a forget bias of 1 does.
    """

    maths_class = cells.CoupledLSTM

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if hasattr(self, "dropout_mask_count"):
            self.dropout_mask_count = len(self.maths.gates)

    def build(self, input_shape: Any) -> None:
        keras.layers.Layer.build(self, input_shape)  # that of LSTMCell makes weights for four gates
        G, H = len(self.maths.gates), self.units
        shapes = {"kernel": (input_shape[-1], G * H), "recurrent_kernel": (H, G * H), "bias": (G * H,)}
        self.bias = None
        for name in shapes if self.use_bias else ("kernel", "recurrent_kernel"):
            part = name.replace("_kernel", "")
            initializer = self.first_bias if name == "bias" and self.unit_forget_bias else getattr(self, f"{part}_initializer")
            options = {what: getattr(self, f"{part}_{what}") for what in ("regularizer", "constraint")}
            setattr(self, name, self.add_weight(shape=shapes[name], name=name, initializer=initializer, **options))

    def first_bias(self, shape: Any, dtype: Any = None) -> Tensor:
        """-1 for i; the bias_initializer's values for the others."""
        others = self.bias_initializer((shape[0] - self.units,), dtype=dtype)
        return keras.ops.concatenate([-keras.ops.ones((self.units,), dtype), others])


@register
class GRUCell(Step, keras.layers.GRUCell):
    """One step of GRU: the arguments of keras.layers.GRUCell, and backend."""

    twin = keras.layers.GRUCell
    maths_class = cells.GRU


@register
class PeepholeLSTMCell(Step, keras.layers.LSTMCell):
    """One step of PeepholeLSTM: the arguments of keras.layers.LSTMCell, backend, and for the weights `peepholes` [3,H]

    peephole_initializer    None is glorot uniform for each of the three vectors [H], as in TensorFlow 1's cell
    peephole_regularizer, peephole_constraint
    """

    maths_class = cells.PeepholeLSTM

    def __init__(
        self,
        *args: Any,
        peephole_initializer: Any = None,
        peephole_regularizer: Any = None,
        peephole_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.peephole_initializer = keras.initializers.get(peephole_initializer)
        self.peephole_regularizer = keras.regularizers.get(peephole_regularizer)
        self.peephole_constraint = keras.constraints.get(peephole_constraint)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        limit = (3 / self.units) ** 0.5  # glorot: sqrt(6 / (fan_in + fan_out)), both fans H for a vector [H]
        self.peepholes = self.add_weight(
            shape=(3, self.units),
            name="peepholes",
            initializer=self.peephole_initializer or keras.initializers.RandomUniform(-limit, limit),
            regularizer=self.peephole_regularizer,
            constraint=self.peephole_constraint,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "peephole_initializer": self.peephole_initializer and keras.initializers.serialize(self.peephole_initializer),
            "peephole_regularizer": keras.regularizers.serialize(self.peephole_regularizer),
            "peephole_constraint": keras.constraints.serialize(self.peephole_constraint),
        }
