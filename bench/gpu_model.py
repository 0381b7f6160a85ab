"""A model of time on a GPU, from bytes, operations, launches and barriers. No GPU has run these kernels yet: all of it is prediction.

    python -m bench.gpu_model --out FOLDER                     # gpu_model.md and roofline.png
    python -m bench.gpu_model --fit gpu_report.json            # the constants that fit what `make gpu-check` measured

The constants are planner.Costs, the ones by which the planner chooses a tier; --fit prints what to write there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_from_scratch.backends.gpu import planner
from rnn_from_scratch.backends.gpu.planner import Costs, Limits, Plan

from .cases import CELLS, SHAPES, SIX, gates, sizes

MB, KB = 1 << 20, 1 << 10
DEVICES = {
    "T4": Limits("T4", 40, 64 * KB, 1.59, 64, 2, 4 * MB, 0.32),
    "A100": Limits("A100", 108, 163 * KB, 1.41, 64, 32, 40 * MB, 1.55),
    "H100": Limits("H100", 132, 227 * KB, 1.755, 128, 64, 50 * MB, 3.35),
    "B200": Limits("B200", 148, 227 * KB, 1.85, 128, 64, 126 * MB, 8.0),
    "RTX 4090": Limits("RTX 4090", 128, 99 * KB, 2.52, 128, 2, 72 * MB, 1.0),
    "toy": Limits("toy", 1, 48 * KB, 1.0, 64, 2, MB, 0.1),
}
DRAWN = ("T4", "A100", "H100")
NAMES = (*SIX, *(name for name in SHAPES if name.startswith(("deepbench", "flashrnn"))))
LARGE = 0.8  # of the peak, by a product over all steps at once

# What others published: device, who (the last word is the dtype), shape (B, T, H), us of a step forward, and of one backward with
# the weight gradients
PUBLISHED = [
    ("H100", "cuDNN bf16", (16, 1024, 768), 1.96, 3.11),
    ("H100", "FlashRNN fused bf16", (16, 1024, 768), 4.76, 8.54),
    ("H100", "FlashRNN alternating bf16", (16, 1024, 768), 10.5, 15.3),
    ("H100", "Haste fp32", (16, 1024, 768), 18.0, 24.9),
    ("V100", "cuDNN 2017 fp32", (16, 25, 512), 44.0, 44.4),
    ("V100", "cuDNN 2017 fp32", (128, 25, 512), 62.4, 91.6),
    ("V100", "cuDNN 2017 fp32", (64, 25, 1024), 88.4, 128.0),
]
BESIDE = {"A100": "V100", "H100": "H100"}  # whose published points are drawn where: nobody published any for an A100 or a T4
SOURCES = "FlashRNN's README plot head_dim--lstm (B 16, T 1024, H 768); DeepBench's training sheet for V100, x Wx left out"


class Prediction(NamedTuple):
    """ms of both passes of a whole call, and what they are made of; None where a tier cannot run."""

    device: str
    shape: str
    cell: str
    operations: int  # of the recurrent products of one step, forward
    bytes: int  # moved by a step of the step tier, forward
    plan: Plan
    step: tuple[float, float]
    sequence: tuple[float, float] | None


def apart(limits: Limits, costs: Costs, shape: str, cell: str) -> tuple[float, float]:
    """ms of all but the time loop, forward and backward: Python's work, and the products over all steps at once."""
    (B, T, I, H), G = sizes(shape), gates(cell)
    peak = 2e9 * limits.multiprocessors * limits.lanes * limits.clock * LARGE  # operations in a second
    return costs.call / 1e3 + 2e3 * B * T * I * G * H / peak, costs.call / 1e3 + 2e3 * B * T * (2 * I + H) * G * H / peak


def whole(alone: tuple[float, float], us: tuple[float, float] | None, T: int) -> tuple[float, float] | None:
    """ms of both passes, of a loop of so many us a step."""
    return None if us is None else (alone[0] + us[0] * T / 1e3, alone[1] + us[1] * T / 1e3)


