"""The sections of gpu-check, what is worth most first: is it right, is it always the same, how long does it take, what else.

A section is a generator. It adds to run.report as it goes, and yields after each piece of work: whatever ends the run, the pieces
before stay. A new section is a function and a row of SECTIONS.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rnn_from_scratch.backends.gpu.planner import TIERS, Limits
from rnn_from_scratch.measure import EXACT, error

from . import gpu_fit, gpu_parity, gpu_timing, gpu_torch
from .gpu_timing import tier

SANITIZER_SECONDS = 120  # for each tool of compute-sanitizer


def parity(run: Any) -> Iterator[None]:
    run.report["parity"] = []
    for row in gpu_parity.in_both_tiers(tuple(gpu_parity.CELLS)):
        run.report["parity"].append(row)
        yield


def determinism(run: Any) -> Iterator[None]:
    run.report |= {"runs": gpu_parity.RUNS, "same bits": {}, "many blocks": []}
    for name in TIERS:
        with tier(name):
            run.report["same bits"][name] = gpu_parity.same_bits("cuda", gpu_parity.RUNS)
        yield
    for row in gpu_parity.many_blocks():
        run.report["many blocks"].append(row)
        yield


def constants(run: Any) -> Iterator[None]:
    run.report |= {"micro": {}, "crossover": [], "tile timings": [], "costs": {}}
    for what, us in gpu_timing.micro_costs(run.cupy):
        run.report["micro"][what] = us
        yield
    for row in gpu_timing.timings(run.cupy, gpu_timing.CROSSOVER, ("LSTM",), beside=False):
        run.report["crossover"].append(row)
        yield
    for row in gpu_timing.tile_timings(run.cupy):
        run.report["tile timings"].append(row)
        yield
    run.report["costs"] = gpu_fit.fit(run.report, Limits(**run.report["limits"]))._asdict()
    yield


def six_shapes(run: Any) -> Iterator[None]:
    yield from timed(run, "timings", gpu_timing.BESIDE_TORCH)


def more_shapes(run: Any) -> Iterator[None]:
    yield from timed(run, "more timings", gpu_timing.MORE)


def timed(run: Any, where: str, shapes: tuple[str, ...]) -> Iterator[None]:
    run.report[where] = []
    for row in gpu_timing.timings(run.cupy, shapes):
        run.report[where].append(row)
        yield


def narrow(run: Any) -> Iterator[None]:
    run.report["narrow"] = []
    for row in gpu_parity.narrow(run.cupy):
        run.report["narrow"].append(row)
        yield


def planted(run: Any) -> Iterator[None]:
    run.report["planted"] = {}
    for name in TIERS:
        for what, change in gpu_parity.PLANTED[name].items():
            with tier(name):
                run.report["planted"][f"{name}: {what}"] = gpu_parity.planted("cuda", {what: change})[what]
            yield


def sanitizer(run: Any) -> Iterator[None]:
    """What compute-sanitizer says of a small run, by tool; nothing where it is not installed."""
    tool, run.report["sanitizer"] = shutil.which("compute-sanitizer"), {}
    for check in ("memcheck", "racecheck") if tool else ():
        command = [str(tool), "--tool", check, "--error-exitcode", "9", sys.executable, "-m", "bench.gpu_check", "--tiny"]
        seconds = min(SANITIZER_SECONDS, run.left())
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
            said = "clean" if done.returncode == 0 else f"exit code {done.returncode}: {done.stdout[-500:]}"
        except subprocess.TimeoutExpired:
            said = f"skipped: no end in {seconds:.3g} s"
        run.report["sanitizer"][check] = said
        yield


def beside_others(run: Any) -> Iterator[None]:
    run.report["bridge"] = bridge()
    yield
    run.report["modules"] = gpu_torch.modules()
    yield


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


class Section(NamedTuple):
    """seconds: what it may take on a card, a guess from counts and from the compiler's times on a CPU, until a report says it."""

    name: str
    seconds: float
    what: str
    run: Callable[[Any], Iterator[None]]


SECTIONS = (
    Section("parity", 110, "every cell, option, dtype and tier, gradients of gradients, beside the float64 reference", parity),
    Section("determinism", 45, "100 runs bit for bit; many blocks that wait for each other", determinism),
    Section("constants", 75, "launch, product, barrier, the sizes about which the tiers change places; the model's constants", constants),
    Section("six shapes", 110, "every cell in both tiers, beside torch (cuDNN) and what the model predicted", six_shapes),
    Section("narrow numbers", 120, "16-bit storage and tensor cores: error and speed beside float32", narrow),
    Section("compute-sanitizer", 240, "memcheck and racecheck of a small run", sanitizer),
    Section("planted bugs", 15, "the comparisons can fail", planted),
    Section("layers", 30, "a Keras layer on this GPU beside tf.keras', a PyTorch module beside torch.nn's", beside_others),
    Section("more shapes", 40, "DeepBench's", more_shapes),
)


def schedule(sections: tuple[Section, ...], seconds: float) -> str:
    """What will run, how long it may take, and which sections may not be reached in so many seconds."""
    lines, at = [], 0.0
    for section in sections:
        note = "" if at + section.seconds <= seconds else "   may be cut short" if at < seconds else "   may not be reached"
        lines.append(f"{at / 60:5.1f} min  {section.name:18}{section.what}{note}")
        at += section.seconds
    return "\n".join([*lines, f"{at / 60:5.1f} min  the end, if the guesses are right; Ctrl-C keeps what has been found"])
