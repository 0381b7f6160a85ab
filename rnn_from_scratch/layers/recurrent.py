"""The layers: Keras' own recurrent layers, with the time loop replaced by this package's kernels.

Keras' classes keep what they do well (config, states, masks, wrappers, saving); `inner_loop` is where they run the cell over
time, and the only thing taken over. Each layer is a drop-in for its twin: the same arguments, weights, names and outputs.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras
from keras import ops

from .. import cells
from . import slow_path
from .framework import bridge
from .refusals import checked, refuse_savedmodel
from .step import CoupledLSTMCell, GRUCell, LSTMCell, PeepholeLSTMCell, SimpleRNNCell, register

Tensor = Any
LOOP = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
LAYER = ("activity_regularizer", "name", "autocast", "input_shape", "input_dim")


class Recurrent(keras.layers.RNN):
    """What the layers share; stands before the Keras layer whose arguments and config it takes over.

    The arguments are those of the Keras layer, and backend: "auto" or a name of rnn_from_scratch.backends.available().
    unroll and use_cudnn are accepted and change nothing: no loop is unrolled here and cuDNN is never called. With an activation that
    the kernels do not have, Keras' loop runs the cell step by step: explain() says so, and one warning.
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
        self.supports_jit = bridge.SUPPORTS_JIT
        self.use_cudnn = False  # Bidirectional asks, and would call cuDNN over our heads

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    @property
    def backend(self) -> str:
        return self.cell.backend

    def explain(self, batch: int = 32) -> slow_path.Explanation:
        """What runs this layer, why, and what training keeps for backward; on a GPU also how it runs a batch of so many rows.

        Raises ValueError before the layer has weights.
        """
        if not self.built:
            raise ValueError(f"explain: {self.name} has no weights yet; call it on data first")
        return slow_path.explain(self.cell, batch)

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        return super().call(checked(self, sequences), initial_state=initial_state, mask=mask, training=training)

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False) -> tuple[Tensor, Tensor, Any]:
        """Keras' hook: the last output [B,H], all outputs [B,T,H] if they are wanted, and the final states."""
        mask = as_bool(mask)
        if self.cell.unknown:
            slow_path.warn_once(f"{type(self).__name__}: {slow_path.step_by_step(self.cell)}, which takes longer")
            return keras.layers.RNN.inner_loop(self, sequences, initial_state, mask, training)
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
        mask = ops.flip(mask, axis=1) if mask is not None and self.go_backwards else mask
        h = last_output(state[0], mask, self.zero_output_for_mask)
        return h, h, state

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
    mask = ops.cast(mask, "bool")
    return mask[:, :, 0] if len(mask.shape) == 3 else mask


def last_output(h: Tensor, mask: Tensor | None, zero_masked: bool) -> Tensor:
    """y at the last step, from the final h: 0 where the last step was not live and outputs are zeroed; else, where no step was live,
    what Keras has there: 0, but on JAX the initial h.

    mask [B,T] is in the order of processing.
    """
    if mask is None or (bridge.BEFORE_LIVE_IS_H and not zero_masked):
        return h
    used = mask[:, -1] if zero_masked else ops.any(mask, axis=1)
    return bridge.where(used[:, None], h, ops.zeros_like(h))


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