def predict(limits: Limits, shape: str, cell: str, costs: Costs | None = None) -> Prediction:
    """The model's word on one shape in float32."""
    costs = costs or Costs()
    (B, T, _, H), G = sizes(shape), gates(cell)
    plan, alone = planner.plan(limits, CELLS[cell], B, H, "float32", costs=costs), apart(limits, costs, shape, cell)
    step = whole(alone, plan.us["step"], T)
    assert step is not None
    operations, moved = 2 * B * H * G * H, 4 * (G * H * H + 3 * B * G * H)
    return Prediction(limits.name, shape, cell, operations, moved, plan, step, whole(alone, plan.us["sequence"], T))


def predictions(device: str, costs: Costs | None = None) -> Iterator[Prediction]:
    """Every shape and cell on one device."""
    for shape in NAMES:
        for cell in SHAPES[shape].cells:
            yield predict(DEVICES[device], shape, cell, costs)


def markdown(costs: Costs | None = None) -> str:
    """The predictions as a table."""
    lines = ["# Predicted times, float32; no GPU has run this", "", f"Constants: {costs or Costs()}", ""]
    lines += ["f: forward, b: backward with the weight gradients, both with the products over all steps.", ""]
    head = "| GPU | shape | cell | MFLOP a step | KB a step | launches, barriers a step | step ms f, b | sequence ms f, b | plan |"
    lines += [head, "|---|---|---|--:|--:|---|---|---|---|"]
    for device in DRAWN:
        for p in predictions(device, costs):
            phases = len(CELLS[p.cell].phases)
            ours = "-" if p.sequence is None else f"{p.sequence[0]:.2f}, {p.sequence[1]:.2f}"
            barriers = 0 if p.plan.grid[0] == 1 else phases
            work = f"{p.operations / 1e6:.1f} | {p.bytes / 1024:.0f} | {2 * phases}, {barriers if p.sequence else '-'}"
            lines.append(f"| {device} | {p.shape} | {p.cell} | {work} | {p.step[0]:.2f}, {p.step[1]:.2f} | {ours} | {p.plan} |")
    lines += ["", f"Published: {SOURCES}", "", "| GPU | who | B, T, H | us a step forward | us a step backward |", "|---|---|---|--:|--:|"]
    lines += [f"| {device} | {who} | {B}, {T}, {H} | {ahead:.3g} | {back:.3g} |" for device, who, (B, T, H), ahead, back in PUBLISHED]
    return "\n".join(lines) + "\n"


# ---- the constants, from what was measured


def expected(costs: Costs, limits: Limits, shape: str, cell: str) -> dict[str, tuple[float, float]]:
    """Tier -> ms of forward, and of forward and backward, as gpu-check measures them: with the tiles that the planner takes now."""
    (B, T, _, H), maths = sizes(shape), CELLS[cell]
    us = {"step": (planner.step_us(limits, costs, maths, B, H, 4, False), planner.step_us(limits, costs, maths, B, H, 4, True))}
    if best := planner.best_tiles(limits, Costs(), maths, B, H, 4, False):
        ahead, back = (planner.pass_sizes(maths, H, False, best[1], backward) for backward in (False, True))
        assert ahead is not None and back is not None
        times = (planner.sequence_us(limits, costs, maths, H, 4, best[1], s, s is back) for s in (ahead, back))
        us["sequence"] = next(times), next(times)
    alone = apart(limits, costs, shape, cell)
    both = {tier: whole(alone, loop, T) for tier, loop in us.items()}
    return {tier: (ms[0], sum(ms)) for tier, ms in both.items() if ms}


