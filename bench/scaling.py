"""The native backend on more threads: what the model of scaling_model.py predicts, and how near it comes to what is measured.

    python -m bench.scaling --readme bench/README.md    writes the prediction between <!-- scaling: begin --> and <!-- scaling: end -->
    python -m bench.scaling --measure                   times 1, 2, 4, ... threads here, up to the cores, and fits the constants
    make scaling                                        the same, and nothing else should run meanwhile; with --readme, too, the table goes
                                                        between <!-- scaling measured: begin --> and its end

The constants are those of kernels/native/cost.h, by which more than two threads are divided; --measure prints what to write there.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_from_scratch import backends, backward, cells, forward, init_params
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import threads as counts
from rnn_from_scratch.verify.table import rewrite

from .scaling_model import MEASURED, Costs, Machine, Work, grid, seconds
from .steady import LEGEND, MARK, WAITED, Watch

PREDICTED = (2, 4, 8, 16, 32, 64)
SECONDS = 0.3  # of timing for each number
SIZES = {  # B, T, I, H
    cells.LSTM(): [
        *((150, 28, 28, 150), (64, 100, 256, 256), (64, 50, 512, 512), (256, 50, 512, 512)),
        *((1, 100, 64, 128), (8, 50, 64, 1024), (20, 35, 650, 650), (4, 100, 256, 2048)),
    ],
    cells.GRU(): [(50, 50, 64, 128), (64, 50, 512, 512)],
    cells.SimpleRNN(): [(64, 100, 256, 256)],
}
CASES: dict[str, tuple[Any, tuple[int, int, int, int]]] = {
    f"{type(cell).__name__} {','.join(map(str, sizes))}": (cell, sizes) for cell, several in SIZES.items() for sizes in several
}


class Timed(NamedTuple):
    """A case, on so many threads: what was measured."""

    case: str
    training: bool
    threads: int
    seconds: float
    waited: float = 0  # the share of the time in which other programs ran: steady.py

    @property
    def steady(self) -> bool:
        return self.waited <= WAITED


def predicted(costs: Costs, machine: Machine, training: bool, cases: Iterable[str] = CASES) -> str:
    """A table: the time of one thread, and how many times faster more threads are, on which grid."""
    lines = ["| case | one thread | " + " | ".join(f"{n} threads" for n in PREDICTED) + " |", "|---|--:|" + "--:|" * len(PREDICTED)]
    for case in cases:
        work = Work(*CASES[case], machine, costs)
        alone = seconds(work, 1, training)
        shown = [f"{alone / seconds(work, n, training):.1f} ({' x '.join(map(str, grid(work, n)))})" for n in PREDICTED]
        lines.append(f"| {case} | {alone * 1e3:.3g} ms | {' | '.join(shown)} |")
    return "\n".join(lines)


def job(case: str, training: bool) -> Callable[[], Any]:
    cell, (B, T, I, H) = CASES[case]
    params, x = init_params(cell, I, H, rng=0, dtype="float32"), np.random.default_rng(0).standard_normal((B, T, I)).astype("float32")
    dy = np.ones((B, T, H), "float32")

    def run() -> None:
        tape = forward(cell, params, x, save=training, backend="native")[2]
        if training:
            backward(tape, dy)

    return run


def fastest(run: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the fastest of at least three calls, after one that is not counted; and the share of the time that they waited."""
    run()
    times: list[float] = []
    watch, end = Watch(), time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times), watch.waited()


def measure(threads: Iterable[int], cases: Iterable[str] = CASES) -> list[Timed]:
    """What was unsteady is timed again, twice at most; the time that waited least counts."""
    found = []
    try:
        for case in cases:
            for training in (False, True):
                run = job(case, training)
                for n in threads:
                    backends.set_num_threads(n)
                    tries: list[Timed] = []
                    while len(tries) < 3 and not (tries and tries[-1].steady):
                        tries.append(Timed(case, training, n, *fastest(run)))
                    found.append(min(tries, key=lambda row: row.waited))
    finally:
        backends.set_num_threads(None)
    return found


def expected(timed: Timed, costs: Costs, machine: Machine) -> float:
    return seconds(Work(*CASES[timed.case], machine, costs), timed.threads, timed.training)


