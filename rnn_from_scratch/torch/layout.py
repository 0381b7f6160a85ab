"""Tensors as torch.nn has them, and the arrays of this package: the way between them.

weight_ih [G*H,I], weight_hh [G*H,H]    Wx [I,G*H], Wh [H,G*H]: transposed, the gates in another order
bias_ih, bias_hh [G*H]                  b, their sum; or bx, bh where a cell has two
weight_ch [E*H]                         p [E,H], peepholes
x, y [T,B,...] if time-major            [B,T,...]

A Call with own=True has tensors that stand as the arrays of this package do: Keras layers make such calls.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import cells
from ..interop.weight_layouts import LAYOUTS
from ..params import param_shapes
from ..typing import ListedCell

Tensor = torch.Tensor
Tensors = list[Tensor]

class Call(NamedTuple):
    """What is the same at every call of a layer in one direction."""

    cell: str  # a name of cells.CELLS
    options: tuple[tuple[str, Any], ...]  # of its constructor
    time_major: bool
    reverse: bool
    backend: str
    own: bool = False  # weights, x and y stand as this package has them
    zero_masked: bool = False  # y is 0 where the mask is false
    precision: str | None = None  # of the products

    def text(self) -> str:
        return json.dumps(self)


class Layer:
    """A Call, and the way between torch's tensors and the arrays of this package."""

    def __init__(self, call: Call):
        self.time_major, self.reverse, self.backend, self.zero_masked = call.time_major, call.reverse, call.backend, call.zero_masked
        self.precision = call.precision
        self.cell: ListedCell = cells.by_name(call.cell, **dict(call.options))

    @cached_property
    def order(self) -> list[int] | None:
        """Our k-th gate is torch's gate number order[k]; None where the orders are one."""
        rows = LAYOUTS["torch"].rows.items()  # of a cell that torch.nn has in another form, the gates stand as there
        theirs = next((row.gates.split() for form, row in rows if form.split()[0] == type(self.cell).__name__), list(self.cell.gates))
        found = [theirs.index(gate) for gate in self.cell.gates]
        return None if found == sorted(found) else found

    @cached_property
    def back(self) -> list[int]:
        """torch's k-th gate is our gate number back[k]."""
        return [self.order.index(k) for k in range(len(self.order))] if self.order else []

    def gates(self, rows: Tensor, back: bool = False) -> Tensor:
        """[G*H, ...] with the gates of torch in our order, or back."""
        if self.order is None:
            return rows
        parts = rows.chunk(len(self.order))
        return torch.cat([parts[k] for k in (self.back if back else self.order)])

    def units(self, weights: Tensors) -> int:
        """H."""
        return weights[1].shape[1]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the parameters, as operands and gradients list them."""
        return tuple(param_shapes(self.cell, 1, 1))

    def operands(self, weights: Tensors) -> Tensors:
        """weight_ih, weight_hh, bias_ih and bias_hh if used, weight_ch if the cell has peepholes -> our parameters."""
        found, rest = [self.gates(weight) for weight in weights[:2]], weights[2:]
        if self.cell.use_bias:
            found += [self.gates(rest[0] + rest[1])] if self.cell.shared else [self.gates(bias) for bias in rest[:2]]
        if self.cell.extras:
            found.append(weights[-1].reshape(len(self.cell.extras), -1))
        return self.turned(found)

    def gradients(self, operands: Tensors) -> Tensors:
        """Gradients by our parameters -> by torch's: undoes operands. Of the sum of two biases both have the gradient."""
        found = [self.gates(d, back=True).contiguous() for d in self.turned(operands)[:2]]
        if self.cell.use_bias:
            biases = [operands[2], operands[2].clone()] if self.cell.shared else operands[2:4]
            found += [self.gates(d, back=True) for d in biases]
        if self.cell.extras:
            found.append(operands[-1].reshape(-1))
        return found

    def turned(self, operands: Tensors) -> Tensors:
        """Wx, Wh and the others -> Wx and Wh as the weights lie in memory, and the others; and back."""
        return [operands[0].t(), operands[1].t(), *operands[2:]]

    def results_of_forward(self, x: Tensor, H: int, save: bool) -> list[Sequence[int]]:
        """The shapes of y, the final states, and if `save` those of the tape."""
        T, B = x.shape[:2] if self.time_major else (x.shape[1], x.shape[0])
        S, A = len(self.cell.states), len(self.cell.saved)
        return [(*x.shape[:2], H), *[(B, H)] * S, *[*[(B, T + 1, H)] * S, (B, T, A, H)] * save]

    def results_of_backward(self, x: Tensor, tape: Tensors, operands: Tensors, wrt: Sequence[bool]) -> list[Sequence[int]]:
        """The shapes of the gradients that wrt asks for: by x, the initial states, and the weights as they lie in memory."""
        B, _, H = tape[0].shape
        return [*[x.shape] * wrt[0], *[(B, H)] * (len(tape) - 1) * wrt[1], *[t.shape for t in self.turned(operands)] * wrt[2]]

    def params(self, operands: Tensors) -> dict[str, Any]:
        """Our parameters as arrays, by name."""
        return dict(zip(self.names, map(array, operands)))

    def batch_major(self, a: Any) -> Any:
        """An array [T,B,...] as [B,T,...] if the module has time first, and back: a view."""
        return a.swapaxes(0, 1) if self.time_major else a

    def flipped(self, a: Any) -> Any:
        """An array [B,T,...] between the order in which the steps are made and that of the module, both ways: a view."""
        return a[:, ::-1] if self.reverse else a

    def sequence(self, x: Tensor) -> Any:
        """[B,T,...] of what came as the module has it: a view."""
        return self.batch_major(array(x))

    def outputs(self, y: Any) -> Tensor:
        """y or its like as the module has it, contiguous, time running forward."""
        return torch.from_numpy(np.ascontiguousarray(self.batch_major(self.flipped(y))))

    def steps(self, y: Tensor) -> Any:
        """[B,T,...] in the order in which the steps are made, of what the module has: a view. Undoes outputs."""
        return self.flipped(self.sequence(y))

    def upstream(self, dy: Tensor | None) -> Any:
        return None if dy is None else self.steps(dy)


class OwnLayer(Layer):
    """A Call with own=True: the parameters in the order of param_shapes, x and y batch-major, y in the order of processing."""

    def units(self, weights: Tensors) -> int:
        return weights[1].shape[0]

    def operands(self, weights: Tensors) -> Tensors:
        return weights

    def gradients(self, operands: Tensors) -> Tensors:
        return operands

    def turned(self, operands: Tensors) -> Tensors:
        return operands

    def flipped(self, a: Any) -> Any:
        return a


@lru_cache
def layer_of(text: str) -> Layer:
    """The layer of a Call's text."""
    call = Call(*json.loads(text))
    return (OwnLayer if call.own else Layer)(call)


def array(tensor: Tensor) -> Any:
    """The NumPy array on the memory of a tensor."""
    return tensor.detach().numpy()


def maybe(tensor: Tensor | None) -> Any:
    return None if tensor is None else array(tensor)
