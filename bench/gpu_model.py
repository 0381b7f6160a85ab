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

from rnn_from_scratch.backends import planner
from rnn_from_scratch.backends.planner import Costs, Limits, Plan

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

# What others published: device, who, shape (B, T, H), us of a step forward, and of one backward with the weight gradients
PUBLISHED = [
    ("H100", "cuDNN bf16", (16, 1024, 768), 1.96, 3.11),
    ("H100", "FlashRNN fused bf16", (16, 1024, 768), 4.76, 8.54),
    ("H100", "FlashRNN alternating bf16", (16, 1024, 768), 10.5, 15.3),
    ("H100", "Haste fp32", (16, 1024, 768), 18.0, 24.9),
    ("V100", "cuDNN 2017 fp32", (16, 25, 512), 44.0, 44.4),
    ("V100", "cuDNN 2017 fp32", (128, 25, 512), 62.4, 91.6),
    ("V100", "cuDNN 2017 fp32", (64, 25, 1024), 88.4, 128.0),
]
SOURCES = "FlashRNN's README plot head_dim--lstm (B 16, T 1024, H 768); DeepBench's training sheet for V100, x Wx left out"


class Prediction(NamedTuple):
    """ms of both passes of a whole call, and what they are made of; None where a tier cannot run."""

    device: str
    shape: str
    cell: str
    operations: int  # of the recurrent products of one step, forward
    bytes: int  # moved by a step of the step tier, forward
    plan: Plan
    hoisted: tuple[float, float]  # ms of the products over all steps, forward and backward
    step: tuple[float, float]
    sequence: tuple[float, float] | None


def predict(device: str, shape: str, cell: str, costs: Costs | None = None) -> Prediction:
    """The model's word on one shape in float32."""
    limits, (B, T, I, H), G = DEVICES[device], sizes(shape), gates(cell)
    plan = planner.plan(limits, CELLS[cell], B, H, "float32", costs=costs)
    peak = 2e9 * limits.multiprocessors * limits.lanes * limits.clock * LARGE  # operations in a second
    ahead = 2 * B * T * I * G * H / peak * 1e3
    back = 2 * B * T * (2 * I + H) * G * H / peak * 1e3

    def whole(us: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if us is None else (ahead + us[0] * T / 1e3, back + us[1] * T / 1e3)

    step = whole(plan.us["step"])
    assert step is not None
    operations, moved = 2 * B * H * G * H, 4 * (G * H * H + 3 * B * G * H)
    return Prediction(device, shape, cell, operations, moved, plan, (ahead, back), step, whole(plan.us["sequence"]))


def predictions(device: str, costs: Costs | None = None) -> Iterator[Prediction]:
    """Every shape and cell on one device."""
    for shape in NAMES:
        for cell in SHAPES[shape].cells:
            yield predict(device, shape, cell, costs)


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


def errors(costs: Costs, limits: Limits, rows: list[dict[str, Any]]) -> float:
    """Mean square of log(predicted / measured) of the forward passes of both tiers."""
    total, count = 0.0, 0
    for row in rows:
        _, T, I, H = sizes(row["shape"])
        B, G, cell = sizes(row["shape"])[0], gates(row["cell"]), CELLS[row["cell"]]
        hoisted = 2 * B * T * I * G * H / (2e9 * limits.multiprocessors * limits.lanes * limits.clock * LARGE) * 1e3
        us = {"step": planner.step_us(limits, costs, cell, B, H, 4, False)}
        best = planner.best_tiles(limits, Costs(), cell, B, H, 4, False)
        if best is not None:
            ahead = planner.pass_sizes(cell, H, False, best[1], False)
            assert ahead is not None
            us["sequence"] = planner.sequence_us(limits, costs, cell, H, 4, best[1], ahead, False)
        for tier, predicted in us.items():
            if measured := row.get(tier):
                total += float(np.log((hoisted + predicted * T / 1e3) / measured[0])) ** 2
                count += 1
    return total / max(count, 1)


def fit(report: dict[str, Any], limits: Limits) -> Costs:
    """The Costs that fit a report of gpu-check: barrier and launch as measured alone, the others by going downhill one by one."""
    rows, micro, costs = report["timings"], report.get("micro", {}), Costs()
    barriers = [us for what, us in micro.items() if what.startswith("barrier of")]
    if barriers:
        costs = costs._replace(barrier=float(np.median(barriers)))
    free = [name for name in Costs._fields if name != "barrier" or not barriers]
    best, factor = errors(costs, limits, rows), 2.0
    while factor > 1.01:
        before = best
        for name in free:
            for times in (factor, 1 / factor):
                tried = costs._replace(**{name: getattr(costs, name) * times})
                if (e := errors(tried, limits, rows)) < best - 1e-12:
                    costs, best = tried, e
        if best == before:
            factor **= 0.5
    return costs


def roofline(costs: Costs | None = None) -> Any:
    """A matplotlib Figure: speed of a step against the operations for each byte, on three devices; predictions are hollow."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
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
            if where == device:
                place = 8 * B * H * H / (4 * (4 * H * H + 12 * B * H)), 8 * B * H * H / ahead / 1e6
                axes.plot(*place, "k*", markersize=9)
                axes.annotate(who, place, fontsize=7, xytext=(4, 3), textcoords="offset points")
        axes.set(xscale="log", yscale="log", xlabel="operations for each byte of a step", title=f"{device}: predicted", ylim=(1e-3, 200))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("TFLOP/s of the recurrent product, forward")
    handles = {label: h for axes in figure.axes for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, frameon=False)
    told = "No GPU has run this: hollow marks are a model's word, stars are what others published."
    figure.suptitle(f"{told} Roofs: memory, level 2 cache (dashed)", fontsize=9)
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
        print(f"{costs}\nerror {errors(costs, limits, report['timings']):.3g}, before {errors(Costs(), limits, report['timings']):.3g}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "gpu_model.md").write_text(markdown(costs), encoding="utf-8")
        roofline(costs).savefig(options.out / "roofline.png", dpi=110)
    if not options.fit and not options.out:
        print(markdown())


if __name__ == "__main__":
    main()
