"""RNN and StackedRNNCells: Keras' own, which run cells of this package layer by layer on the kernels.

Keras' loop runs all cells at each step before the next. With cells of this package the first one runs over all steps, then the
second over the outputs of the first, and so on: the same numbers, since a masked step copies the states of every cell.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from . import slow_path
from .framework import bridge
from .recurrent import as_bool, last_output
from .refusals import checked
from .step import Step, register

Tensor = Any


@register
class StackedRNNCells(keras.layers.StackedRNNCells):
    """Cells upon each other as one cell. Drop-in for keras.layers.StackedRNNCells; in RNN they run layer by layer."""

    twin = keras.layers.StackedRNNCells


@register
class RNN(keras.layers.RNN):
    """A cell, or several upon each other, over time. Drop-in for keras.layers.RNN: the same arguments, weights and outputs.

    Cells of this package run on the kernels. With another one among them, or an activation that the kernels do not have, Keras'
    loop runs all of them step by step: explain() says so, and one warning.

    >>> from rnn_from_scratch import layers
    >>> layer = layers.RNN([layers.LSTMCell(8), layers.GRUCell(4)])
    >>> layer.compute_output_shape((32, 10, 3))
    (32, 4)
    """

    twin = keras.layers.RNN

    def __init__(self, cell: Any, *args: Any, **kwargs: Any):
        cell = StackedRNNCells(cell, dtype=kwargs.get("dtype")) if isinstance(cell, (list, tuple)) else cell
        super().__init__(cell, *args, **kwargs)
        self.supports_jit = bridge.SUPPORTS_JIT or not any(isinstance(cell, Step) for cell in self.cells)

    @property
    def cells(self) -> list[Any]:
        """The cells, first to last."""
        return list(self.cell.cells) if isinstance(self.cell, keras.layers.StackedRNNCells) else [self.cell]

    def refusal(self) -> str:
        """Why the kernels do not run these cells, or ''."""
        for cell in self.cells:
            if not isinstance(cell, Step) or type(cell).call is not Step.call:
                return f"{type(cell).__name__} is not a cell of rnn_from_scratch.layers; Keras' loop runs all cells step by step"
            if cell.unknown:
                return f"{type(cell).__name__}: {slow_path.step_by_step(cell)}"
        return ""

    def explain(self, batch: int = 32) -> slow_path.Explanation:
        """What runs each cell, why, and what training keeps for backward. Raises ValueError before the layer has weights."""
        if not self.built:
            raise ValueError(f"explain: {self.name} has no weights yet; call it on data first")
        if self.refusal():
            return slow_path.Explanation("keras", self.refusal(), None)
        found = [slow_path.explain(cell, batch) for cell in self.cells]
        names = ", ".join(type(cell).__name__ for cell in self.cells)
        backends, reasons = (" and ".join(dict.fromkeys(parts)) for parts in list(zip(*found))[:2])
        how = "layer by layer" if len(found) > 1 else "over all steps"
        return slow_path.Explanation(backends, f"{names} {how}; {reasons}", sum(part.saved_bytes or 0 for part in found))

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        return super().call(checked(self, sequences), initial_state=initial_state, mask=mask, training=training)

    def inner_loop(self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False) -> tuple[Tensor, Tensor, Any]:
        """Keras' hook: the last output [B,H], all outputs [B,T,H] if they are wanted, and the final states."""
        mask = as_bool(mask)
        if self.refusal():
            slow_path.warn_once(f"{type(self).__name__}: {self.refusal()}, which takes longer")
            return super().inner_loop(sequences, initial_state, mask, training)
        stacked = isinstance(self.cell, keras.layers.StackedRNNCells)
        starts = list(initial_state) if stacked else [initial_state]
        y, states = sequences, []
        for n, (cell, start) in enumerate(zip(self.cells, starts)):
            last = n + 1 == len(starts)
            flags = {
                "go_backwards": self.go_backwards and n == 0,  # y comes out in the order of processing
                "zero_masked_outputs": self.zero_output_for_mask and last,
                "sequences": self.return_sequences or not last,
            }
            y, state = cell.run(y, keras.tree.flatten(start), mask, training, **flags)
            if self.go_backwards and n == 0 and mask is not None:
                mask = ops.flip(mask, axis=1)
            states += state
        final = keras.tree.pack_sequence_as(initial_state, states)
        if self.return_sequences:
            return y[:, -1], y, final
        h = last_output(state[0], mask, self.zero_output_for_mask)
        return h, h, final

    def reset_state(self) -> None:
        """All states 0 again. Keras' own fails for the nested states of stacked cells."""
        for state in keras.tree.flatten(self.states) if self.states is not None else ():
            state.assign(ops.zeros_like(state.value))