def table(rows: list[Timed], costs: Costs, machine: Machine) -> str:
    """For each number of threads: predicted, measured, and how many times as long it took."""
    several = [f"{n} threads" if n > 1 else "one thread" for n in sorted({row.threads for row in rows})]
    lines = [f"| case | pass | {' | '.join(several)} |", "|---|---|" + "--:|" * len(several)]
    for case, training in dict.fromkeys((row.case, row.training) for row in rows):
        shown = []
        for row in rows:
            if (row.case, row.training) == (case, training):
                model = expected(row, costs, machine)
                parts = " x ".join(map(str, grid(Work(*CASES[case], machine, costs), row.threads)))
                mark = "" if row.steady else MARK
                shown.append(f"{mark}{model * 1e3:.3g}, {row.seconds * 1e3:.3g} ms ({parts}: {row.seconds / model:.2f})")
        lines.append(f"| {case} | {'training' if training else 'inference'} | {' | '.join(shown)} |")
    return "\n".join(lines)


def distance(rows: list[Timed], costs: Costs, machine: Machine) -> float:
    """By what factor the model is off, typically: 1 is right."""
    return math.exp(math.sqrt(sum(math.log(row.seconds / expected(row, costs, machine)) ** 2 for row in rows) / len(rows)))


def fitted(rows: list[Timed], costs: Costs, machine: Machine) -> Costs:
    """The constants nearest to what was measured, one after the other by smaller and smaller factors; what tells nothing stays."""
    least = distance(rows, costs, machine)
    for factor in (2.0, 1.4, 1.2, 1.1, 1.05):
        for _ in range(4):
            before = least
            for name in costs._fields:
                for by in (factor, 1 / factor):
                    other = costs._replace(**{name: getattr(costs, name) * by})
                    if (off := distance(rows, other, machine)) < least * (1 - 1e-4):
                        costs, least = other, off
            if before == least:
                break
    return costs


def measured(threads: list[int], cases: Iterable[str] = CASES) -> tuple[str, str]:
    """The table, with how far the model is off; and the constants that fit, with what to do with them."""
    costs, machine = Costs.written(), Machine.here()
    rows = measure(threads, cases)
    steady = [row for row in rows if row.steady]
    if not steady:
        raise SystemExit(f"{table(rows, costs, machine)}\n\nNothing could be measured: other programs ran. Stop them and try again.")
    fit = fitted(steady, costs, machine)
    off = [f"{distance(steady, each, machine):.2f}" for each in (costs, fit)]
    kind = f"{native.isa()} kernels, caches of {machine.near / 2**20:.3g} and {machine.far / 2**20:.3g} MB"
    told = f"{table(rows, costs, machine)}\n\nThe model is off by a factor of {off[0]}, typically; {kind}."
    if len(steady) < len(rows):
        told += f" {LEGEND}"
    lacking = "" if max(threads) > 2 else "\nOf more than two threads this machine can tell nothing: ARRIVAL, MEMORY and START stay.\n"
    return told, f"""By {off[1]} with the constants that fit what was measured:

{fit.lines()}
{lacking}
To use them: write them into kernels/native/cost.h, `pip install -e .`, `python -m bench.scaling --readme bench/README.md`."""


GUESSES = ("far", "memory", "barrier", "arrival", "start")


def regret(costs: Costs) -> float:
    """If one of the guesses were twice or half as large: how many times the best grid's time would the one take that is chosen."""
    worst = 1.0
    for name, by in product(GUESSES, (0.5, 2.0)):
        other = costs._replace(**{name: getattr(costs, name) * by})
        for case, n in product(CASES, PREDICTED):
            ours, best = (Work(*CASES[case], MEASURED, each) for each in (costs, other))
            worst = max(worst, best.call(*grid(ours, n)) / best.call(*grid(best, n)))
    return worst


def page() -> str:
    costs = Costs.written()
    training, inference = (predicted(costs, MEASURED, training) for training in (True, False))
    several = " or ".join(name.upper() for name in GUESSES)
    doubt = f"""If {several} were in truth twice or half as large, the grids that are chosen would take at most
{100 * (regret(costs) - 1):.0f} % longer than the best ones, by the model."""
    return f"Forward and all gradients:\n\n{training}\n\nInference:\n\n{inference}\n\n{doubt}"


def powers(most: int) -> list[int]:
    """1, 2, 4, ..., and most itself."""
    return sorted({*(2**k for k in range(most.bit_length()) if 2**k <= most), most})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--threads", nargs="+", type=int, help="instead of 1, 2, 4, ... up to the cores")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--readme", type=Path)
    given = parser.parse_args()
    if given.measure:
        told, fit = measured(given.threads or powers(counts.cores()), given.cases)
        print(f"{told}\n\n{fit}")
        if given.readme:
            rewrite(given.readme, "scaling measured", told)
    elif given.readme:
        rewrite(given.readme, "scaling", page())
    else:
        print(page())


if __name__ == "__main__":
    main()
