"""RNN, LSTM, GRU in place of torch.nn's, and PeepholeLSTM, CoupledLSTM in their style.

Arguments, defaults, names, shapes and order of parameters, initial values under a seed, calls and results are torch.nn's. What each
computes is told in ../cells.
"""

from __future__ import annotations

from typing import Any

import torch

from .recurrent import Recurrent


class RNN(Recurrent):
    """torch.nn.RNN on the fused kernels.

    >>> import torch
    >>> from rnn_from_scratch.torch import RNN
    >>> y, h_n = RNN(3, 5, nonlinearity="relu")(torch.ones(7, 2, 3))
    >>> y.shape, h_n.shape
    (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        recurrent_dropout: float = 0.0,
        backend: str = "auto",
    ):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        given = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, recurrent_dropout, backend
        super().__init__("simple_rnn", {"activation": nonlinearity}, *given, {"device": device, "dtype": dtype})
        self.nonlinearity = nonlinearity


class LSTM(Recurrent):
    """torch.nn.LSTM on the fused kernels, with other activations if asked for.

    >>> import torch
    >>> from rnn_from_scratch.torch import LSTM
    >>> lstm = LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    >>> y, (h_n, c_n) = lstm(torch.ones(2, 7, 3))
    >>> y.shape, h_n.shape
    (torch.Size([2, 7, 10]), torch.Size([4, 2, 5]))
    >>> _ = torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True).load_state_dict(lstm.state_dict())  # and the other way round
    """

    stem = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        recurrent_dropout: float = 0.0,
        backend: str = "auto",
    ):
        options = {"activation": activation, "recurrent_activation": recurrent_activation}
        given = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, recurrent_dropout, backend
        super().__init__(self.stem, options, *given, {"device": device, "dtype": dtype})


class PeepholeLSTM(LSTM):
    """An LSTM whose gates see the cell state (Gers & Schmidhuber 2000). weight_ch_l0 [3 * hidden_size]: the peepholes of i, f, o."""

    stem = "peephole_lstm"


class CoupledLSTM(LSTM):
    """An LSTM whose forget gate is f = 1 - i (Greff et al. 2017, CIFG); the gates in weight_ih_l0 are i, g, o."""

    stem = "coupled_lstm"


class GRU(Recurrent):
    """torch.nn.GRU on the fused kernels; reset_after=False puts the reset gate before the product, as in Cho et al. 2014.

    Gates stand in torch's order r, z, n. Without reset_after both biases of a gate are added up before anything else.
    """

    in_autocast_dtype = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        recurrent_dropout: float = 0.0,
        backend: str = "auto",
    ):
        options = {"reset_after": reset_after, "activation": activation, "recurrent_activation": recurrent_activation}
        given = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, recurrent_dropout, backend
        super().__init__("gru", options, *given, {"device": device, "dtype": dtype})
