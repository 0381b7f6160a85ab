"""word2vec: pairs a second of the training beside a bare NumPy loop; translate: a step beside the same model on tf.keras' layers.

    python -m bench.words                          prints both tables, of random words and sentences
    python -m bench.words --rounds 20              more rounds, whose median is printed

The bare loop is what a reader would write: every matrix and every moment an array of its own, the gradients of equal ids sorted and
summed by np.add.reduceat. Ours is the loop of `train word2vec` itself: batches, steps, progress bar.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from rnn_from_scratch.tasks import PRESETS, nce, word2vec
from rnn_from_scratch.tasks.lazy_adam import BETA_1, BETA_2, EPSILON, LazyAdam
from rnn_from_scratch.tasks.negatives import Negatives

from . import machine

WORDS, STEPS = 1_000_000, 100  # words of the text; steps of a round
MODELS: dict[str, tuple[dict[str, Any], int]] = {  # settings of translate, and tokens of a sentence
    "1 x LSTM 256, V 4,000": ({}, 25),
    "3 x LSTM 200, V 4,000": ({"layers": 3, "units": 200}, 25),
}


def bare_loop(settings: dict[str, Any], V: int) -> Callable[..., float]:
    """A step of plain NumPy, in place: step(*batch) -> the loss before it."""
    rng, r = np.random.default_rng(0), settings["init_range"]
    words: Any = rng.uniform(-r, r, (V, settings["embedding"])).astype(np.float32)
    contexts: Any = np.zeros((V, settings["embedding"] + 1), np.float32)
    moments: list[Any] = [[np.zeros_like(matrix) for _ in range(2)] for matrix in (words, contexts)]
    for array in (contexts, *moments[0], *moments[1]):
        array[...] = 0  # memory that the system has really given
    steps = 0

    def move(matrix: Any, moments: Any, ids: Any, gradients: Any, rate: float) -> None:
        mean, square = moments
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        ids, g = ids[starts], np.add.reduceat(gradients[order], starts)
        mean[ids] = BETA_1 * mean[ids] + (1 - BETA_1) * g
        square[ids] = BETA_2 * square[ids] + (1 - BETA_2) * g * g
        matrix[ids] -= np.float32(rate) * mean[ids] / (np.sqrt(square[ids]) + EPSILON)

    def step(asked: Any, neighbours: Any, false: Any, *logs: Any) -> float:
        nonlocal steps
        steps += 1
        rate = settings["learning_rate"] * np.sqrt(1 - BETA_2**steps) / (1 - BETA_1**steps)
        h, w, w_false = words[asked], contexts[neighbours], contexts[false]
        a_true, a_false = nce.scores(h, w, w_false, *logs)
        dh, dw, dw_false = nce.gradients(h, w, w_false, a_true, a_false, np.ones((), np.float32))
        move(words, moments[0], asked, dh, rate)
        move(contexts, moments[1], np.concatenate([neighbours, false]), np.concatenate([dw, dw_false]), rate)
        of_true, of_false = nce.losses(a_true, a_false)
        return float(of_true + of_false)

    return step


def words(rounds: int) -> Iterator[tuple[int, float, float]]:
    """(batch, pairs a second of the bare loop, those of ours): medians of rounds in turn, each of STEPS steps."""
    from rich.console import Console

    from rnn_from_scratch.tasks import loop

    for B in (128, 1000):
        settings = {**PRESETS["word2vec"][1], "batch_size": B, "batches": 10**9}
        V = settings["vocabulary"]
        codes = np.exp(np.random.default_rng(1).random(WORDS) * np.log(V)).astype(np.int32) - 1  # as common as words are, by rank
        drawn = Negatives(V, settings["negatives"], "--negatives")
        plain, model = bare_loop(settings, V), word2vec.Model(settings, V)
        optimizer = LazyAdam(settings["learning_rate"], model.tables)

        def bare(batches: Iterator[Any], plain: Callable[..., float] = plain) -> None:
            for _ in range(STEPS):
                plain(*next(batches))

        def ours(batches: Iterator[Any], tables: Any = model.tables, optimizer: LazyAdam = optimizer) -> None:
            with loop.bar(Console(file=io.StringIO()), "true") as progress:
                shown = progress.add_task("", total=STEPS, loss=0.0, metric=0.0, speed=0.0)
                for n in range(STEPS):
                    batch = next(batches)
                    loss, true = (float(value) for value in word2vec.step(tables, optimizer, *batch))
                    progress.update(shown, advance=len(batch[0]), description=f"step {n}", speed=1.0, loss=loss, metric=true)

        seconds: list[list[float]] = [[], []]
        for n in range(rounds + 1):  # the first is not counted
            for side in range(2):
                batches = word2vec.batches(codes, drawn, settings, 1, n * STEPS)
                next(batches)  # the order of the text
                start = time.perf_counter()
                bare(batches) if side == 0 else ours(batches)
                seconds[side].append(time.perf_counter() - start)
        yield B, B * STEPS / median(seconds[0][1:]), B * STEPS / median(seconds[1][1:])


def translate(rounds: int) -> Iterator[tuple[str, float, float]]:
    """(model, ms a step of ours, on tf.keras' layers): the shortest of rounds in turn, batch 64."""
    import tensorflow as tf

    from rnn_from_scratch.data.tokens import EOS, GO
    from rnn_from_scratch.layers import to_keras
    from rnn_from_scratch.tasks import models, translator
    from rnn_from_scratch.tasks import translate as task

    rng = np.random.default_rng(0)
    for name, (changed, T) in MODELS.items():
        settings, V = {**PRESETS["translate"][1], "batch_size": 64, **changed}, 4000
        source = rng.integers(EOS + 1, V, (64, T)).astype(np.int32)
        target = np.concatenate([np.full((64, 1), GO, np.int32), source], axis=1)
        batch = source, target, np.zeros(0, np.int32), np.int32(0)
        codes = tf.TensorSpec([None, None], tf.int32)
        specs = codes, codes, tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
        ours = translator.build(settings, V)
        steps = [
            models.make_step(model, models.optimizer(settings, model), task.make_measure(model, None), *specs)
            for model in (ours, to_keras(ours))
        ]
        best = [float("inf")] * 2
        for n in range(rounds + 2):
            for side, step in enumerate(steps):
                start = time.perf_counter()
                float(step(*batch)[0])
                best[side] = min(best[side], time.perf_counter() - start) if n > 1 else best[side]
        yield name, 1e3 * best[0], 1e3 * best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=["words", "translate"])
    given = parser.parse_args()
    if given.only != "translate":
        print("| pairs in a batch | bare loop, pairs a second | train word2vec | ours / bare |\n|---|--:|--:|--:|")
        for B, bare, ours in words(given.rounds):
            print(f"| {B} | {bare:,.0f} | {ours:,.0f} | {ours / bare:.2f} |", flush=True)
    if given.only != "words":
        print("\n| step of translate, batch 64 | ours | tf.keras | tf.keras / ours |\n|---|--:|--:|--:|")
        for name, own, theirs in translate(given.rounds):
            print(f"| {name} | {own:.1f} ms | {theirs:.1f} ms | {theirs / own:.2f} |", flush=True)
    print(f"\n{machine.facts()['threads']} threads")


if __name__ == "__main__":
    main()
