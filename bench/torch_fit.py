"""Training steps of PyTorch models: our modules and torch.nn's, each in a process of its own, in turn.

    python -m bench.torch_fit                     prints the table
    python -m bench.torch_fit --readme FILE       and writes it into FILE, between <!-- torch: begin --> and <!-- torch: end -->

A step: the module, a Linear layer on its outputs, the mean of squares, backward, Adam. torch is bimodal from process to process, so each
has several, and the best of each stands in the table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rnn_from_scratch.verify.table import rewrite

from . import machine, processes
from .cases import SHAPES, SIX

LIBRARIES = ("ours", "torch.nn")
# name -> module, its shape, other options; packed: rows of lengths spread over 1..T
MODELS: dict[str, tuple[str, tuple[int, int, int, int], dict[str, Any]]] = {
    **{f"{name}, {shape}": (name, SHAPES[shape].sizes, {}) for name in ("LSTM", "GRU", "RNN") for shape in SIX},
    "LSTM, 2 layers, bidirectional": ("LSTM", (64, 50, 128, 128), {"num_layers": 2, "bidirectional": True}),
    "LSTM, packed mid": ("LSTM", SHAPES["mid"].sizes, {"packed": True}),
    "GRU, packed mid": ("GRU", SHAPES["mid"].sizes, {"packed": True}),
}


def one(library: str, model: str) -> dict[str, float]:
    """Milliseconds of the fastest step."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    from rnn_from_scratch import torch as ours

    name, (B, T, I, H), given = MODELS[model]
    packed, options = given.get("packed", False), {option: value for option, value in given.items() if option != "packed"}
    torch.manual_seed(0)
    module = getattr(ours if library == "ours" else torch.nn, name)(I, H, **options)
    out = torch.nn.Linear(H * (2 if module.bidirectional else 1), 8)
    optimizer = torch.optim.Adam([*module.parameters(), *out.parameters()], foreach=True)
    x: Any = torch.randn(T, B, I)
    if packed:
        x = pack_padded_sequence(x, torch.linspace(1, T, B).long(), enforce_sorted=False)

    def step() -> None:
        optimizer.zero_grad()
        y = module(x)[0]
        out(y.data if packed else y).square().mean().backward()
        optimizer.step()

    for _ in range(2):
        step()
    return {"step": processes.fastest(step)}


def table(models: list[str], rounds: int) -> str:
    lines = ["| model | ours | torch.nn | torch.nn / ours |", "|---|--:|--:|--:|"]
    for model in models:
        best = processes.best(__spec__.name, list(LIBRARIES), model, rounds)
        ours, theirs = (best[library]["step"] for library in LIBRARIES)
        lines.append(f"| {model} | {ours:.2f} ms | {theirs:.2f} ms | {theirs / ours:.2f} |")
        print(lines[-1], flush=True)
    facts = machine.facts()
    where = f"{facts['threads']} threads, {machine.isa('native')} kernels, torch {facts['versions'].get('torch', 'unknown')}"
    return "\n".join([*lines, "", f"A training step with a Linear layer and Adam; the best of {rounds} processes each, in turn; {where}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readme", type=Path)
    parser.add_argument("--one", choices=LIBRARIES, help="time this one here")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.cases[0])))
        return
    text = table(given.cases, given.rounds)
    if given.readme:
        rewrite(given.readme, "torch", text)


if __name__ == "__main__":
    main()
