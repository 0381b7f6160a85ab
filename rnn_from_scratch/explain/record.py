"""A model with one sequence, as the document that a page computes from: the format rnn-explain/1, told in schema.json.

Weights stay in their own dtype. All numbers under "check" are float64, made by the NumPy cells on those same weights; the page
makes them again in JavaScript and says how far off it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import rnn_from_scratch

from .. import cells
from ..measure import EXACT
from ..typing import Array, Cell
from .arrays import numbers, wide
from .encoder import encode, source_gradient
from .encoder import stored as stored_encoder
from .head import attend, head_gradients, head_outputs
from .lines import source_of
from .steps import Passed, Steps, run_backward, run_forward

SCHEMA = "rnn-explain/1"
LONG, GROWTH = 200, 100.0  # beyond these, rounding errors have multiplied: 100 times as much is allowed
Layer = Any  # (cell, params), or (cell, params, {"go_backwards": True})


class Model(NamedTuple):
    """Layers upon each other, what stands before them and after them; all float64."""

    cells: list[Cell]
    params: list[dict[str, Array]]
    go_backwards: list[bool]
    before: dict[str, Any] | None
    head: dict[str, Any] | None


def document(
    layers: Sequence[Layer],
    x: Array,
    *,
    before: dict[str, Any] | None = None,
    head: dict[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    lengths: int | None = None,
    initial_state: Sequence[Array] | None = None,
    loss: dict[str, Any] | None = None,
    kind: str | None = None,
    title: str | None = None,
    vocabulary: Sequence[str] | None = None,
    inputs: Sequence[str] | None = None,
    scale: dict[str, float] | None = None,
    run: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of a model and a sequence; see page for the arguments. Raises ValueError or TypeError as forward does.

    encoder: what encoder.encode takes, of a decoder; it gives the initial states, and keys for the head's attention, if it has one
    """
    model = model_of(layers, before, head)
    read_source = None if encoder is None else encode(encoder)
    keys = None if read_source is None or head is None or "attention" not in head else read_source.keys
    x = np.asarray(x)
    x = x[0] if x.ndim == (2 if x.dtype.kind in "iu" and before is not None and "embedding" in before else 3) else x
    read = vectors(model, x)
    passed = forward(model, read, lengths, initial_state if read_source is None else read_source.states)
    outputs = head_outputs(model, passed, keys)
    loss = {"step": len(x) - 1, **(loss or default_loss(model, outputs, len(x)))}
    dys, dstate, dkeys = head_gradients(model, passed, outputs, loss, keys)
    done = backward(passed, dys, dstate)
    kind = kind or kind_of(model, x)
    top = len(layers) - 1
    source = [source_of(cell, step) for cell, step in zip(model.cells, done)]
    checked = check(model, done, outputs, kind, x)
    if read_source is not None:
        dx = source_gradient(read_source, done, dkeys)
        checked["source_reach"] = [float(v) for v in np.sqrt((dx**2).sum(axis=1))]
    if keys is not None:
        checked["attention"] = numbers(attend(model, passed[-1].y[0], keys)[1])
    names = {"inputs": list(inputs or []), "outputs": list(labels or []), "steps": [], "vocabulary": list(vocabulary or [])}
    return {
        "schema": SCHEMA,
        "made_by": f"rnn_from_scratch {rnn_from_scratch.__version__}",
        "title": title or f"{' on '.join(describe(cell, p) for cell, p in zip(model.cells[::-1], model.params[::-1]))}, {len(x)} steps",
        "kind": kind,
        "layers": [
            {**layer_row(*layer), "params": {name: numbers(a) for name, a in layer[1].items()}}
            | ({} if n == top else {"source": source[n]})
            for n, layer in enumerate(layers)
        ],
        "before": None if before is None else stored(before),
        "head": None if head is None or model.head is None else {**model.head, **stored(head)},
        **({} if encoder is None else {"encoder": stored_encoder(encoder, [layer_row(*layer) for layer in encoder["layers"]])}),
        "input": {"codes": x.tolist()} if x.dtype.kind in "iu" else {"x": numbers(x)},
        "lengths": lengths,
        "initial_state": None if initial_state is None else [numbers(np.reshape(a, -1)) for a in initial_state],
        "names": names,
        "scale": scale,
        "loss": loss,
        "check": {**checked, "allowed": allowed(done)},
        "source": source[top],
        "run": run,
    }


def model_of(layers: Sequence[Layer], before: dict[str, Any] | None, head: dict[str, Any] | None) -> Model:
    return Model(
        [layer[0] for layer in layers],
        [{name: wide(a) for name, a in layer[1].items()} for layer in layers],
        [bool(layer[2].get("go_backwards")) if len(layer) > 2 else False for layer in layers],
        None if before is None else widened(before),
        None if head is None else {"activation": "linear", "reads": "all", **widened(head)},
    )


def widened(part: dict[str, Any]) -> dict[str, Any]:
    """What stands before or after the layers, its arrays as float64."""
    return {name: widened(a) if isinstance(a, dict) else a if isinstance(a, str) else wide(a) for name, a in part.items()}


def stored(part: dict[str, Any]) -> dict[str, Any]:
    """The same as the document has it."""
    return {name: stored(a) if isinstance(a, dict) else a if isinstance(a, str) else numbers(a) for name, a in part.items()}


def describe(cell: Cell, params: dict[str, Array]) -> str:
    units = params["Wh"].shape[0]
    return f"{cells.form_name(cell)}, {units} unit{'s' * (units > 1)}"


