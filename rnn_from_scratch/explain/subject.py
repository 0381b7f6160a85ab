"""What a figure shows: layers with one sequence, of a cell at its start or of a training run, and what can be measured in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import backends, cells
from ..bptt import Tape
from ..params import init_params
from ..typing import Array, Cell, ListedCell
from . import record
from .example import example


class Subject(NamedTuple):
    """A layer: its cell, float64 parameters, and what it reads, x [1,T,I]."""

    title: str
    cell: Cell
    params: dict[str, Array]
    x: Array


def of_cell(cell: ListedCell, units: int, steps: int, seed: int) -> Subject:
    """A cell at Keras' start, reading the sequence of its page."""
    e = example(cell, units, steps, seed)
    return Subject(f"{cells.form_name(cell)}, {units} units at the start", cell, e.params, e.x)


def of_run(run_dir: Path) -> list[Subject]:
    """The layers of a run, from the bottom up, reading what its page reads. Raises InputError."""
    from .runs import read

    layers, x, made = read(run_dir)
    if encoder := made.get("encoder"):  # of a translation, the part that begins with zeros
        layers, x, made = encoder["layers"], encoder["codes"], {"before": {"embedding": encoder["embedding"]}}
    model = record.model_of(layers, made.get("before"), None)
    values, found = record.vectors(model, x), []
    for n, (cell, params) in enumerate(zip(model.cells, model.params), 1):
        which = f", layer {n} of {len(layers)}" if len(layers) > 1 else ""
        found.append(Subject(f"{run_dir.resolve().name}: {cells.form_name(cell)}{which}", cell, params, values))
        values = backends.forward(cell, params, values, save=False, backend="reference")[0]
    return found


def at_start(subject: Subject, seed: int) -> Subject:
    """The same layer with fresh weights."""
    I, H = subject.params["Wx"].shape[0], subject.params["Wh"].shape[0]
    return subject._replace(params=init_params(subject.cell, I, H, rng=seed, dtype="float64"))


def run(subject: Subject) -> Tape:
    tape = backends.forward(subject.cell, subject.params, subject.x, backend="reference")[2]
    assert tape is not None
    return tape


def rows(subject: Subject, tape: Tape) -> dict[str, Array]:
    """Name -> [T,H]: what the cell saves, then its states."""
    assert tape.saved is not None
    saved = {name: tape.saved[0, :, k] for k, name in enumerate(subject.cell.saved)}
    return saved | {name: states[0, 1:] for name, states in zip(subject.cell.states, tape.states)}


def gates_of(cell: Cell) -> list[str]:
    """The names of what is saved and lies between 0 and 1: gates behind the recurrent activation."""
    if getattr(cell, "recurrent_activation", "") not in ("sigmoid", "hard_sigmoid"):
        return []
    return [name for name in cell.gates if name in cell.saved and name not in getattr(cell, "candidates", ())]


def kept(subject: Subject, tape: Tape) -> Array:
    """[T,H]: how much of the last state a unit keeps from step to step by itself, without the detour through Wh; 0 for a plain RNN.

    In an LSTM that is f, in a GRU z. It is what a gradient of 1 by the last state comes back as.
    """
    cell, T = subject.cell, subject.x.shape[1]
    p = tuple(subject.params["p"]) if cell.extras else ()
    found = np.zeros((T, subject.params["Wh"].shape[0]))
    one, none = np.ones((1, found.shape[1])), np.zeros((1, found.shape[1]))
    assert tape.saved is not None
    for t in range(T):
        saved = tuple(tape.saved[:, t, k] for k in range(len(cell.saved)))
        s_prev, s = (tuple(state[:, t + n] for state in tape.states) for n in (0, 1))
        d = (*(none for _ in cell.states[1:]), one)
        for k in reversed(range(len(cell.phases))):
            back = cell.backward(k, d if k == len(cell.phases) - 1 else (*d, none), saved, s_prev, s, p)
            found[t] += np.broadcast_to(back[2][-1], none.shape)[0]
    return found


def reach(subject: Subject, seed: int) -> Array:
    """[T+1]: the norm of the gradient by the states before each step, of a loss that hears the last h alone."""
    tape, H = run(subject), subject.params["Wh"].shape[0]
    dh = np.random.default_rng(seed).standard_normal((1, H)) / np.sqrt(H)
    T = subject.x.shape[1]
    norms = [float(np.linalg.norm(dh))]
    d = [dh, *(np.zeros_like(dh) for _ in subject.cell.states[1:])]
    for t in reversed(range(T)):
        part = subject._replace(x=subject.x[:, t : t + 1])
        state = tuple(s[:, t] for s in tape.states)
        piece = backends.forward(part.cell, part.params, part.x, state, backend="reference")[2]
        d = list(backends.backward(piece, None, tuple(d)).initial_state)
        norms.append(float(np.sqrt(sum((a**2).sum() for a in d))))
    return np.array(norms[::-1])


def jacobian(subject: Subject, start: int, steps: int) -> Array:
    """[S*H,S*H]: the derivative of all states after `steps` steps from `start` by those before."""
    tape, H, S = run(subject), subject.params["Wh"].shape[0], len(subject.cell.states)
    state: Sequence[Array] = [np.repeat(s[:, start], S * H, axis=0) for s in tape.states]
    x = np.repeat(subject.x[:, start : start + steps], S * H, axis=0)
    piece = backends.forward(subject.cell, subject.params, x, tuple(state), backend="reference")[2]
    asked = np.split(np.eye(S * H), S, axis=1)
    return np.concatenate(backends.backward(piece, None, tuple(asked)).initial_state, axis=1)
