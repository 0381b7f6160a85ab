"""Runs of layers with every executed line of their cells: what the page and the command in the terminal show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..bptt import Gradients, Tape
from ..typing import Array, Cell
from .watch import Line, watch


class Told(NamedTuple):
    """The lines of one phase of one step, forward or backward."""

    phase: int
    lines: list[Line]


class Watched:
    """A cell that does what another does, and keeps the lines of every call."""

    def __init__(self, cell: Cell):
        self.cell = cell
        self.forward_told: list[Told] = []
        self.backward_told: list[Told] = []
        self.arriving: list[tuple[Array, ...]] = []  # d of every step back, before the cell adds to it

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cell, name)

    def forward(self, k: int, *args: Any) -> Any:
        result, lines = watch(self.cell, "forward", k, *args)
        self.forward_told.append(Told(k, lines))
        return result

    def backward(self, k: int, d: tuple[Array, ...], *args: Any) -> Any:
        result, lines = watch(self.cell, "backward", k, d, *args)
        self.backward_told.append(Told(k, lines))
        if k == len(self.cell.phases) - 1:
            self.arriving.append(d)
        return result


class Passed(NamedTuple):
    """A layer after forward: the watched cell, y [1,T,H] in processing order, the tape."""

    watched: Watched
    y: Array
    tape: Tape


class Steps(NamedTuple):
    """A layer after backward: the gradients of a loss, and the lines of every step in the time order of x."""

    tape: Tape
    y: Array
    gradients: Gradients
    forward: list[list[Told]]
    backward: list[list[Told]]
    arriving: list[tuple[Array, ...]]


def run_forward(cell: Cell, params: dict[str, Array], x: Array, **options: Any) -> Passed:
    """Run a layer on the reference, watched; the arguments are those of rnn_from_scratch.forward, for one sequence x [1,T,I].

    Raises ValueError or TypeError as forward does.
    """
    backends.forward(cell, params, x, **options, save=False, backend="reference")  # errors name the cell itself
    watched = Watched(cell)
    y, _, tape = backends.forward(watched, params, x, **options, backend="reference")
    assert tape is not None
    return Passed(watched, y, tape)


def run_backward(passed: Passed, dy: Array | None, dstate: Any) -> Steps:
    """The way back; dy and dstate as in rnn_from_scratch.backward."""
    watched, y, tape = passed
    gradients = backends.backward(tape, dy, dstate)
    K, T = len(watched.phases), y.shape[1]
    order = slice(None, None, -1 if tape.go_backwards else 1)
    forward = [watched.forward_told[K * t : K * t + K] for t in range(T)][order]
    backward = [watched.backward_told[K * t : K * t + K] for t in reversed(range(T))][order]
    return Steps(tape, y, gradients, forward, backward, watched.arriving[::-1][order])


def steps(cell: Cell, params: dict[str, Array], x: Array, dy: Array | None, dstate: Any, **options: Any) -> Steps:
    """A layer forward and back: run_forward, then run_backward."""
    return run_backward(run_forward(cell, params, x, **options), dy, dstate)


def loss_gradient(cell: Cell, shape: tuple[int, int], loss: dict[str, Any]) -> tuple[Array | None, Any]:
    """dy [1,T,H] and dstate of a loss.

    {"state": "c", "unit": 0} is the last c of unit 0; {"step": 5, "output": 2} is h of unit 2 after step 5.
    """
    T, H = shape
    if "output" in loss:
        dy = np.zeros((1, T, H))
        dy[0, loss["step"], loss["output"]] = 1
        return dy, None
    dstate = [np.zeros((1, H)) for _ in cell.states]
    dstate[cell.states.index(loss["state"])][0, loss["unit"]] = 1
    return None, tuple(dstate)
