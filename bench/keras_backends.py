"""model.fit on the digit models with Keras on PyTorch and on JAX: our layers and keras.layers, each in a process of its own, in turn.

    python -m bench.keras_backends                  prints the table
    python -m bench.keras_backends --readme FILE    and writes it into FILE, between <!-- keras-backends: begin --> and its end

As bench.fit, which times the same models on TensorFlow: two batches to warm up, then the fastest of three epochs, from arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from rnn_from_scratch.verify.table import rewrite

from . import machine
from .fit import BATCH, EPOCHS, MODELS
from .interleaved import last_line, paired_ratio

BACKENDS = {"torch": "PyTorch", "jax": "JAX"}
LIBRARIES = ("ours", "keras.layers")


def one(library: str, model: str, digits: int) -> float:
    """Seconds of the fastest of some epochs on so many digits, on the backend that KERAS_BACKEND names."""
    import keras
    import numpy as np

    from rnn_from_scratch import layers

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)  # the time does not depend on what the digits show
    x, y = rng.random((digits, 28, 28), "float32"), rng.integers(0, 10, digits)
    inputs = keras.Input((28, 28))
    top = MODELS[model](keras, layers if library == "ours" else keras.layers, inputs)
    net = keras.Model(inputs, keras.layers.Dense(10)(top))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    if library == "ours" and (runs := {layer.explain().backend for layer in net.layers if hasattr(layer, "explain")}) != {"native"}:
        raise RuntimeError(f"expected the native backend, got {', '.join(runs)}; see rnn-from-scratch doctor")
    net.fit(x[: 2 * BATCH], y[: 2 * BATCH], batch_size=BATCH, verbose=0)
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        net.fit(x, y, batch_size=BATCH, verbose=0)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def process(backend: str, library: str, model: str, digits: int) -> float:
    command = [sys.executable, "-m", __spec__.name, "--one", library, "--models", model, "--digits", str(digits)]
    env: dict[str, Any] = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    env.update(JAX_PLATFORMS="cpu", PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"{backend}, {library}, {model}: {last_line(done.stderr)}")
    return json.loads(done.stdout.splitlines()[-1])


def table(backends: list[str], models: list[str], digits: int, rounds: int) -> str:
    lines = ["| model (batch 150) | Keras on | ours | keras.layers | keras.layers / ours |", "|---|---|--:|--:|--:|"]
    for backend in backends:
        for model in models:
            found: dict[str, list[float]] = {library: [] for library in LIBRARIES}
            for k in range(rounds):
                for library in LIBRARIES[:: 1 if k % 2 == 0 else -1]:
                    found[library].append(process(backend, library, model, digits))
                    print(f"{model} on {backend}: {library} {found[library][-1]:.4g}", file=sys.stderr)
            ratio, batches = paired_ratio(found["keras.layers"], found["ours"]), -(-digits // BATCH)
            shown = [f"{median(seconds) / batches * 1e3:.1f} ms" for seconds in found.values()]
            lines.append(f"| {model} | {BACKENDS[backend]} | {' | '.join(shown)} | {ratio:.2f} |")
    facts = machine.facts()
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("keras", "torch", "jax") if name in facts["versions"])
    where = f"{facts['threads']} threads, {machine.isa('native')} kernels, {versions}"
    caption = f"Time per batch over epochs of {digits:,} digits; times and ratios are medians of {rounds} rounds in turn; {where}."
    return "\n".join([*lines, "", caption])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["mnist-lstm"])
    parser.add_argument("--digits", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readme", type=Path)
    parser.add_argument("--one", choices=LIBRARIES, help="time this one here")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.models[0], given.digits)))
        return
    text = table(given.backends, given.models, given.digits, given.rounds)
    print(text)
    if given.readme:
        rewrite(given.readme, "keras-backends", text)


if __name__ == "__main__":
    main()
