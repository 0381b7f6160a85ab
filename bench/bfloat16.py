"""Products in bfloat16: our native kernels in float32 and in bfloat16, and torch under autocast, each in a process of its own, in turn.

    python -m bench.bfloat16                     prints the table
    python -m bench.bfloat16 --readme FILE       and writes it into FILE, between <!-- bfloat16: begin --> and <!-- bfloat16: end -->

Training is forward and backward, by x and the weights; inference keeps nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rnn_from_scratch import backends
from rnn_from_scratch.verify.cases import Problem
from rnn_from_scratch.verify.oracles import torch_nn
from rnn_from_scratch.verify.table import rewrite

from . import machine, processes
from .cases import problem

PASSES = ("training", "inference")
CASES = [f"{cell}, {shape}" for cell in ("LSTM", "GRU") for shape in ("mnist", "char", "mid", "big")]
Run = Callable[[], Any]


def ours(precision: str | None, p: Problem, what: str) -> Run:
    def run() -> Any:
        save = what == "training"
        tape = backends.forward(p.cell, p.params, p.x, backend="native", precision=precision, save=save)[2]
        return backends.backward(tape, p.dy, wrt=("x", "params")) if save else None

    return run


def torch(p: Problem, what: str) -> Run:
    import torch

    torch.set_num_threads(backends.num_threads())
    layer, _ = torch_nn.torch_layer(p)
    x, dy = torch.tensor(p.x, requires_grad=True), torch.tensor(p.dy)
    sources = [x, *layer.parameters()]

    def run() -> Any:
        with torch.set_grad_enabled(what == "training"), torch.autocast("cpu", torch.bfloat16):
            y = layer(x)[0]
        return torch.autograd.grad(y, sources, dy.to(y.dtype)) if what == "training" else None

    return run


LIBRARIES: dict[str, Callable[[Problem, str], Run]] = {
    "float32": partial(ours, None),
    "bfloat16": partial(ours, "bfloat16"),
    "torch": torch,
}


def one(library: str, case: str) -> dict[str, float]:
    """Milliseconds of each pass."""
    p = problem(*case.split(", "))
    return {what: processes.fastest(LIBRARIES[library](p, what)) for what in PASSES}


def table(cases: list[str], rounds: int) -> str:
    heads = ["case", "float32", "bfloat16", "torch, autocast", "float32 / bfloat16", "torch / bfloat16"]
    lines = [f"| {' | '.join(heads)} |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for case in cases:
        best = processes.best(__spec__.name, list(LIBRARIES), case, rounds)
        for what in PASSES:
            exact, rounded, peer = (best[name][what] for name in LIBRARIES)
            cells = [f"{ms:.1f} ms" for ms in (exact, rounded, peer)] + [f"{exact / rounded:.2f}", f"{peer / rounded:.2f}"]
            lines.append(f"| {case}, {what} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    where = f"{machine.facts()['threads']} threads, {backends.load('native').bfloat16()} instructions"
    return "\n".join([*lines, "", f"The best of {rounds} processes each, in turn; {where}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readme", type=Path)
    parser.add_argument("--one", choices=list(LIBRARIES), help="time this one here")
    given = parser.parse_args()
    if not backends.rounds("bfloat16", "native"):
        parser.exit(2, "bench.bfloat16: this machine has no products in bfloat16; rnn-from-scratch doctor says what it lacks\n")
    if given.one:
        print(json.dumps(one(given.one, given.cases[0])))
        return
    text = table(given.cases, given.rounds)
    if given.readme:
        rewrite(given.readme, "bfloat16", text)


if __name__ == "__main__":
    main()
