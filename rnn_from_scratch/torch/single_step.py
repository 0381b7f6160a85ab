"""RNNCell, LSTMCell, GRUCell in place of torch.nn's: one step of a cell."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import Module

from .. import backends, cells
from . import autocast, checks
from .function import sequence
from .layout import Call
from .recurrent import register_weights, reset, weight_names

Tensor = torch.Tensor


class SingleStep(Module):
    """One step of a cell: (N, I) or (I) in, the new states out, (N, H) or (H).

    input_size, hidden_size, bias, device, dtype   as in torch.nn.LSTMCell
    backend                                        as in rnn_from_scratch.forward

    Raises TypeError or ValueError as torch.nn does.
    """

    in_autocast_dtype = False

    def __init__(
        self, cell: str, options: dict[str, Any], input_size: int, hidden_size: int, bias: bool, backend: str, factory: dict[str, Any]
    ):
        super().__init__()
        checks.check_size("input_size", input_size)
        checks.check_size("hidden_size", hidden_size)
        self.input_size, self.hidden_size, self.bias, self.backend = input_size, hidden_size, bool(bias), backend
        self.cell = cells.by_name(cell, use_bias=self.bias, **options)
        call = Call(cell, (("use_bias", self.bias), *options.items()), False, False, backend)
        words = "bfloat16" if backends.rounds("bfloat16", backend, self.cell) else None
        self.calls = [call._replace(precision=precision).text() for precision in (None, words)]
        register_weights(self, self.cell, input_size, hidden_size, "", factory)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """New values for all parameters, from torch's generator."""
        reset(self, self.hidden_size)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """h, or (h, c) of an LSTM, after one step from hx; None is zero."""
        on = autocast.active(input)
        states = [] if hx is None else checks.as_states(self.cell.states, hx)
        checks.check_cell(self, input, states)
        weights: list[Tensor] = [getattr(self, name) for name in weight_names(self.cell)]
        checks.check_tensors(weights[0], input, on, self.backend)
        batched = input.dim() == 2
        x, *states = autocast.computed([t if batched else t.unsqueeze(0) for t in (input, *states)], on)
        _, *final = sequence(self.calls[autocast.rounded(x, on)], 1 + len(self.cell.states), x.unsqueeze(1), states, weights)
        final = autocast.returned(final if batched else [s.squeeze(0) for s in final], on, self.in_autocast_dtype)
        return final[0] if len(final) == 1 else tuple(final)


class RNNCell(SingleStep):
    """torch.nn.RNNCell: one step of a tanh or relu RNN."""

    in_autocast_dtype = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        options = {"activation": nonlinearity}
        super().__init__("simple_rnn", options, input_size, hidden_size, bias, backend, {"device": device, "dtype": dtype})
        self.nonlinearity = nonlinearity


class LSTMCell(SingleStep):
    """torch.nn.LSTMCell: one step of an LSTM; hx is (h, c)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ):
        super().__init__("lstm", {}, input_size, hidden_size, bias, backend, {"device": device, "dtype": dtype})


class GRUCell(SingleStep):
    """torch.nn.GRUCell: one step of a GRU."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
    ):
        super().__init__("gru", {}, input_size, hidden_size, bias, backend, {"device": device, "dtype": dtype})
