"""The layers: Keras' own recurrent layers, with the time loop replaced by this package's kernels.

Keras' classes keep what they do well (config, states, masks, wrappers, saving); `inner_loop` is where they run the cell over
time, and the only thing taken over. Each layer is a drop-in for its twin: the same arguments, weights, names and outputs.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .. import backends, cells
from .refusals import refuse_savedmodel
from .step import CoupledLSTMCell, GRUCell, LSTMCell, PeepholeLSTMCell, SimpleRNNCell, register

Tensor = Any
LOOP = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
LAYER = ("activity_regularizer", "name", "autocast", "input_shape", "input_dim")


class Explanation(NamedTuple):
    """What layer.explain() returns."""

    backend: str
    reason: str
    saved_bytes: int  # per step and row of the batch, while training; none otherwise

    def __str__(self) -> str:
        return f"{self.backend}: {self.reason}; training keeps {self.saved_bytes} bytes for each step of each sequence"


class Recurrent(keras.layers.RNN):
    """What the layers share; stands before the Keras layer whose arguments and config it takes over.

    The arguments are those of the Keras layer, and backend: "auto" or a name of rnn_from_scratch.backends.available().
    unroll and use_cudnn are accepted and change nothing: no loop is unrolled here and cuDNN is never called.
    """

    parent: Any = None  # the Keras layer whose arguments this one takes
    twin: Any = None  # the tf.keras class with the same weights and outputs
    cell_class: Any = None
    cell_name = ""  # as Keras names the cell

    def __init__(self, *args: Any, **kwargs: Any):
        options = dict(inspect.signature(self.parent).bind(*args, **kwargs).arguments)
        options.update(options.pop("kwargs", {}))
        use_cudnn = options.pop("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"use_cudnn: expected 'auto', True or False, got {use_cudnn!r}")
        layer_options = {name: options.pop(name) for name in (*LOOP, *LAYER) if name in options}
        both = {name: options.pop(name) for name in ("dtype", "trainable") if name in options}
        keras.layers.RNN.__init__(self, self.cell_class(name=self.cell_name, **options, **both), **layer_options, **both)
        self.supports_jit = False
        self.use_cudnn = False  # Bidirectional asks, and would call cuDNN over our heads

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    @property
    def backend(self) -> str:
        return self.cell.backend

    def explain(self, batch: int = 32) -> Explanation:
        """What runs this layer, why, and what training keeps for backward; on a GPU also how it runs a batch of so many rows.

        Raises ValueError before the layer has weights.
        """
        if not self.built:
            raise ValueError(f"explain: {self.name} has no weights yet; call it on data first")
        maths, dtype = self.cell.maths, self.cell.inner_dtype.as_numpy_dtype
        params, x = self.cell.params(), np.zeros((1, 1, self.cell.kernel.shape[0]), dtype)
        if self.backend == "auto":
            name, reason = backends.choose(maths, params, x)
        else:
            name, reason = backends.usable(self.backend, maths, params, x), "asked for by name"
        if name == "native":
            reason += f"; {backends.load(name).isa()} kernels"
        elif name in ("cuda", "emulated"):
            plan = backends.load(name).plan
            reason += f"; {plan(maths, batch, self.units, dtype)}"
            if 0 < self.cell.recurrent_dropout < 1 and len(maths.gates) > 1:  # while training, h has a mask for each gate
                reason += f"; training: {plan(maths, batch, self.units, dtype, True)}"
        return Explanation(name, reason, (len(maths.saved) + len(maths.states)) * self.units * x.itemsize)

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False) -> tuple[Tensor, Tensor, Any]:
        """Keras' hook: the last output [B,H], all outputs [B,T,H] if they are wanted, and the final states."""
        mask = as_bool(mask)
        y, state = self.cell.run(
            sequences,
            initial_state,
            mask,
            training,
            go_backwards=self.go_backwards,
            zero_masked_outputs=self.zero_output_for_mask,
            sequences=self.return_sequences,
        )
        if self.return_sequences:
            return y[:, -1], y, state
        last = self.last_output(state[0], mask)
        return last, last, state

    def last_output(self, h: Tensor, mask: Tensor | None) -> Tensor:
        """y at the last step, from the final h: 0 where no step was live, or where the last one was not and outputs are zeroed."""
        if mask is None:
            return h
        last_step = mask[:, 0 if self.go_backwards else -1]
        used = last_step if self.zero_output_for_mask else tf.reduce_any(mask, axis=1)
        return tf.where(used[:, None], h, tf.zeros_like(h))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backend": self.backend}

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> Any:
        refuse_savedmodel(self, save_type)
        return super()._trackable_children(save_type, **kwargs)


