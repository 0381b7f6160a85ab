"""The outside truths: one file per framework, none of which shares a line with ours. Each is a module with

    NAME             what the rows of `verify` call it
    COVERS           form of a cell -> its row in interop/weight_layouts.py: what the framework calls it, its gate order, the
                     activations that it has. A form without a row is not covered
    missing()        -> what to install, "" if the framework is here
    cannot(p)        -> why the Problem p is outside of what the framework computes, "" if it is inside
    solve(p)         -> the arrays that cases.solve returns for p, all computed by the framework, in p's dtype
    FLOAT32_ONLY     optional, True: it has no float64
    OUTPUTS_ONLY     optional, True: it has no gradients, solve returns y and the final states
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...cells import form_name
from ...interop.weight_layouts import Row
from ...typing import Array
from ..cases import Problem


def absent(module: str, title: str, install: str) -> str:
    """'needs ...' if `module` is not installed, else ''. Looks for it without importing it."""
    return "" if find_spec(module) else f"needs {title}: pip install {install}"


def lacks(name: str, covers: dict[str, Row], cell: Any) -> str:
    """Why a framework does not compute a cell, by its rows: no such form, or other activations; "" if it does."""
    form = form_name(cell)
    if form not in covers:
        return f"{name} has no {form}"
    row = covers[form]
    for argument, known in (("activation", row.activations), ("recurrent_activation", row.recurrent_activations)):
        asked = getattr(cell, argument, None)
        if asked and asked not in known.split():
            return f"{argument} of its {row.called}: {' or '.join(known.split())}, not {asked}"
    return ""


def tensorflow() -> Any:
    """TensorFlow, without its greeting; the user's own TF_CPP_MIN_LOG_LEVEL stays."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    return tf


def seen_x(p: Problem) -> Array:
    """x with zeros at masked steps: frameworks multiply what they mask, and NaN * 0 is NaN. Ours is given the NaN."""
    mask = p.options.get("mask")
    return p.x if mask is None else np.where(mask[:, :, None], p.x, np.zeros((), p.x.dtype))


def named(p: Problem, y: Array, state: Any, dx: Array, dparams: dict[str, Array], dstate0: Any) -> dict[str, Array]:
    """The names of cases.solve for what a framework returned; dparams by our parameter names."""
    results = {"y": y, **dict(zip(p.cell.states, state)), "dx": dx}
    results.update({f"d{name}": g for name, g in dparams.items()})
    results.update({f"d{name}0": g for name, g in zip(p.cell.states, dstate0)})
    return {name: np.asarray(value) for name, value in results.items()}
