"""Did something become slower? `rnn-from-scratch bench --compare` with a file of an earlier run, or with a folder of an older checkout.

With a folder, old and new time the same pass in turn, in processes of their own: what slows one slows the other, and the ratio of
each pair stays. A row became slower only if the whole interval of the ratio lies above the threshold, twice.

With a file there is only what was written then. Ratios to a peer and to the plain cell are compared; other rows by their shortest
times. Each is taken to be uncertain by its spread and, if its threads waited, by how much that may have slowed it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rnn_from_scratch.data import InputError

from . import cases, interleaved, steady
from .parity import RefusedError
from .report import Results, Row, number, where

THRESHOLD = 1.3  # a row this many times slower than before fails
QUICK, FULL = (0.1, 1, 9), (0.6, 3, 5)  # seconds in each process, processes, turns: of the comparison with a folder
QUICK_WITHIN = 215.0  # seconds


class Change(NamedTuple):
    """times: how many times slower (below 1: faster); uncertain: by how much that may be off, as a factor."""

    name: str
    times: float
    uncertain: float

    def verdict(self, threshold: float) -> str:
        """'slower', 'unsteady' (it may be slower, or not) or ''."""
        if not self.times / self.uncertain <= threshold:  # NaN is slower
            return "slower"
        return "unsteady" if self.times > threshold or self.uncertain > threshold else ""


def cost(row: Row) -> float:
    """What may not grow: beside a peer and for a variant the ratio, which a slow machine leaves alone; else the shortest time."""
    if row["suite"] == "peer":
        return 1 / row["ratio"]
    return row["ratio"] if row["suite"] == "variant" else row["min_ms"]


def uncertainty(row: Row) -> float:
    """By how much the cost may be off, as a factor; 1 for a row of an old file, which does not say."""
    return (1 + row.get("spread", 0.0)) * steady.slowed(row.get("waited", 0.0))


def compare(old: Results, new: Results) -> list[Change]:
    """The rows of both, the worst first. Peers' own times, their curves and the bound are not ours to defend and are left out."""
    ours = set(new.machine["backends"])
    before = {row["name"]: row for row in old.rows}
    both = [row for row in new.rows if row["name"] in before and (row["suite"] == "peer" or row["impl"] in ours)]
    changes = []
    for row in both:
        then = before[row["name"]]
        changes.append(Change(row["name"], cost(row) / cost(then), uncertainty(row) * uncertainty(then)))
    return sorted(changes, key=lambda change: -change.times / change.uncertain)


def with_file(old: Results, new: Results, threshold: float, console: Console) -> bool:
    """Print what became slower than in the older file. True if something did, or if the two have no row in common."""
    then, now = (where(results) for results in (old, new))
    if then != now:
        console.out(f"compared with another machine or other versions:\n  then {then}\n  now  {now}", highlight=False)
    changes = compare(old, new)
    return judge(changes, threshold, console)


def judge(changes: list[Change], threshold: float, console: Console) -> bool:
    """Print the verdicts. True if a row became slower, or if there is none."""
    slower = [change for change in changes if change.verdict(threshold) == "slower"]
    unsteady = [change for change in changes if change.verdict(threshold) == "unsteady"]
    for change in slower:
        console.print(f"slower by {change.times:.2f}: {change.name}", markup=False, highlight=False, style="red", soft_wrap=True)
    console.print(f"{len(changes)} rows compared, {len(slower)} slower by more than {threshold:g}", highlight=False)
    if unsteady:
        least = threshold * max(change.uncertain for change in unsteady)
        text = f"{len(unsteady)} rows are unsteady: such a change may hide there, one by more than {least:.1f} may not"
        console.print(text, markup=False, highlight=False, style="yellow")
    return bool(slower) or not changes


def jobs(quick: bool, cell: str | None, shape: str | None, what: str | None) -> list[interleaved.Job]:
    """The passes that old and new take in turn."""
    if shape is not None:
        cases.add(shape)
    every = [(c, s, w) for s, at in cases.SHAPES.items() for c in at.cells for w in cases.PASSES]
    every = [job for job in every if all(asked in (None, given) for asked, given in zip((cell, shape, what), job))]
    few = [(c, s, w) for c, s, w in every if s in cases.QUICK_SHAPES and c in cases.PLAIN and w != "forward"]
    return few or every if quick else every


def with_folder(folder: Path, todo: list[interleaved.Job], times: tuple[float, int, int], threshold: float, console: Console) -> bool:
    """Time old and new in turn and print every row and the verdicts. True if something became slower, or if nothing was timed.

    times   seconds in each process, processes, turns
    """
    console.print(f"{folder} (old) and {interleaved.ROOT} (new), in turn; {steady.load()}", markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for name in ("cell", "shape", "pass"):
        table.add_column(name, overflow="fold")
    for name in ("old ms", "new ms", "new / old", "±"):
        table.add_column(name, justify="right", no_wrap=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    changes, left = [], 0
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("old and new", total=len(todo))
        for job in todo:
            progress.update(bar, description=f"{' '.join(job):<32.32s}")
            try:
                pairs, change = one_change(folder, job, times, threshold)
            except interleaved.OVER:
                left += 1
                continue
            except (RefusedError, RuntimeError) as error:
                raise InputError(f"--compare {folder}: {error}") from error
            finally:
                progress.advance(bar)
            changes.append(change)
            old_ms, new_ms = (number(median(ms)) for ms in (pairs.ours, pairs.theirs))
            mark = steady.MARK if change.verdict(threshold) == "unsteady" else ""
            table.add_row(*job, old_ms, new_ms, f"{mark}{change.times:.2f}", f"{change.uncertain - 1:.0%}")
    console.print(table)
    if left:
        console.print(f"{left} rows not run: the time given with --within is over", style="yellow", highlight=False)
    return judge(changes, threshold, console)


def one_change(folder: Path, job: interleaved.Job, times: tuple[float, int, int], threshold: float) -> tuple[interleaved.Pairs, Change]:
    """Old and new in turn; with new processes once more if the row seems to be slower."""
    seconds, rounds, turns = times
    old = partial(interleaved.Waiting, cases.ours(), job, seconds / turns, folder)
    new = partial(interleaved.Waiting, cases.ours(), job, seconds / turns)
    for _ in range(2):
        pairs = interleaved.in_turn(old, new, rounds, turns)
        ratios = pairs.ratios()
        change = Change(" ".join(job), median(ratios), 1 + steady.spread_of_ratios(ratios))
        if change.verdict(threshold) != "slower":
            break
    return pairs, change
