"""The one table of cases: shape x cell x pass; every usable backend runs each of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rnn_from_scratch import Stepper, backends, cells, init_params
from rnn_from_scratch.interop.weight_layouts import LAYOUTS
from rnn_from_scratch.verify.cases import Problem, rows_mask

PASSES = ("inference", "forward", "forward+backward")  # forward without a tape, with one, and with all gradients
TRAIN = "forward+backward"
STEP = "step"  # of a stream: one step from the state that the one before left, in shapes of one step

# every form of cells.CELLS, the default one of a cell by the name of its class: LSTM, GRU, GRU reset before
FORMS = {type(cell).__name__ if cell == type(cell)() else form: cell for form, cell in cells.forms().items()}
EVERY = tuple(FORMS)
PLAIN = tuple(name for name, cell in FORMS.items() if cells.form_name(cell) in LAYOUTS["torch"].rows)  # those that all frameworks have
CELLS: dict[str, Any] = {**FORMS, **{f"{name} relu": replace(FORMS[name], activation="relu") for name in PLAIN}}


class Shape(NamedTuple):
    """Batch, steps, inputs, units; the cells that run at it; where it comes from."""

    B: int
    T: int
    I: int
    H: int
    cells: tuple[str, ...]
    origin: str

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        return self.B, self.T, self.I, self.H


SIX: tuple[str, ...] = ("mnist", "series", "char", "mid", "big", "latency")  # where we stand beside the peers
QUICK_SHAPES = ("mnist", "series", "char", "latency")
SHAPES = {
    "mnist": Shape(150, 28, 28, 150, EVERY, "rows of a digit: the book's mnist-rnn"),
    "series": Shape(50, 20, 1, 100, (*EVERY, "SimpleRNN relu"), "the book's series"),
    "char": Shape(50, 50, 64, 128, EVERY, "characters"),
    "mid": Shape(64, 100, 256, 256, EVERY, "a medium layer"),
    "big": Shape(64, 50, 512, 512, EVERY, "a big layer"),
    "latency": Shape(1, 100, 64, 128, EVERY, "one sequence at a time"),
    "mnist-deep-rnn": Shape(150, 28, 100, 100, ("SimpleRNN relu",), "the book's stack of 3, upper layers"),
    "mnist-lstm": Shape(150, 28, 150, 150, ("LSTM",), "the book's stack of 3, upper layers"),
    "mnist-lstm-proj": Shape(128, 28, 128, 128, ("LSTM",), "the book's LSTM behind a dense layer"),
    "deep-series": Shape(50, 100, 1, 10, ("PeepholeLSTM", "GRU"), "the book's stacks of 3 and 10"),
    "load": Shape(100, 5, 1, 5, ("LSTM",), "the book's electricity load"),
    "char-64": Shape(50, 50, 64, 64, ("LSTM",), "the book's character model"),
    "char-512": Shape(50, 50, 512, 512, ("LSTM",), "its advised size, upper layers"),
    "sample": Shape(1, 1, 64, 64, ("LSTM",), "one character of the book's generator"),
    "seq2seq": Shape(50, 50, 150, 200, ("LSTM",), "the book's translator"),
    "deepbench-256-16": Shape(16, 150, 256, 256, ("LSTM",), "DeepBench, training"),
    "deepbench-256-64": Shape(64, 150, 256, 256, ("LSTM",), "DeepBench, training"),
    "deepbench-512-16": Shape(16, 25, 512, 512, ("LSTM",), "DeepBench, training"),
    "deepbench-512-128": Shape(128, 25, 512, 512, ("LSTM",), "DeepBench, training"),
    "deepbench-512-1": Shape(32, 1, 512, 512, ("GRU",), "DeepBench, training"),
    "deepbench-1024-25": Shape(64, 25, 1024, 1024, ("LSTM",), "DeepBench, training"),
    "deepbench-1024-187": Shape(32, 187, 1024, 1024, ("GRU",), "DeepBench, training"),
    "deepbench-1760": Shape(16, 50, 1760, 1760, ("SimpleRNN relu",), "DeepBench, training"),
    "haste-128": Shape(32, 50, 128, 128, ("LSTM", "GRU"), "Haste's benchmark"),
    "haste-512": Shape(32, 50, 128, 512, ("LSTM", "GRU"), "Haste's benchmark"),
    "haste-1024": Shape(32, 50, 128, 1024, ("LSTM", "GRU"), "Haste's benchmark"),
    "flashrnn": Shape(16, 1024, 768, 768, ("LSTM",), "FlashRNN's benchmark"),
}

STREAMS = ("1,1,64,128", "16,1,256,256")

# variant -> cell, the cell it is held against, situation; timed in turn with the plain call
VARIANTS = {
    "peephole": ("PeepholeLSTM", "LSTM", "plain"),
    "reset before": ("GRU reset before", "GRU", "plain"),
    **{f"{cell} relu": (f"{cell} relu", cell, "plain") for cell in PLAIN},
    **{f"{cell} {what}": (cell, cell, what) for cell in PLAIN for what in ("reversed", "any mask", "dropout", "dropout per gate")},
}

# axis -> the shapes along it, about one base of B 32, T 50, I = H 128
SWEEPS = {
    "T": {T: (32, T, 128, 128) for T in (10, 30, 100, 300, 1000)},
    "B": {B: (B, 50, 128, 128) for B in (1, 4, 16, 64, 256)},
    "H": {H: (32, 50, H, H) for H in (32, 64, 128, 256, 512, 1024)},
}
QUICK_SWEEPS = {"T": (10, 100, 1000), "B": (1, 16, 256), "H": (32, 128, 512)}


def named(cell: str) -> str:
    """The name in CELLS of a cell in any case, with or without spaces and underscores. Raises KeyError if there is none."""
    plain = {name.replace(" ", "").lower(): name for name in CELLS}
    return plain[cell.replace(" ", "").replace("_", "").lower()]


def add(shape: str) -> None:
    """Have every cell timed at 'B,T,I,H' too, beside the peers and on every backend."""
    global SIX
    if shape not in SHAPES:
        SHAPES[shape] = Shape(*sizes(shape), EVERY, "asked for")
        SIX = (*SIX, shape)


def sizes(shape: str) -> tuple[int, int, int, int]:
    """B, T, I, H of a name in SHAPES, or of 'B,T,I,H'."""
    if shape in SHAPES:
        return SHAPES[shape].sizes
    B, T, I, H = map(int, shape.split(","))
    return B, T, I, H


def timed_backends() -> list[str]:
    """The usable backends. Not the emulator: it runs every CUDA thread as a fibre, and its time says nothing."""
    return [name for name, (usable, _) in backends.available().items() if usable and name != "emulated"]


def ours() -> str:
    """The backend that stands beside the peers: what backend="auto" takes."""
    p = problem("LSTM", "load")
    return backends.choose(p.cell, p.params, p.x).name


@cache
def gates(cell: str) -> int:
    return len(CELLS[cell].gates)


def flops(cell: str, shape: str, what: str) -> int:
    """Floating point operations of the matrix products; backward has twice those of forward."""
    B, T, I, H = sizes(shape)
    return 2 * B * T * gates(cell) * H * (I + H) * (3 if what == TRAIN else 1)


def tape_bytes(cell: str, shape: str) -> int:
    """Bytes of the tape in float32: what forward has to keep."""
    B, T, _, H = sizes(shape)
    return 4 * B * H * (len(CELLS[cell].saved) * T + len(CELLS[cell].states) * (T + 1))


def problem(cell: str, shape: str, situation: str = "plain") -> Problem:
    """Seeded float32 arrays of a case; weights as a layer begins with, biases that are not zero, a gradient on every output.

    situation: plain, reversed, any mask (ends early, starts late, gaps), dropout (one scale for x, one for h), dropout per gate
    """
    B, T, I, H = sizes(shape)
    rng = np.random.default_rng(0)
    params = init_params(CELLS[cell], inputs=I, units=H, rng=rng)
    for name in list(params)[2:]:  # after Wx and Wh
        params[name] += normal(rng, *params[name].shape) * 0.1
    x, dy = normal(rng, B, T, I), normal(rng, B, T, H)
    dstate = tuple(normal(rng, B, H) for _ in CELLS[cell].states)
    options: dict[str, Any] = {"go_backwards": True} if situation == "reversed" else {}
    if situation == "any mask":
        options["mask"] = rows_mask(rng, B, T)
    if situation.startswith("dropout"):
        lead = (gates(cell),) if situation.endswith("per gate") else ()
        for name, width in (("x_scale", I), ("h_scale", H)):
            options[name] = rng.integers(0, 2, (*lead, B, width)).astype("float32") * 2  # half of them dropped
    return Problem(CELLS[cell], params, x, options, dy, dstate)


def normal(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape, "float32")


def runner(p: Problem, what: str, backend: str) -> Any:
    """A call without arguments that runs one pass on a backend -> (y, dx); dx is None unless the pass is forward+backward.

    One step -> h [B,H].
    """

    def inference() -> tuple[Any, Any]:
        return backends.forward(p.cell, p.params, p.x, **p.options, save=False, backend=backend)[0], None

    def forward() -> tuple[Any, Any]:
        return backends.forward(p.cell, p.params, p.x, **p.options, backend=backend)[0], None

    def train() -> tuple[Any, Any]:
        y, _, tape = backends.forward(p.cell, p.params, p.x, **p.options, backend=backend)
        return y, backends.backward(tape, p.dy).x

    if what == STEP:
        stepper, x_t = Stepper(p.cell, p.params, len(p.x), backend=backend), p.x[:, 0].copy()
        return lambda: stepper.step(x_t)
    return dict(zip(PASSES, (inference, forward, train)))[what]
