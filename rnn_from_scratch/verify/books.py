"""The two-step programs of a TensorFlow 1 book on our cell, beside the arrays that the book prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.markup import escape

from .. import backends, cells
from ..typing import Array

BUDGET = 1e-6  # absolute: the book prints 7 to 8 digits of float32


class Program(NamedTuple):
    """One program: our outputs and final state, and the book's (state is None where it prints none)."""

    name: str
    what: str
    y: Array  # [B,T,H]
    state: Array  # [B,H]
    book_y: Array
    book_state: Array | None

    @property
    def difference(self) -> float:
        """The largest absolute difference from what the book prints; NaN counts as inf."""
        pairs = [(self.y, self.book_y)] + ([] if self.book_state is None else [(self.state, self.book_state)])
        worst = max(float(np.max(np.abs(ours - book))) for ours, book in pairs)
        return worst if np.isfinite(worst) else float("inf")

    @property
    def ok(self) -> bool:
        return self.difference <= BUDGET


def by_hand(params: dict[str, Array], x: Array, backend: str) -> tuple[Array, Array]:
    """y0 = tanh(x0 Wx + b), y1 = tanh(y0 Wh + x1 Wx + b), written out."""
    y0 = np.tanh(x[:, 0] @ params["Wx"] + params["b"])
    y1 = np.tanh(y0 @ params["Wh"] + x[:, 1] @ params["Wx"] + params["b"])
    return np.stack([y0, y1], axis=1), y1


def step_by_step(params: dict[str, Array], x: Array, backend: str) -> tuple[Array, Array]:
    """A list of steps, one call each, the state handed on: TensorFlow 1's static_rnn."""
    return a_list_of_steps(params, [x[:, t] for t in range(x.shape[1])], backend)


def a_list_of_steps(params: dict[str, Array], steps: list[Array], backend: str) -> tuple[Array, Array]:
    outputs, state = [], None
    for x_t in steps:
        y, state, _ = backends.forward(cells.SimpleRNN(), params, x_t[:, None], state, save=False, backend=backend)
        outputs.append(y[:, 0])
    assert state is not None
    return np.stack(outputs, axis=1), state[0]


def packed(params: dict[str, Array], x: Array, backend: str) -> tuple[Array, Array]:
    """[B,T,I] unstacked into steps, run, and stacked again: no bit may change against step_by_step."""
    steps = list(np.ascontiguousarray(x.transpose(1, 0, 2)))
    return a_list_of_steps(params, steps, backend)


def whole_sequence(params: dict[str, Array], x: Array, backend: str, **options: Any) -> tuple[Array, Array]:
    """One call for all steps: TensorFlow 1's dynamic_rnn."""
    y, (h,), _ = backends.forward(cells.SimpleRNN(), params, x, **options, save=False, backend=backend)
    return y, h


PROGRAMS: dict[str, tuple[str, Callable[..., tuple[Array, Array]], str]] = {  # name -> numbers used, program, what it shows
    "manual": ("manual", by_hand, "two steps unrolled by hand"),
    "static": ("static", step_by_step, "static_rnn: a list of steps"),
    "packed": ("static", packed, "packed as [batch, steps, inputs], unstacked and restacked"),
    "dynamic": ("dynamic", whole_sequence, "dynamic_rnn: the whole sequence"),
    "lengths": ("lengths", whole_sequence, "dynamic_rnn with sequence_length: zeros past the end"),
}


def run(backend: str = "auto") -> list[Program]:
    """Run every program on a backend (see forward)."""
    book = json.loads(Path(__file__).with_name("book_rnn.json").read_text(encoding="utf-8"))["programs"]
    done = []
    for name, (numbers, program, what) in PROGRAMS.items():
        case = {key: np.array(value, "float32") for key, value in book[numbers].items() if key != "lengths"}
        params = {key: case[key] for key in ("Wx", "Wh", "b")}
        options = {}
        if "lengths" in book[numbers]:
            options = {"lengths": np.array(book[numbers]["lengths"]), "zero_masked_outputs": True}
        y, state = program(params, case["x"], backend, **options)
        done.append(Program(name, what, y, state, case["y"], case.get("state")))
    return done


def report(console: Any, backend: str = "auto") -> bool:
    """Print ours beside the book's on a rich console; True if every program is within 1e-6."""
    programs = run(backend)
    for program in programs:
        console.print(f"\n[bold]{escape(program.name)}[/bold]: {escape(program.what)}", highlight=False)
        for t in range(program.y.shape[1]):
            console.out(f"  outputs at step {t}, ours above the book's", highlight=False)
            for pair in zip(program.y[:, t], program.book_y[:, t]):
                for name, row in zip(("ours", "book"), pair):
                    console.out(f"    {name} {' '.join(f'{v:11.8f}' for v in row)}", highlight=False)
        verdict = "[green]equal[/green]" if program.ok else "[red]DIFFERENT[/red]"
        console.print(f"  {verdict}: largest difference {program.difference:.1e}, allowed {BUDGET:.0e}")
    return all(program.ok for program in programs)
