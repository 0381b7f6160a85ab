"""PyTorch modules on the kernels of this package, in place of torch.nn's. torch is imported here and nowhere else in the package.

The first line of a program that uses them: from rnn_from_scratch.torch import LSTM
"""

from __future__ import annotations

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError("rnn_from_scratch.torch needs PyTorch: pip install 'rnn_from_scratch[torch]'") from error

from . import cuda_operators, openmp  # noqa: F401 - registers the operators
from .convert import Replaced, from_torch, to_torch
from .modules import GRU, LSTM, RNN, CoupledLSTM, PeepholeLSTM
from .single_step import GRUCell, LSTMCell, RNNCell

openmp.join()

__all__ = ["GRU", "LSTM", "RNN", "CoupledLSTM", "GRUCell", "LSTMCell", "PeepholeLSTM", "RNNCell", "Replaced", "from_torch", "to_torch"]
