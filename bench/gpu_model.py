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
from rnn_from_scratch.backends.gpu.model import SOURCES, span
from rnn_from_scratch.backends.gpu.planner import Costs, Limits, Plan

from .cases import CELLS, SHAPES, SIX, gates, sizes
from .gpu_fit import apart, errors, fit, timed, whole

MB, KB = 1 << 20, 1 << 10
DEVICES = {
    "T4": Limits("T4", 40, 64 * KB, 1.59, 64, 2, 4 * MB, 0.32, capability=(7, 5)),
    "A100": Limits("A100", 108, 163 * KB, 1.41, 64, 32, 40 * MB, 1.55, capability=(8, 0)),
    "H100": Limits("H100", 132, 227 * KB, 1.755, 128, 64, 50 * MB, 3.35, capability=(9, 0)),
    "B200": Limits("B200", 148, 227 * KB, 1.85, 128, 64, 126 * MB, 8.0, capability=(10, 0)),
    "RTX 4090": Limits("RTX 4090", 128, 99 * KB, 2.52, 128, 2, 72 * MB, 1.0, capability=(8, 9)),
    "toy": Limits("toy", 1, 48 * KB, 1.0, 64, 2, MB, 0.1),
}
DRAWN = ("T4", "A100", "H100")
NAMES = (*SIX, *(name for name in SHAPES if name.startswith(("deepbench", "flashrnn"))))

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
PUBLISHED_IN = "FlashRNN's README plot head_dim--lstm (B 16, T 1024, H 768); DeepBench's training sheet for V100, x Wx left out"


class Simulated(NamedTuple):
    """us of a step of an LSTM forward and backward, in a cycle simulator (GPGPU-Sim 4.2, its settings for an RTX 2060)."""

    B: int
    H: int
    tiles: planner.Tiles
    ahead: float
    back: float


TWO_THOUSAND = Limits("RTX 2060", 30, 64 * KB, 1.365, 64, 2, 3 * MB, 0.336)
SIMULATED = (  # the second one with all loads of a tile on their way at once
    Simulated(16, 128, planner.Tiles(43, 2, 256, 512, True), 3.72, 3.34),
    Simulated(32, 128, planner.Tiles(19, 8, 256, 128, False), 4.64, 5.63),
)


def simulated(row: Simulated, costs: Costs | None = None) -> tuple[tuple[float, float], float]:
    """The model's word on what was simulated, and the factor by which it may be off."""
    case = TWO_THOUSAND, costs or Costs(), CELLS["LSTM"], row.H, 4, row.tiles
    passes = [planner.pass_sizes(CELLS["LSTM"], row.H, False, row.tiles, backward) for backward in (False, True)]
    ahead, back = (planner.sequence_us(*case, s, s is passes[1]) for s in passes if s)
    return (ahead, back), planner.uncertain(*case[:3], row.B, *case[3:5], False, row.tiles)


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
    lines = ["# Predicted times, float32; no GPU has run this", "", "| constant | | may be off by | from | |", "|---|--:|--:|---|---|"]
    for name, value in (costs or Costs())._asdict().items():
        source = SOURCES[name]
        lines.append(f"| {name} | {value:.3g} | {source.off:g} times | {source.kind if costs is None else 'fitted'} | {source.why} |")
    lines += ["", "| simulated LSTM | tiles | us a step forward | backward | the model |", "|---|---|--:|--:|---|"]
    for row in SIMULATED:
        us, off = simulated(row, costs)
        said = ", ".join(span(each, off) for each in us)
        lines.append(f"| {row.B} x {row.H} | {', '.join(map(str, row.tiles))} | {row.ahead} | {row.back} | {said} |")
    lines += ["", "f: forward, b: backward with the weight gradients, both with the products over all steps. The factors say how far"]
    lines += ["a step's time may be off, up or down, if the constants are off as far as the first table says.", ""]
    head = "| GPU | shape | cell | MFLOP a step | KB a step | launches, barriers a step "
    lines += [head + "| step ms f, b | off | sequence ms f, b | off | plan |", "|---|---|---|--:|--:|---|---|--:|---|--:|---|"]
    for device in DRAWN:
        for p in predictions(device, costs):
            phases = len(CELLS[p.cell].phases)
            ours = "-" if p.sequence is None else f"{p.sequence[0]:.2f}, {p.sequence[1]:.2f}"
            barriers = 0 if p.plan.grid[0] == 1 else phases
            work = f"{p.operations / 1e6:.1f} | {p.bytes / 1024:.0f} | {2 * phases}, {barriers if p.sequence else '-'}"
            step, sequence = (f"{(p.plan.off or {}).get(tier, 1):.2f}" for tier in planner.TIERS)
            times = f"{p.step[0]:.2f}, {p.step[1]:.2f} | {step} | {ours} | {sequence if p.sequence else '-'}"
            lines.append(f"| {device} | {p.shape} | {p.cell} | {work} | {times} | {p.plan} |")
    lines += ["", f"Published: {PUBLISHED_IN}", ""]
    lines += ["| GPU | who | B, T, H | us a step forward | us a step backward |", "|---|---|---|--:|--:|"]
    lines += [f"| {device} | {who} | {B}, {T}, {H} | {ahead:.3g} | {back:.3g} |" for device, who, (B, T, H), ahead, back in PUBLISHED]
    return "\n".join(lines) + "\n"


def roofline(costs: Costs | None = None) -> Any:
    """A matplotlib Figure: speed of a step against the operations for each byte, on three devices; predictions are hollow."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, device in zip(figure.subplots(1, 3, sharey=True), DRAWN):
        limits = DEVICES[device]
        peak = 2e-3 * limits.multiprocessors * limits.lanes * limits.clock  # TFLOP/s
        x = np.logspace(-1, 3, 50)
        axes.plot(x, np.minimum(peak, x * limits.memory), color="black", linewidth=1.5)
        level2 = 1e-3 * (costs or Costs()).level2 * limits.multiprocessors * limits.clock  # TB/s
        axes.plot(x, np.minimum(peak, x * level2), color="0.6", linewidth=1.5, linestyle="--")
        marks: dict[str, list[tuple[float, float, float]]] = {"step": [], "sequence": []}
        for p in predictions(device, costs):
            for tier, us in p.plan.us.items():
                if us is not None:
                    marks[tier].append((p.operations / p.bytes, p.operations / us[0] / 1e6, (p.plan.off or {}).get(tier, 1.0)))
        for (tier, places), colour, marker in zip(marks.items(), ("#D55E00", "#0072B2"), "so"):
            if places:
                at, speed, off = map(np.array, zip(*places))
                label, bars = f"{tier} tier, predicted, and how far that may be off", [speed - speed / off, speed * off - speed]
                axes.errorbar(at, speed, bars, fmt=marker, markerfacecolor="none", color=colour, elinewidth=0.8, label=label)
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
        said: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in report["limits"].items()}
        limits = Limits(**said)
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
