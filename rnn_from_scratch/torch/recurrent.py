"""What the modules of modules.py share: layers of one cell, in torch.nn's shapes, with torch.nn's parameters."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import torch
from torch.nn import Module, Parameter
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from .. import backends, cells
from ..typing import ListedCell
from . import autocast, checks
from .function import sequence
from .layout import Call
from .packed import pack, rows_of, unpack

Tensor = torch.Tensor
State = Any  # of one state [layers * directions, B, H], of two a tuple of such


def register_weights(module: Module, cell: ListedCell, inputs: int, units: int, suffix: str, factory: dict[str, Any]) -> None:
    """Make the parameters of one layer in one direction, in torch.nn's order."""
    G = len(cell.gates)
    for name in weight_names(cell):
        shape = {"weight_ih": (G * units, inputs), "weight_hh": (G * units, units), "weight_ch": (len(cell.extras) * units,)}
        setattr(module, name + suffix, Parameter(torch.empty(shape.get(name, (G * units,)), **factory)))


def weight_names(cell: ListedCell) -> list[str]:
    bias = ["bias_ih", "bias_hh"] if cell.use_bias else []
    return ["weight_ih", "weight_hh", *bias, *(["weight_ch"] if cell.extras else [])]


def reset(module: Module, units: int) -> None:
    """Uniform within 1 / sqrt(units), drawn in torch.nn's order: the same seed gives the same values."""
    limit = 1 / math.sqrt(units)
    for weight in module.parameters():
        torch.nn.init.uniform_(weight, -limit, limit)


class Recurrent(Module):
    """Layers of one cell, one above the other, in one direction or both. The classes below say which cell.

    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype   as in torch.nn.LSTM
    recurrent_dropout   probability of dropping a unit of h in the recurrent products: one mask for all steps of a call
    backend             as in rnn_from_scratch.forward: "auto", "native", "reference", "emulated", "cuda"

    Raises TypeError or ValueError as torch.nn does, and ValueError for a proj_size.
    """

    weight_ih_l0: Tensor
    in_autocast_dtype = True  # under autocast torch.nn's module returns autocast's dtype
    proj_size = 0

    def __init__(
        self,
        cell: str,
        options: dict[str, Any],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        recurrent_dropout: float,
        backend: str,
        factory: dict[str, Any],
    ):
        super().__init__()
        checks.check_dropout(dropout, num_layers)
        checks.check_probability("recurrent_dropout", recurrent_dropout)
        checks.check_flag("bias", bias)
        checks.check_flag("batch_first", batch_first)
        checks.check_size("input_size", input_size)
        checks.check_size("hidden_size", hidden_size)
        checks.check_size("num_layers", num_layers)
        checks.check_projection(proj_size, type(self).__name__)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bool(bidirectional)
        self.dropout, self.recurrent_dropout, self.backend = float(dropout), float(recurrent_dropout), backend
        self.cell = cells.by_name(cell, use_bias=bias, **options)
        call = Call(cell, (("use_bias", bias), *options.items()), False, False, backend)
        words = "bfloat16" if backends.rounds("bfloat16", backend, self.cell) else None
        self.calls = {
            key: call._replace(time_major=key[0], reverse=key[1], precision=words if key[2] else None).text()
            for key in product((False, True), repeat=3)  # time-major, backwards in time, products in bfloat16 wanted
        }
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self.directions
            for suffix in self.suffixes(layer):
                register_weights(self, self.cell, width, hidden_size, suffix, factory)
        self.reset_parameters()

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def suffixes(self, layer: int) -> list[str]:
        """Of the names of a layer's parameters, one for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: self.directions]

    def weights(self, suffix: str) -> list[Tensor]:
        """The parameters of a layer in one direction, by attribute: where weight_norm and parametrizations put theirs."""
        return [getattr(self, name + suffix) for name in weight_names(self.cell)]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as torch.nn lists them."""
        return [self.weights(suffix) for layer in range(self.num_layers) for suffix in self.suffixes(layer)]

    def reset_parameters(self) -> None:
        """New values for all parameters, from torch's generator."""
        reset(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: torch.nn has this for cuDNN, and programs call it."""

    def extra_repr(self) -> str:
        names = ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0), ("bidirectional", False)
        shown = (*names, ("recurrent_dropout", 0.0), ("backend", "auto"))
        told = [f"{name}={getattr(self, name)}" for name, usual in shown if getattr(self, name) != usual]
        return ", ".join([str(self.input_size), str(self.hidden_size), *told])

    def forward(self, input: Any, hx: State = None) -> tuple[Any, State]:
        """y and the final states, in torch.nn's shapes.

        input   (L, N, I), (N, L, I) if batch_first, (L, I) without a batch, or a PackedSequence
        hx      (layers * directions, N, H), without a batch (layers * directions, H); a tuple (h_0, c_0) if the cell has a state c;
                None is zero

        Returns (y, h_n) or (y, (h_n, c_n)); y is packed if the input is. Raises RuntimeError or ValueError as torch.nn does.
        """
        packed, rows = isinstance(input, PackedSequence), None
        if packed:
            checks.check_width(input.data, self.input_size)
            rows = rows_of(input)
            x = unpack(input, rows)
        else:
            checks.check_input(self, input)
            x = input
        batched, on = x.dim() == 3, autocast.active(x)
        time_major = not (packed or (self.batch_first and batched))
        x = x if batched else x.unsqueeze(1)
        checks.check_tensors(self.weight_ih_l0, x, on, self.backend)
        (x,) = autocast.computed([x], on)
        B = x.shape[1 if time_major else 0]
        states: list[Tensor] = []
        if hx is not None:
            expected = (self.num_layers * self.directions, B, self.hidden_size)
            states = autocast.computed(checks.check_hx(self.cell.states, hx, expected, batched, x), on)
            if rows:
                states = [s.index_select(1, rows.order) for s in states]
        y, finals = self.run(x, states, rows and rows.live, time_major, autocast.rounded(x, on))
        if rows:
            finals = [s.index_select(1, rows.back) for s in finals]
        if not batched:
            y, finals = y.squeeze(1), [s.squeeze(1) for s in finals]
        y, *finals = autocast.returned([y, *finals], on, self.in_autocast_dtype)
        return pack(y, rows, input) if rows else y, finals[0] if len(finals) == 1 else tuple(finals)

    def run(
        self, x: Tensor, states: list[Tensor], live: Tensor | None, time_major: bool, rounded: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """All layers: y, and the final states of all of them."""
        finals: list[list[Tensor]] = [[] for _ in self.cell.states]
        B = x.shape[1 if time_major else 0]
        for layer in range(self.num_layers):
            outputs = []
            for direction, suffix in enumerate(self.suffixes(layer)):
                s0, h_scale = [s[len(finals[0])] for s in states], None
                if self.recurrent_dropout and self.training:
                    h_scale = dropout(x.new_ones(B, self.hidden_size), self.recurrent_dropout)
                call = self.calls[time_major, direction == 1, rounded]
                y, *final = sequence(call, 1 + len(finals), x, s0, self.weights(suffix), live, None, h_scale)
                outputs.append(y)
                for all_layers, s in zip(finals, final):
                    all_layers.append(s)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.dropout and self.training and layer + 1 < self.num_layers:
                x = dropout(x, self.dropout)
        return x, [s[0].unsqueeze(0) if len(s) == 1 else torch.stack(s) for s in finals]
