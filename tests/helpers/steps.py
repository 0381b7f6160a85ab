"""Single steps of a stream, on the native backend and on the reference."""

from __future__ import annotations

import numpy as np

from rnn_from_scratch import Stepper
from rnn_from_scratch.measure import EXACT, error
from rnn_from_scratch.verify.cases import CELLS, problem
from rnn_from_scratch.verify.mutants.planted import of

MUTANTS = of(
    "native/stepper.h",
    ("the first block of weights alone is packed", "i < forward.packs()", "i < 1"),
    ("a stepper steps twice", "forward.run_packed()", "(forward.run_packed(), forward.run_packed())"),
)

def differ() -> str:
    """Where a Stepper on the library differs from the reference, or ''."""
    for name, cell in CELLS.items():
        p = problem(cell, "plain", "float64", (2, 3, 5, 90))
        ours, truth = (Stepper(cell, p.params, 2, backend=backend) for backend in ("native", "reference"))
        for t in range(3):
            x_t = np.ascontiguousarray(p.x[:, t])
            if not error(ours.step(x_t), truth.step(x_t)) <= EXACT:
                return f"{name}, step {t}"
    return ""
