"""One step of a cell in the framework's own operations: for single steps, and for any activation.

The equations are those of ../cells, whose `forward` and `backward` are called on tensors in place of arrays. TensorFlow, PyTorch or JAX
differentiates the products; it also differentiates an activation without a known derivative, and the second phase of a cell that has two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from ..cells.activations import Activation
from .framework import bridge

Tensor = Any


class Gates:
    """Pre-activations [B, K*H] as a cell's forward reads them: g[j] is gate j [B,H], g + other adds all of them at once."""

    def __init__(self, columns: Tensor, count: int):
        self.columns, self.count = columns, count

    def __add__(self, other: Gates) -> Gates:
        return Gates(self.columns + other.columns, self.count)

    @cached_property
    def each(self) -> list[Tensor]:
        """[B,H] of every gate; split once, however often they are read."""
        return bridge.split(self.columns, self.count) if self.count > 1 else [self.columns]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.each)

    def __getitem__(self, j: int) -> Tensor:
        return self.each[j]


class Slope:
    """An activation's derivative at the output y, as a cell's backward uses it: d * Slope is one operation of TensorFlow's."""

    def __init__(self, y: Tensor, times: Callable[[Tensor, Tensor], Tensor]):
        self.y, self.times = y, times

    def __rmul__(self, d: Tensor) -> Tensor:
        return self.times(d, self.y)


def activation(function: Callable[[Tensor], Tensor], name: str | None) -> Activation:
    """A function of tensors as an activation of a cell; name: that of its slope, or None."""
    function = bridge.tanh if name == "tanh" else function

    def gate_by_gate(a: Any) -> Any:
        return [function(gate) for gate in a] if isinstance(a, Gates) else function(a)

    def derivative(y: Tensor) -> Any:
        return Slope(y, bridge.SLOPES[str(name)])

    return Activation(gate_by_gate, derivative)


def step(
    cell: Any, params: dict[str, Tensor], x: Tensor, states: list[Tensor], x_scale: Any, h_scale: Any, *, by_hand: bool
) -> list[Tensor]:
    """The states [B,H] after one step of `cell`, whose activations are made by `activation`.

    params     as backends.forward has them, as tensors
    x, states  [B,I], each [B,H]
    x_scale, h_scale   [B,K], or a list with one for each gate, or None
    by_hand    the gradient of the pointwise part is the cell's backward, not TensorFlow's own; the activations have a slope
    """
    G, p = len(cell.gates), bridge.rows(params["p"]) if cell.extras else ()
    every = tuple(range(G))
    xg = product(x, params["Wx"], params.get("b", params.get("bx")), x_scale, every, G)
    operand, saved = states[0], ()
    for k, gates in enumerate(cell.phases):
        hg = product(operand, params["Wh"], params.get("bh"), h_scale, gates, G)
        part = xg if gates == every else Gates(columns(xg.columns, gates, G), len(gates))
        if by_hand and len(cell.phases) == 1:
            return bridge.pointwise(cell, xg, hg, states, p)
        operand, more = cell.forward(k, part, hg, tuple(states), saved, p)
        saved += tuple(more)
    return list(operand)


def product(a: Tensor, W: Tensor, b: Tensor | None, scale: Tensor | None, gates: tuple[int, ...], G: int) -> Gates:
    """(a * scale) W + b for some gates, which stand side by side in W."""
    if isinstance(scale, list):
        z = bridge.concat([(a * scale[g]) @ columns(W, (g,), G) for g in gates])
    else:
        z = (a if scale is None else a * scale) @ columns(W, gates, G)
    return Gates(z if b is None else bridge.add_bias(z, columns(b, gates, G)), len(gates))


def columns(W: Tensor, gates: tuple[int, ...], G: int) -> Tensor:
    """Those of the given gates, of G in all."""
    if len(gates) == G:
        return W
    H = W.shape[-1] // G
    return W[..., gates[0] * H : (gates[-1] + 1) * H]