def kind_of(model: Model, x: Array) -> str:
    if model.before and "embedding" in model.before:
        return "text"
    return "cell" if model.head is None else "rows" if model.head["activation"] == "softmax" else "series"


def layer_row(cell: Cell, params: dict[str, Array], options: dict[str, Any] | None = None) -> dict[str, Any]:
    listed = next((name for name, kind in cells.CELLS.items() if type(cell) is kind), None)
    known = {name: getattr(cell, name) for name in ("activation", "recurrent_activation", "reset_after") if hasattr(cell, name)}
    return {
        **{"cell": listed or type(cell).__name__, "activation": None, "recurrent_activation": "sigmoid", **known},
        **{
            "use_bias": getattr(cell, "use_bias", True),
            "go_backwards": bool((options or {}).get("go_backwards")),
            "listed": listed is not None,
        },
        **{"inputs": params["Wx"].shape[0], "units": params["Wh"].shape[0]},
        **{"gates": list(cell.gates), "states": list(cell.states), "saved": list(cell.saved), "file": file_of(cell)},
    }


def file_of(cell: Cell) -> str:
    """Where a cell is written: cells/lstm.py, or the plain name of another's file."""
    try:
        path = Path(inspect.getfile(type(cell)))
    except (OSError, TypeError):  # typed at a prompt
        return type(cell).__name__
    return f"{path.parent.name}/{path.name}" if cells.is_listed(cell) else path.name


def vectors(model: Model, x: Array) -> Array:
    """What the first layer reads: [1,T,I]."""
    if model.before and "embedding" in model.before:
        return model.before["embedding"][x][None]
    dense = model.before["dense"] if model.before else None
    return wide(x)[None] if dense is None else (wide(x) @ dense["W"] + dense["b"])[None]


def forward(model: Model, x: Array, lengths: int | None, initial_state: Sequence[Array] | None) -> list[Passed]:
    mask = None if lengths is None else np.arange(x.shape[1])[None] < lengths
    states = list(initial_state or [])
    done = []
    for cell, params, back in zip(model.cells, model.params, model.go_backwards):
        own = [wide(states.pop(0)).reshape(1, -1) for _ in cell.states] if states else None
        done.append(run_forward(cell, params, x, initial_state=own, mask=mask, go_backwards=back))
        x = done[-1].y
        mask = mask[:, ::-1] if back and mask is not None else mask
    return done


def default_loss(model: Model, outputs: Array | None, T: int) -> dict[str, Any]:
    if outputs is None:
        return {"state": model.cells[-1].states[-1], "unit": 0, "step": T - 1}
    return {"step": T - 1, "output": int(outputs[-1].argmax())}


def backward(passed: list[Passed], dys: list[Array], dstate: Any) -> list[Steps]:
    """The gradients of the loss in every layer; dys by the y of each, dstate by the final state of the top one."""
    done: list[Steps] = []
    for n in reversed(range(len(passed))):
        dy = dys[n] + done[0].gradients.x if done else dys[n]
        done.insert(0, run_backward(passed[n], dy, dstate if n == len(passed) - 1 else None))
    return done


def check(model: Model, done: list[Steps], outputs: Array | None, kind: str, x: Array) -> dict[str, Any]:
    """The reference numbers. A run's page has so many steps and units that it checks what its head says, and the gradient's reach."""
    found: dict[str, Any] = {} if outputs is None else {"outputs": numbers(outputs)}
    if kind in ("text", "translation") and outputs is not None:  # of all the probabilities, those of what comes next
        found = {"log_p": [float(v) for v in outputs[np.arange(len(x) - 1), x[1:]]]}
    if kind != "cell":
        norms = np.sqrt((done[0].gradients.x[0] ** 2).sum(axis=1))
        return {**found, "reach": [float(v) for v in norms]}
    found |= {"y": numbers(done[-1].y[0]), "dx": numbers(done[0].gradients.x[0])}
    for n, (cell, step) in enumerate(zip(model.cells, done)):
        prefix = "" if n == len(done) - 1 else f"{n}:"
        assert step.tape.saved is not None
        found |= {f"{prefix}states.{name}": numbers(step.tape.states[k][0]) for k, name in enumerate(cell.states)}
        found |= {f"{prefix}saved.{name}": numbers(step.tape.saved[0, :, k]) for k, name in enumerate(cell.saved)}
        found |= {f"{prefix}{name}": numbers(a) for name, a in gradient_rows(cell, step).items()}
    return found


def gradient_rows(cell: Cell, step: Steps) -> dict[str, Array]:
    """backward.NAME and arriving.STATE, [T,H]: what the lines of backward made; 0 at masked steps."""
    live = step.tape.live[0] if step.tape.live is not None else np.ones(len(step.backward), bool)
    rows = {f"arriving.{s}": np.stack([d[k][0] for d in step.arriving]) for k, s in enumerate(cell.states)}
    made = [{a.name: a.value for told in phases for line in told.lines for a in line.assignments} for phases in step.backward]
    for name in made[0]:
        if name.startswith("d") and not name.endswith("_prev") and "[" not in name:
            rows[f"backward.{name}"] = np.stack([at[name][0] for at in made])
    return {name: np.where(live[:, None], a, 0) for name, a in rows.items()}


def allowed(done: list[Steps]) -> float:
    """What the page may be off: 1e-12, and 100 times that where a long or growing chain multiplies rounding errors."""
    T = len(done[0].backward)
    norms = [float(np.sqrt(sum((d**2).sum() for d in at))) for step in done for at in step.arriving]
    return EXACT * (100 if T > LONG or max(norms) > GROWTH * max(norms[-1], 1.0) else 1)
