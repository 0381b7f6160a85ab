"""Keras 3 layers on this package's kernels: change one import and train. Read bridge.py, then recurrent.py.

framework.py    which of Keras' backends runs them: TensorFlow, PyTorch or JAX
arrays.py       forward, backward and second order on arrays by Keras' names, for every framework
bridge.py       forward and backward as one differentiable TensorFlow op; torch_bridge.py, jax_bridge.py: on the others
native_op.py    the native kernels called by TensorFlow itself; jax_op.py: by JAX; native_plan.py: what both write down of a call
jax_host.py     what calls Python under JAX
cuda_bridge.py  the same on TensorFlow's tensors that are on a GPU
step.py         single-step cells, the holders of the weights
tensor_step.py  one step in the framework's own operations, with any activation
recurrent.py    SimpleRNN, LSTM, PeepholeLSTM, GRU
stacked.py      RNN, StackedRNNCells: cells upon each other
slow_path.py    what runs a layer, and the warnings where it is not the kernels
attention.py    Attention, for a decoder over an encoder; attention_by_hand.py: the same in NumPy, backward by hand
convert.py      to_keras: a model on tf.keras' own layers again
refusals.py     what is refused, and what to do instead
"""

from __future__ import annotations

from . import framework  # noqa: F401  first: it says what is missing
from .attention import Attention
from .convert import to_keras
from .recurrent import GRU, LSTM, CoupledLSTM, PeepholeLSTM, SimpleRNN
from .stacked import RNN, StackedRNNCells
from .step import CoupledLSTMCell, GRUCell, LSTMCell, PeepholeLSTMCell, SimpleRNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "CoupledLSTM",
    "CoupledLSTMCell",
    "GRUCell",
    "LSTMCell",
    "PeepholeLSTM",
    "PeepholeLSTMCell",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "to_keras",
]