def as_bool(mask: Any) -> Tensor | None:
    """Keras' mask, [B,T] or [B,T,1] or a list that holds it, as bool [B,T]."""
    mask = mask[0] if keras.tree.is_nested(mask) else mask
    if mask is None:
        return None
    mask = tf.cast(mask, tf.bool)
    return mask[:, :, 0] if len(mask.shape) == 3 else mask


LAYERS: dict[Any, type[Recurrent]] = {}  # class of cells.CELLS -> the layer that runs it; each class below puts itself in


def layer_of_a_cell(cls: Any) -> Any:
    """Registers a layer with Keras, for saving, and in LAYERS."""
    LAYERS[cls.cell_class.maths_class] = cls
    return register(cls)


def layer_for(cell: str) -> type[Recurrent]:
    """The layer of a cell, by its name as in cells.by_name. Raises ValueError for an unknown cell and for one without a layer."""
    wanted = type(cells.by_name(cell))
    if wanted not in LAYERS:
        known = ", ".join(layer.__name__ for layer in LAYERS.values())
        raise ValueError(f"cell: {wanted.__name__} has no Keras layer; layers has {known}")
    return LAYERS[wanted]


@layer_of_a_cell
class SimpleRNN(Recurrent, keras.layers.SimpleRNN):
    """Fully connected RNN: h = activation(x Wx + b + h_prev Wh). Drop-in for keras.layers.SimpleRNN; also takes backend.

    Like its twin it accepts activity_regularizer and does not apply it.
    """

    parent = twin = keras.layers.SimpleRNN
    cell_class, cell_name = SimpleRNNCell, "simple_rnn_cell"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.activity_regularizer = None


@layer_of_a_cell
class LSTM(Recurrent, keras.layers.LSTM):
    """Long short-term memory. Drop-in for keras.layers.LSTM; also takes backend."""

    parent = twin = keras.layers.LSTM
    cell_class, cell_name = LSTMCell, "lstm_cell"


@layer_of_a_cell
class GRU(Recurrent, keras.layers.GRU):
    """Gated recurrent unit, reset after or before. Drop-in for keras.layers.GRU; also takes backend."""

    parent = twin = keras.layers.GRU
    cell_class, cell_name = GRUCell, "gru_cell"


@layer_of_a_cell
class PeepholeLSTM(Recurrent, keras.layers.LSTM):
    """LSTM whose gates see the cell state. The arguments of keras.layers.LSTM, backend, and peephole_initializer (None is glorot
    uniform for each of the three vectors [H]), peephole_regularizer, peephole_constraint for the weights `peepholes` [3,H].
    """

    parent = keras.layers.LSTM
    cell_class, cell_name = PeepholeLSTMCell, "peephole_lstm_cell"

    def get_config(self) -> dict[str, Any]:
        extra = {name: value for name, value in self.cell.get_config().items() if name.startswith("peephole_")}
        return {**super().get_config(), **extra}


@layer_of_a_cell
class CoupledLSTM(Recurrent, keras.layers.LSTM):
    """LSTM that forgets as much as it lets in: three gates i, g, o. The arguments of keras.layers.LSTM, and backend; with
    unit_forget_bias the bias of i begins at -1.
    """

    parent = keras.layers.LSTM
    cell_class, cell_name = CoupledLSTMCell, "coupled_lstm_cell"
