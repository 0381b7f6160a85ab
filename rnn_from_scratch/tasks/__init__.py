"""The training tasks. TASKS is plain data, so that the command line can show it without loading TensorFlow."""

from __future__ import annotations

from typing import Any

# task -> its settings and their defaults; the module of the same name has train(out, ...) and predict(...)
TASKS: dict[str, dict[str, Any]] = {
    "mnist": {
        "cell": "simple_rnn",
        "layers": 1,
        "units": 150,
        "activation": "tanh",
        "epochs": 10,
        "batch_size": 150,
        "learning_rate": 1e-3,
        "backend": "auto",
        "seed": 0,
        "data": None,
    },
}
