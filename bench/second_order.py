"""Gradients of gradients: our native kernels, torch's double backward and tf.keras' nested tapes, each in a process of its own, in turn.

    python -m bench.second_order                     prints the table
    python -m bench.second_order --readme FILE       and writes it into FILE, between <!-- second: begin --> and <!-- second: end -->

A pass is forward, backward, and the gradients of <v, what backward gave> by x, the weights and dy. "by x": v has a part for the gradient by
x alone, as a gradient penalty has; "all": for those by the weights too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnn_from_scratch import backends, backward_vjp
from rnn_from_scratch.bptt import Gradients
from rnn_from_scratch.verify.cases import Problem
from rnn_from_scratch.verify.oracles import keras_layers, torch_nn
from rnn_from_scratch.verify.table import rewrite

from . import machine, processes
from .cases import problem

PASSES = ("first order", "by x", "all")
Run = Callable[[], Any]


def random_like(arrays: list[Any]) -> list[Any]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal(tuple(a.shape), "float32") for a in arrays]


def ours(p: Problem, what: str) -> Run:
    vx, *rest = random_like([p.x, *p.params.values()])
    v = Gradients(vx, dict(zip(p.params, rest)) if what == "all" else None, None)  # type: ignore[arg-type]

    def run() -> Any:
        tape = backends.forward(p.cell, p.params, p.x, backend="native")[2]
        backends.backward(tape, p.dy, wrt=("x", "params"))
        return None if what == "first order" else backward_vjp(tape, p.dy, None, v, wrt=("x", "params", "dy"))

    return run


def torch(p: Problem, what: str) -> Run:
    import torch

    torch.set_num_threads(backends.num_threads())
    layer, _ = torch_nn.torch_layer(p)
    x, dy = torch.tensor(p.x, requires_grad=True), torch.tensor(p.dy, requires_grad=True)
    sources = [x, *layer.parameters()]
    v = [torch.tensor(a) for a in random_like(sources[:1] if what == "by x" else sources)]

    def run() -> Any:
        found = torch.autograd.grad(layer(x)[0], sources, dy, create_graph=what != "first order")
        return None if what == "first order" else torch.autograd.grad(found[: len(v)], [*sources, dy], v)

    return run


def keras(p: Problem, what: str) -> Run:
    import tensorflow as tf

    layer = keras_layers.keras_layer(p)
    x, dy, weights = tf.constant(p.x), tf.constant(p.dy), layer.trainable_variables
    v = [tf.constant(a) for a in random_like([p.x] if what == "by x" else [p.x, *(w.numpy() for w in weights)])]

    @tf.function
    def step(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch([x, dy])
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = layer(x)[0]
            found = inner.gradient(y, [x, *weights], output_gradients=dy)
        return found if what == "first order" else outer.gradient(found[: len(v)], [x, *weights, dy], output_gradients=v)

    graph = step.get_concrete_function(x, dy)
    return lambda: graph(x, dy)


LIBRARIES: dict[str, Callable[[Problem, str], Run]] = {"ours": ours, "torch": torch, "keras": keras}
CASES = [f"{cell}, {shape}" for cell in ("LSTM", "GRU") for shape in ("mid", "big")]


def one(library: str, case: str) -> dict[str, float]:
    """Milliseconds of each pass."""
    p = problem(*case.split(", "))
    return {what: processes.fastest(LIBRARIES[library](p, what)) for what in PASSES}


def table(cases: list[str], libraries: list[str], rounds: int) -> str:
    peers = [name for name in libraries if name != "ours"]
    heads = ["case", *PASSES, "by x / first", "all / first", *(f"{name}, all" for name in peers), *(f"{name} / ours" for name in peers)]
    lines = [f"| {' | '.join(heads)} |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    for case in cases:
        best = processes.best(__spec__.name, libraries, case, rounds)
        first, by_x, both = (best["ours"][what] for what in PASSES)
        cells = [f"{first:.0f} ms", f"{by_x:.0f} ms", f"{both:.0f} ms", f"{by_x / first:.2f}", f"{both / first:.2f}"]
        cells += [f"{best[name]['all']:.0f} ms" for name in peers] + [f"{best[name]['all'] / both:.2f}" for name in peers]
        lines.append(f"| {case} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    facts = machine.facts()
    where = f"{facts['threads']} threads, {machine.isa('native')} kernels"
    return "\n".join([*lines, "", f"The best of {rounds} processes each, in turn; {where}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--libraries", nargs="+", choices=list(LIBRARIES), default=list(LIBRARIES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readme", type=Path)
    parser.add_argument("--one", choices=list(LIBRARIES), help="time this one here")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.cases[0])))
        return
    text = table(given.cases, given.libraries, given.rounds)
    if given.readme:
        rewrite(given.readme, "second", text)


if __name__ == "__main__":
    main()
