"""The framework that Keras runs on, chosen once: `bridge` is the module of this package for it.

Arithmetic on tensors uses the bridge's operations, in which float64 stays float64: Keras' own do not all keep it (ops.matmul on PyTorch,
ops.tanh on JAX).
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

TITLES = {"tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}  # by the names that KERAS_BACKEND has for them
BRIDGES = {"tensorflow": "bridge", "torch": "torch_bridge", "jax": "jax_bridge"}


def running() -> str:
    """The name of Keras' backend. Raises ImportError if Keras, or what it is to run on, is missing or not known here."""
    try:
        import keras

        name = keras.backend.backend()
        if name == "tensorflow":
            import tensorflow  # noqa: F401
    except ImportError as error:
        name = os.environ.get("KERAS_BACKEND") or "tensorflow"
        install = f'pip install "rnn_from_scratch[{name}]"'
        needs = "TensorFlow" if name == "tensorflow" else f"Keras and {TITLES.get(name, name)}, since KERAS_BACKEND={name}"
        raise ImportError(f"rnn_from_scratch.layers needs {needs}: {install}{'' if name == 'tensorflow' else ' keras'}") from error
    if name not in TITLES:
        raise ImportError(f"rnn_from_scratch.layers: expected KERAS_BACKEND to be one of {', '.join(TITLES)}, got {name}")
    return name


NAME = running()
TITLE = TITLES[NAME]
bridge: Any = import_module(f".{BRIDGES[NAME]}", __package__)
