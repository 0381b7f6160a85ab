"""Everything that only a GPU can tell, in one command: `make gpu-check`, or python -m bench.gpu_check. Needs CuPy, no TensorFlow.

Right first: every cell, option and dtype, and gradients of gradients, against the float64 reference; planted bugs, which must
be seen; 100 runs bit for bit. Then times beside torch (cuDNN) and beside what the model predicted. Writes gpu_report.json and
gpu_report.md; exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import rnn_from_scratch
from rnn_from_scratch.backends.gpu import cuda
from rnn_from_scratch.backends.gpu.planner import TIERS
from rnn_from_scratch.measure import EXACT, error

from . import gpu_parity, gpu_timing
from .gpu_timing import tier

SANITIZER_SECONDS = 120  # for each tool of compute-sanitizer


def bridge() -> str:
    """A layer on this GPU beside tf.keras', in float64; "" if they agree, else what is wrong or missing."""
    try:
        import tensorflow as tf

        from rnn_from_scratch import layers
    except ImportError:
        return "skipped: no TensorFlow"
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        return "skipped: TensorFlow sees no GPU"
    x = tf.random.stateless_normal([6, 7, 3], [0, 1], dtype=tf.float64)
    ours = layers.LSTM(5, return_sequences=True, dtype="float64", backend="cuda")
    theirs = tf.keras.layers.LSTM(5, return_sequences=True, dtype="float64", use_cudnn=False)
    found = []
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights(ours.get_weights())
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y * tf.cast(tf.range(5), tf.float64))
        found.append([y, *tape.gradient(loss, [x, *layer.trainable_weights])])
    worst = max(error(a, b) for a, b in zip(*found))
    return "" if worst <= EXACT else f"off by {worst:.2g}"


def sanitizer() -> dict[str, str]:
    """What compute-sanitizer says of a small run, by tool; nothing where it is not installed."""
    tool = shutil.which("compute-sanitizer")
    found = {}
    for check in ("memcheck", "racecheck") if tool else ():
        command = [str(tool), "--tool", check, "--error-exitcode", "9", sys.executable, "-m", "bench.gpu_check", "--tiny"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SANITIZER_SECONDS)
        except subprocess.TimeoutExpired:
            found[check] = f"skipped: no end in {SANITIZER_SECONDS} s"
            continue
        found[check] = "clean" if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout[-500:]}"
    return found


def facts(cupy: Any) -> dict[str, Any]:
    runtime = cupy.cuda.runtime
    return {
        "gpu": runtime.getDeviceProperties(0)["name"].decode(),
        "compute capability": cupy.cuda.Device().compute_capability,
        "CUDA": runtime.runtimeGetVersion(),
        "driver": runtime.driverGetVersion(),
        "cupy": cupy.__version__,
        "rnn_from_scratch": rnn_from_scratch.__version__,
        "python": platform.python_version(),
    }


def milliseconds(ms: tuple[float, float] | None, predicted: tuple[float, float] | None = None) -> str:
    """Of both passes, with the predicted ones in brackets."""
    if ms is None:
        return "-"
    brackets = [f" ({p:.3g})" for p in predicted] if predicted else ["", ""]
    return "; ".join(f"{value:.3g}{p}" for value, p in zip(ms, brackets))


def markdown(report: dict[str, Any]) -> str:
    """The report to read."""
    failed = [row for row in report["parity"] if not row["error"] <= row["allowed"]]
    lines = [f"# {report['facts']['gpu']}", "", f"{len(report['parity'])} comparisons with the reference, {len(failed)} failed."]
    for row in failed:
        lines.append(f"- {row['tier']}, {row['cell']}, {row['situation']}, {row['kind']}: {row['error']:.2g}, allowed {row['allowed']:.2g}")
    lines += [f"Planted bugs: {sum(report['planted'].values())} of {len(report['planted'])} seen."]
    lines += [f"{report['runs']} runs {'gave the same bits' if report['same bits'] else 'DIFFERED'}."]
    lines += [f"Layers beside tf.keras: {report['bridge'] or 'equal'}."]
    lines += [f"compute-sanitizer {tool}: {said}" for tool, said in report["sanitizer"].items()]
    both = [row for row in report["timings"] if row["step"] and row["sequence"]]
    right = sum((row["step"][1] > row["sequence"][1]) == (row["planned"] == "sequence") for row in both)
    lines += [f"The planner took the quicker tier in {right} of {len(both)} cases where both can run."]
    lines += ["", "ms of inference; of forward + backward. Predicted in brackets.", ""]
    lines += ["| shape | cell | planned | step | sequence | torch |", "|---|---|---|---|---|---|"]
    for row in report["timings"]:
        cells = [milliseconds(row[name], row["predicted"].get(name)) for name in TIERS]
        lines.append(f"| {row['shape']} | {row['cell']} | {row['planned']} | {cells[0]} | {cells[1]} | {milliseconds(row['torch'])} |")
    lines += ["", "| what | us |", "|---|--:|", *(f"| {what} | {us:.3g} |" for what, us in report["micro"].items())]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_check", description="Check and time the CUDA kernels on this GPU.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for gpu_report.json and gpu_report.md")
    parser.add_argument("--tiny", action="store_true", help="a few comparisons and nothing else")
    options = parser.parse_args(arguments)
    usable, why_not = cuda.available()
    if not usable:
        print(f"gpu-check: {why_not}", file=sys.stderr)
        return 2
    import cupy

    if options.tiny:
        return int(any(not row["error"] <= row["allowed"] for row in gpu_parity.in_both_tiers(gpu_parity.FEW)))
    start = time.perf_counter()
    report: dict[str, Any] = {"facts": facts(cupy), "limits": cuda.limits(0)._asdict(), "runs": gpu_parity.RUNS, "bridge": bridge()}
    report |= {"parity": [*gpu_parity.in_both_tiers(tuple(gpu_parity.CELLS)), *gpu_parity.many_blocks()], "planted": {}, "same bits": True}
    for name in TIERS:
        with tier(name):
            report["planted"] |= {f"{name}: {what}": seen for what, seen in gpu_parity.planted("cuda", gpu_parity.PLANTED[name]).items()}
            report["same bits"] &= gpu_parity.same_bits("cuda", gpu_parity.RUNS)
    report |= {"sanitizer": sanitizer(), "timings": list(gpu_timing.timings(cupy, report["facts"]["gpu"]))}
    report |= {"micro": gpu_timing.micro_costs(cupy), "seconds": round(time.perf_counter() - start, 1)}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu_report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (options.out / "gpu_report.md").write_text(markdown(report), encoding="utf-8")
    print(markdown(report))
    right = all(row["error"] <= row["allowed"] for row in report["parity"]) and all(report["planted"].values())
    said = [report["bridge"] or "clean", *report["sanitizer"].values()]
    return int(not (right and report["same bits"] and all(s == "clean" or s.startswith("skipped") for s in said)))


if __name__ == "__main__":
    sys.exit(main())