def timed(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All timings of a report of gpu-check, which may have come to an end before the last of them."""
    return [row for name in ("crossover", "timings", "more timings") for row in report.get(name, ())]


def errors(costs: Costs, limits: Limits, rows: list[dict[str, Any]]) -> float:
    """Mean square of log(predicted / measured) of both tiers: forward alone, and with backward."""
    logs = [
        np.log(predicted / measured)
        for row in rows
        for tier, both in expected(costs, limits, row["shape"], row["cell"]).items()
        for predicted, measured in zip(both, row.get(tier) or ())
    ]
    return float(np.mean(np.square(logs))) if logs else 0.0


def fit(report: dict[str, Any], limits: Limits) -> Costs:
    """The Costs that fit a report of gpu-check: the barrier as measured alone, the others by going downhill one by one.

    What the report says nothing of stays where it was: a constant far from its first guess counts as a little error.
    """
    rows, micro, costs = timed(report), report.get("micro", {}), Costs()
    barriers = [us for what, us in micro.items() if what.startswith("barrier of")]
    if barriers:
        costs = costs._replace(barrier=float(np.median(barriers)))
    free = [name for name in Costs._fields if name != "barrier" or not barriers]

    def worth(tried: Costs) -> float:
        far = np.log(np.array([getattr(tried, name) for name in free]) / [getattr(Costs(), name) for name in free])
        return errors(tried, limits, rows) + 1e-4 * float(np.mean(far**2))

    best, factor = worth(costs), 2.0
    while factor > 1.01:
        before = best
        for name in free:
            for times in (factor, 1 / factor):
                tried = costs._replace(**{name: getattr(costs, name) * times})
                if (e := worth(tried)) < best - 1e-9:
                    costs, best = tried, e
        if best == before:
            factor **= 0.5
    return costs


def roofline(costs: Costs | None = None) -> Any:
    """A matplotlib Figure: speed of a step against the operations for each byte, on three devices; predictions are hollow."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, device in zip(figure.subplots(1, 3, sharey=True), DRAWN):
        limits = DEVICES[device]
        peak = 2e-3 * limits.multiprocessors * limits.lanes * limits.clock  # TFLOP/s
        x = np.logspace(-1, 3, 50)
        axes.plot(x, np.minimum(peak, x * limits.memory), color="black", linewidth=1.5)
        axes.plot(x, np.minimum(peak, x * 20e-3 * limits.multiprocessors * limits.clock), color="0.6", linewidth=1.5, linestyle="--")
        marks: dict[str, list[tuple[float, float]]] = {"step": [], "sequence": []}
        for p in predictions(device, costs):
            for tier, us in p.plan.us.items():
                if us is not None:
                    marks[tier].append((p.operations / p.bytes, p.operations / us[0] / 1e6))
        for (tier, places), colour, marker in zip(marks.items(), ("#D55E00", "#0072B2"), "so"):
            if places:
                axes.plot(*zip(*places), marker, markerfacecolor="none", color=colour, label=f"{tier} tier, predicted")
        for where, who, (B, _, H), ahead, _ in PUBLISHED:
            if where == BESIDE.get(device):
                item = 4 if who.endswith("fp32") else 2
                place = 8 * B * H * H / (item * (4 * H * H + 12 * B * H)), 8 * B * H * H / ahead / 1e6
                axes.plot(*place, "k*", markersize=9)
                label = f"{who}, {B} x {H}" if where == device else f"{where}: {who}, {B} x {H}"
                axes.plot([0.08, place[0]], [place[1]] * 2, color="black", linewidth=0.4)
                axes.text(0.08, place[1], label, fontsize=6.5, va="bottom", bbox={"color": "white", "pad": 0.3}, zorder=1)
        axes.set(xscale="log", yscale="log", xlabel="operations for each byte of a step", title=f"{device}: predicted", ylim=(1e-3, 200))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("TFLOP/s of the recurrent product, forward")
    handles = {label: h for axes in figure.axes for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, frameon=False)
    note = "No GPU has run this: hollow marks are a model's word, stars are what others published."
    figure.suptitle(f"{note} Roofs: memory, level 2 cache (dashed)", fontsize=9)
    return figure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_model", description="Predict times on GPUs, or fit the model to a report.")
    parser.add_argument("--out", type=Path, help="folder for gpu_model.md and roofline.png")
    parser.add_argument("--fit", type=Path, metavar="JSON", help="a gpu_report.json; prints the constants that fit it")
    options = parser.parse_args(arguments)
    costs = None
    if options.fit:
        report = json.loads(options.fit.read_text(encoding="utf-8"))
        limits = Limits(**{**report["limits"], "threads": tuple(report["limits"]["threads"])})
        costs = fit(report, limits)
        print(f"{costs}\nerror {errors(costs, limits, timed(report)):.3g}, before {errors(Costs(), limits, timed(report)):.3g}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "gpu_model.md").write_text(markdown(costs), encoding="utf-8")
        roofline(costs).savefig(options.out / "roofline.png", dpi=110)
    if not options.fit and not options.out:
        print(markdown())


if __name__ == "__main__":
    main()
