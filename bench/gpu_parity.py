"""Is what a GPU computes right? Parity with the reference, planted bugs that must be seen, blocks that wait for each other.

Any backend can be asked, so that all of it is tried out without a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from rnn_from_scratch import backends, cells
from rnn_from_scratch.backends.gpu import call, cuda, planner, sequence
from rnn_from_scratch.backends.gpu.planner import TIERS
from rnn_from_scratch.backends.gpu.storage import storage_dtype
from rnn_from_scratch.measure import EXACT, budget, compare, error
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, Problem, cast, problem, solve, solve_rounded
from rnn_from_scratch.verify.second_order import SecondCheck

from . import cases
from .gpu_timing import both_passes, tier
from .gpu_timing import planned as by_plan

RUNS, REPEATS, RUN_SIZES = 100, 20, (37, 20, 24, 50)  # of one problem, which must give the same bits every time; its B, T, I, H
WAITING = tuple(cells.forms())  # run in as many blocks as there is room for, which wait for each other
FEW = ("PeepholeLSTM", "GRU reset before")  # extras and two states; two phases
# kind -> options of forward: numbers narrower than float32, beside it
NARROW: dict[str, dict[str, Any]] = {"float32": {}, "float16": {"storage": "float16"}, "bfloat16": {"storage": "bfloat16"}}
NARROW |= {f"{kind}, tensor cores": {**options, "math": "tensor"} for kind, options in NARROW.items()}
NARROW_SHAPES, NARROW_CELLS = ("char", "mid", "big"), cases.PLAIN
PLANTED = {  # tier -> what, what is replaced by what: none of these is right on any GPU
    "step": {
        "masks ignored": ("bool on = is_live(live, b, step, T, rev);", "bool on = true;"),
        "the bias of another gate": ("bx[(FIRST + i) * H + j]", "bx[j]"),
        "states of the wrong slot": ("before = rev ? t + 1 : t, after", "before = rev ? t : t + 1, after"),
        "a column sum of seven parts": ("for (int k = 1; k < 8; k++)", "for (int k = 1; k < 7; k++)"),
    },
    "sequence": {
        "masks ignored": ("on[i] = is_live(live, b, step, T, rev);", "on[i] = true;"),
        "states of the wrong slot": ("before = rev ? t + 1 : t;", "before = rev ? t : t + 1;"),
        "weights of the next unit": ("j = SLICE * OWN + column % OWN;", "j = (SLICE * OWN + column % OWN + 1) % H;"),
        "a part of each sum left out": ("layer < SPLIT; layer++", "layer < SPLIT - 1; layer++"),
        "the other slot of the exchange": ("run(exchange + round % 2 * slot", "run(exchange + (round + 1) % 2 * slot"),
    },
}


def judged(
    p: Problem, ours: dict[str, Any], storage: str | None = None, truth: dict[str, Any] | None = None, math: str | None = None
) -> dict[str, Any]:
    """The worst array beside the reference in float64 (truth, if it is known), and what its dtype and storage allow."""
    truth = truth or solve(cast(p, "float64"))
    own = solve_rounded(p, storage_dtype(storage), factors=math is not None) if storage else solve(p)
    exact = p.x.dtype.itemsize == 8
    budgets = {k: EXACT if exact else budget(k, error(own[k], truth[k])) for k in truth}
    worst, e, allowed = compare(ours, truth, budgets)
    return {"kind": storage or str(p.x.dtype), "array": worst, "error": e, "allowed": allowed}


def parity(backend: str, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every situation and dtype of some cells, 16-bit storage, and gradients of gradients, beside the reference in float64."""
    for name, situation, dtype in product(names, SITUATIONS, ("float64", "float32")):
        p = problem(CELLS[name], situation, dtype)
        yield {"cell": name, "situation": situation, **judged(p, solve(p, backend))}
    for name, storage in product(names, backends.STORAGES):
        p = problem(CELLS[name], "any mask", "float32")
        yield {"cell": name, "situation": "any mask", **judged(p, solve(p, backend, storage), storage)}
    for name in names:
        p = problem(CELLS[name], "scale per gate, any mask")
        second = SecondCheck(*p, backend)
        truth = second.on_reference()
        worst, e, allowed = compare(second.grads, truth, dict.fromkeys(truth, EXACT))
        where = {"cell": name, "situation": "scale per gate, any mask, second order", "kind": "float64"}
        yield {**where, "array": worst, "error": e, "allowed": allowed}


