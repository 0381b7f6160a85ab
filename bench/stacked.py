"""Cells in an RNN: keras.layers.RNN over our single-step cells and over tf.keras', and layers.RNN over ours, in turn.

    python -m bench.stacked                        prints the table
    python -m bench.stacked --readme FILE          and writes it into FILE, between <!-- stacked: begin --> and <!-- stacked: end -->

A training step: the loss and all gradients by the weights, in a tf.function. Batch 32, 50 steps of 32 inputs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from rnn_from_scratch.verify.table import rewrite

from . import machine
from .interleaved import paired_ratio

BATCH, STEPS, INPUTS = 32, 50, 32
STACKS = {
    "LSTMCell": ["LSTMCell"],
    "2 LSTMCells": ["LSTMCell"] * 2,
    "2 GRUCells": ["GRUCell"] * 2,
    "2 SimpleRNNCells": ["SimpleRNNCell"] * 2,
}


def train_step(rnn: Any, cells: Any, names: list[str], units: int) -> Callable[[], Any]:
    """rnn: the class that runs the cells; cells: the module that they come from."""
    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    x = tf.constant(np.random.default_rng(0).standard_normal((BATCH, STEPS, INPUTS)), tf.float32)
    model = keras.Sequential([keras.Input((STEPS, INPUTS)), rnn([getattr(cells, name)(units) for name in names]), keras.layers.Dense(1)])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x, training=True) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    return lambda: step()[0].numpy()


def seconds(names: list[str], units: int, rounds: int) -> list[list[float]]:
    """Of tf.keras, of our cells in its loop, and of layers.RNN: one number for each round, the mean of two calls."""
    import keras

    from rnn_from_scratch import layers

    parts = [(keras.layers.RNN, keras.layers), (keras.layers.RNN, layers), (layers.RNN, layers)]
    steps = [train_step(rnn, cells, names, units) for rnn, cells in parts]
    found: list[list[float]] = [[] for _ in steps]
    for step in steps:
        step()
    for k in range(rounds):
        for n in range(3) if k % 2 == 0 else (2, 1, 0):
            start = time.perf_counter()
            steps[n]()
            steps[n]()
            found[n].append((time.perf_counter() - start) / 2)
    return found


def table(stacks: list[str], units: list[int], rounds: int) -> str:
    lines = ["| cells | H | tf.keras | our cells in keras.layers.RNN | layers.RNN |", "|---|--:|--:|--:|--:|"]
    for stack in stacks:
        for H in units:
            theirs, *ours = seconds(STACKS[stack], H, rounds)
            shown = [f"{median(part) * 1e3:.1f} ms ({paired_ratio(theirs, part):.2f})" for part in ours]
            lines.append(f"| {stack} | {H} | {median(theirs) * 1e3:.1f} ms | {' | '.join(shown)} |")
            print(lines[-1], flush=True)
    facts = machine.facts()
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("tensorflow", "keras") if name in facts["versions"])
    caption = (
        f"A training step of a batch of {BATCH}, {STEPS} steps of {INPUTS} inputs; in brackets tf.keras' time over it. Medians of {rounds} "
        f"rounds in turn; {facts['threads']} threads, {machine.isa('native')} kernels, {versions}."
    )
    return "\n".join([*lines, "", caption])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", nargs="+", choices=list(STACKS), default=list(STACKS))
    parser.add_argument("--units", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--readme", type=Path)
    given = parser.parse_args()
    text = table(given.stacks, given.units, given.rounds)
    if given.readme:
        rewrite(given.readme, "stacked", text)


if __name__ == "__main__":
    main()
