"""model.fit on the digit models: our layers and tf.keras', each in a process of its own, in turn.

    python -m bench.fit                        prints the table
    python -m bench.fit --readme FILE          and writes it into FILE (layers/README.md), between <!-- fit: begin --> and its end

Each process compiles one model, fits two batches to warm up, then times `model.fit` for an epoch three times and keeps the fastest. One
process more for each of the two: how much memory a fit takes at most, over what the process held with TensorFlow loaded and the data made.

The digits come from a tf.data pipeline without autotune. With it, and so with bare arrays, the end of an epoch may wait for TensorFlow's
tuning thread, which sleeps twice as long each time: epochs of any layer then take 0.64, 1.28, 2.56, 5.12 ... seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from rnn_from_scratch.verify.table import rewrite

from . import machine
from .interleaved import paired_ratio
from .time_one import resident

BATCH, EPOCHS = 150, 3
LIBRARIES = ("ours", "tf.keras")


def rnn(keras: Any, layers: Any, x: Any) -> Any:
    return layers.SimpleRNN(150)(x)


def deep_rnn(keras: Any, layers: Any, x: Any) -> Any:
    finals = []
    for _ in range(3):
        x, final = layers.SimpleRNN(100, activation="relu", return_sequences=True, return_state=True)(x)
        finals.append(final)
    return keras.layers.Concatenate()(finals)


def lstm(keras: Any, layers: Any, x: Any, **options: Any) -> Any:
    for top in (False, False, True):
        x = layers.LSTM(150, return_sequences=not top, **options)(x)
    return x


def lstm_recurrent_dropout(keras: Any, layers: Any, x: Any) -> Any:
    return lstm(keras, layers, x, recurrent_dropout=0.2)


MODELS: dict[str, Callable[..., Any]] = {
    "mnist-rnn": rnn,
    "mnist-deep-rnn": deep_rnn,
    "mnist-lstm": lstm,
    "mnist-lstm, recurrent_dropout=0.2": lstm_recurrent_dropout,
}
PIXELS = "mnist-lstm, T = 784, batch 64"


def one(library: str, model: str, digits: int) -> dict[str, float]:
    """Seconds of the fastest of some epochs on so many digits; for PIXELS, peak bytes of three batches with the pixels one by one."""
    import keras
    import numpy as np
    import tensorflow as tf

    from rnn_from_scratch import layers

    keras.utils.set_random_seed(0)
    pixels = model == PIXELS
    batch, steps, inputs = (64, 784, 1) if pixels else (BATCH, 28, 28)
    count = 3 * batch if pixels else digits
    rng = np.random.default_rng(0)  # the time does not depend on what the digits show
    x, y = rng.random((count, steps, inputs), "float32"), rng.integers(0, 10, count)
    inputs = keras.Input((steps, inputs))
    top = (lstm if pixels else MODELS[model])(keras, layers if library == "ours" else keras.layers, inputs)
    net = keras.Model(inputs, keras.layers.Dense(10)(top))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
    if library == "ours" and (runs := {layer.explain().backend for layer in net.layers if hasattr(layer, "explain")}) != {"native"}:
        raise RuntimeError(f"expected the native backend, got {', '.join(runs)}; see rnn-from-scratch doctor")
    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(count).batch(batch).with_options(options)
    if pixels:
        floor = resident("VmRSS")
        net.fit(data, verbose=0)
        return {"peak": resident("VmHWM") - floor}
    net.fit(data.take(2), verbose=0)
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        net.fit(data, verbose=0)
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds)}


def process(library: str, model: str, digits: int) -> dict[str, float]:
    command = [sys.executable, "-m", __spec__.name, "--one", library, "--models", model, "--digits", str(digits)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise RuntimeError(f"{library}, {model}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(models: list[str], digits: int, rounds: int) -> str:
    lines = ["| model (batch 150) | ours | tf.keras | tf.keras / ours |", "|---|--:|--:|--:|"]
    for model in models:
        field = "peak" if model == PIXELS else "seconds"
        found: dict[str, list[float]] = {library: [] for library in LIBRARIES}
        for k in range(1 if model == PIXELS else rounds):
            for library in LIBRARIES[:: 1 if k % 2 == 0 else -1]:
                found[library].append(process(library, model, digits)[field])
                print(f"{model}: {library} {found[library][-1]:.4g}", file=sys.stderr)
        ratio = paired_ratio(found["tf.keras"], found["ours"])
        batches = -(-digits // BATCH)
        shown = [f"{v / 1e6:.0f} MB" if field == "peak" else f"{v / batches * 1e3:.1f} ms" for v in map(median, found.values())]
        lines.append(f"| {model}{': peak memory' if model == PIXELS else ''} | {' | '.join(shown)} | {ratio:.2f} |")
    facts = machine.facts()
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("tensorflow", "keras") if name in facts["versions"])
    where = f"{facts['threads']} threads, {machine.isa('native')} kernels, {versions}"
    caption = f"Time per batch over epochs of {digits:,} digits; times and ratios are medians of {rounds} rounds in turn; {where}."
    return "\n".join([*lines, "", caption])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=[*MODELS, PIXELS], default=[*MODELS, PIXELS])
    parser.add_argument("--digits", type=int, default=4_500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readme", type=Path)
    parser.add_argument("--one", choices=LIBRARIES, help="time this one here")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.models[0], given.digits)))
        return
    text = table(given.models, given.digits, given.rounds)
    print(text)
    if given.readme:
        rewrite(given.readme, "fit", text)


if __name__ == "__main__":
    main()