def in_both_tiers(names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The parity of the cuda backend, a launch per step and one for all."""
    for name in TIERS:
        with tier(name):
            yield from ({"tier": name, **row} for row in parity("cuda", names))


def most_blocks(limits: planner.Limits, cell: Any, B: int, H: int, dtype: str) -> list[planner.Tiles]:
    """The tiles with the most blocks in a row group: of one and of several row groups, with weights in shared memory and registers.

    The planner would run a layer so small in one block, where nobody waits for anybody.
    """
    found: dict[tuple[bool, bool], planner.Tiles] = {}
    for tiles, *_ in planner.candidates(limits, cell, B, H, 4 if dtype == "float32" else 8, False):
        kind = tiles.held, tiles.rows >= B
        if kind not in found or tiles.own < found[kind].own:
            found[kind] = tiles
    return list(found.values())


def many_blocks() -> Iterator[dict[str, Any]]:
    """The sequence tier where many blocks wait for each other, which no emulator can prove: right, and always the same bits?"""
    B, _, _, H = RUN_SIZES
    for name, dtype in product(WAITING, ("float64", "float32")):
        p = problem(CELLS[name], "any mask", dtype, RUN_SIZES)
        for tiles in most_blocks(cuda.limits(0), p.cell, B, H, dtype):
            plan = planner.with_tiles(tiles, p.cell, B, H, dtype, False)
            with by_plan(plan):
                every = [solve(p, "cuda") for _ in range(REPEATS)]
            where = f"any mask, {plan.grid[0]} x {plan.grid[1]} blocks, weights in {'registers' if tiles.held else 'shared memory'}"
            row = {"tier": "sequence", "cell": name, "situation": where, **judged(p, every[0])}
            if len({b"".join(a.tobytes() for a in run.values()) for run in every}) > 1:
                row |= {"array": "the bits of one run and another", "error": float("inf")}
            yield row


def narrow(cupy: Any) -> Iterator[dict[str, Any]]:
    """Numbers narrower than float32 in the tier that the planner takes, and tensor cores where the GPU has them and room for the
    weights: the worst array, and ms of both passes."""
    for shape, name in product(NARROW_SHAPES, NARROW_CELLS):
        p = cases.problem(name, shape)
        truth = solve(cast(p, "float64"))
        for kind, options in NARROW.items():
            try:
                backends.plan(p.cell, p.params, p.x, "cuda", options.get("storage"), options.get("math"))
            except ValueError as refused:
                yield {"shape": shape, "cell": name, "kind": kind, "refused": str(refused)}
                continue
            row = judged(p, solve(p, "cuda", **options), options.get("storage"), truth, options.get("math"))
            yield {"shape": shape, "cell": name, **row, "kind": kind, "ms": both_passes(cupy, p, **options)}


def planted(backend: str, bugs: dict[str, tuple[str, str]]) -> dict[str, bool]:
    """Bug -> was it seen?"""
    places = ((call, "step_text"), (call, "column_sum_text"), (sequence, "sequence_text"))
    kept = [getattr(module, name) for module, name in places]
    seen = {}
    for what, (old, new) in bugs.items():
        try:
            for (module, name), make in zip(places, kept):
                setattr(module, name, lambda *a, make=make, old=old, new=new: make(*a).replace(old, new))
            wrong = []
            for cell in FEW:
                p = problem(CELLS[cell], "any mask, reversed, zeroed")
                truth = solve(p)
                wrong.append(compare(solve(p, backend), truth, dict.fromkeys(truth, EXACT))[1] > EXACT)
            seen[what] = any(wrong)
        finally:
            for (module, name), make in zip(places, kept):
                setattr(module, name, make)
    return seen


def same_bits(backend: str, runs: int) -> bool:
    """Do all runs of one problem give the same bits?"""
    p = problem(CELLS["GRU reset after"], "any mask", "float32", sizes=RUN_SIZES)
    return len({b"".join(a.tobytes() for a in solve(p, backend).values()) for _ in range(runs)}) == 1
