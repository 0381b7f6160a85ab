"""Times on a GPU: ours, torch's cuDNN where it is installed, what a launch and a barrier cost, and what a model says.

The model is that of gpu_model.py. Its constants are guesses until a GPU has corrected them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rnn_from_scratch import backends
from rnn_from_scratch.backends.gpu import cuda, planner, sequence, source
from rnn_from_scratch.verify.oracles import torch_nn

from . import gpu_model
from .cases import CELLS, SHAPES, SIX, Problem, problem, sizes

BESIDE_TORCH = SIX
MORE = tuple(name for name in SHAPES if name.startswith("deepbench"))
# about where a launch for each step becomes as quick as one for all: few units, then more rows, then weights that hardly fit
CROSSOVER: tuple[str, ...] = ("1,50,64,64", "16,50,64,128", "256,50,64,128", "16,50,256,256", "128,50,256,256")
CROSSOVER += ("16,50,512,512", "128,50,512,512", "1,50,1024,1024", "16,50,1024,1024", "64,50,1024,1024")
TILED = ("64,50,256,256", "16,50,512,512")
BARRIER_BLOCKS = (2, 8, 32, 64, 128)


@contextmanager
def tier(name: str) -> Iterator[None]:
    """Make the cuda backend take this tier."""
    kept = os.environ.get("RNN_GPU_TIER")
    os.environ["RNN_GPU_TIER"] = name
    try:
        yield
    finally:
        del os.environ["RNN_GPU_TIER"]
        if kept is not None:
            os.environ["RNN_GPU_TIER"] = kept


@contextmanager
def planned(plan: planner.Plan) -> Iterator[None]:
    """Make the cuda backend run every call by this plan."""
    kept = cuda.CupyDevice.plan
    cuda.CupyDevice.plan = lambda *_: plan  # type: ignore[method-assign]
    try:
        yield
    finally:
        cuda.CupyDevice.plan = kept  # type: ignore[method-assign]


def median_ms(run: Callable[[], Any], wait: Callable[[], Any], seconds: float = 0.3) -> float:
    """Milliseconds of a call, waited for; after two calls to warm up."""
    for _ in range(2):
        run()
    wait()
    samples: list[float] = []
    start = time.perf_counter()
    while len(samples) < 5 or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        run()
        wait()
        samples.append((time.perf_counter() - began) * 1e3)
    return float(np.median(samples))


def predicted(limits: planner.Limits, cell: str, shape: str) -> dict[str, tuple[float, float] | None]:
    """Tier -> (forward, forward + backward) in ms by the model."""
    found = gpu_model.predict(limits, shape, cell)
    both = {"step": found.step, "sequence": found.sequence}
    return {name: ms and (ms[0], sum(ms)) for name, ms in both.items()}


def both_passes(cupy: Any, p: Problem, **options: Any) -> tuple[float, float]:
    """ms of inference, and of forward and backward. options: of backends.forward."""
    wait = cupy.cuda.get_current_stream().synchronize
    params, x, dy = {n: cupy.asarray(a) for n, a in p.params.items()}, cupy.asarray(p.x), cupy.asarray(p.dy)

    def forward(save: bool) -> Any:
        return backends.forward(p.cell, params, x, save=save, backend="cuda", **options)

    return median_ms(lambda: forward(False), wait), median_ms(lambda: backends.backward(forward(True)[2], dy), wait)


def timings(cupy: Any, shapes: tuple[str, ...], names: tuple[str, ...] = (), beside: bool = True) -> Iterator[dict[str, Any]]:
    """One row for each shape and cell: ms of forward, and of forward and backward, of each tier that can run it and of torch.

    names: of cells, if not those of the shape. beside: is torch timed too? planned: the tier that the planner takes. predicted:
    the model's word.
    """
    limits = cuda.limits(0)
    for shape in shapes:
        for cell in names or SHAPES[shape].cells:
            p = problem(cell, shape)
            plan = planner.plan(limits, CELLS[cell], p.x.shape[0], sizes(shape)[3], "float32")
            row: dict[str, Any] = {"shape": shape, "cell": cell, "planned": plan.tier, "predicted": predicted(limits, cell, shape)}
            for name in planner.TIERS:
                row[name] = None
                if plan.us[name] is not None:
                    with tier(name):
                        row[name] = both_passes(cupy, p)
            yield {**row, "torch": torch_ms(p) if beside else None}


def other_tiles(limits: planner.Limits, B: int, H: int, count: int = 6) -> list[planner.Tiles]:
    """Of an LSTM, the model's quickest choices that differ in their rows or in where the weights are: these tell its constants apart."""
    best: dict[tuple[bool, int], tuple[float, planner.Tiles]] = {}
    for tiles, _, *both in planner.candidates(limits, CELLS["LSTM"], B, H, 4, False):
        passes = [(s, backward) for s, backward in zip(both, (False, True))]
        us = sum(planner.sequence_us(limits, planner.Costs(), CELLS["LSTM"], H, 4, tiles, s, backward) for s, backward in passes)
        best[tiles.held, tiles.rows] = min(best.get((tiles.held, tiles.rows), (us, tiles)), (us, tiles))
    return [tiles for _, tiles in sorted(best.values())[:count]]


def tile_timings(cupy: Any) -> Iterator[dict[str, Any]]:
    """The sequence tier of an LSTM with tiles that the planner would not take: ms of forward, and of forward and backward."""
    for shape in TILED:
        p, (B, _, _, H) = problem("LSTM", shape), sizes(shape)
        for tiles in other_tiles(cuda.limits(0), B, H):
            with planned(planner.with_tiles(tiles, p.cell, B, H, "float32", False)):
                yield {"shape": shape, "cell": "LSTM", "tiles": tiles, "sequence": both_passes(cupy, p)}


def torch_ms(p: Problem) -> tuple[float, float] | None:
    """The same of torch.nn in float32 without TF32; None where torch, its GPU part or the cell is missing."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available() or torch_nn.cannot(p):
        return None
    layer = torch_nn.torch_layer(p)[0].cuda()
    x, dy = torch.tensor(p.x, device="cuda", requires_grad=True), torch.tensor(p.dy, device="cuda")

    def infer():
        with torch.no_grad():
            layer(x)

    torch.backends.cuda.matmul.allow_tf32 = False
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return median_ms(infer, torch.cuda.synchronize), median_ms(lambda: layer(x)[0].backward(dy), torch.cuda.synchronize)


def micro_text() -> str:
    return source.assemble(["barrier.h"], {}) + (Path(__file__).parent / "micro.cu").read_text(encoding="utf-8")


def micro_costs(cupy: Any, rounds: int = 2000) -> Iterator[tuple[str, float]]:
    """What, and its microseconds: a launch, a small product, a barrier among some blocks, the compiler."""
    wait = cupy.cuda.get_current_stream().synchronize
    module = cupy.RawModule(code=micro_text(), options=cuda.OPTIONS, enable_cooperative_groups=True)
    nothing, barrier, device = module.get_function("nothing"), module.get_function("barrier"), cuda.CupyDevice()
    a, out = cupy.zeros((32, 32), np.dtype("float32")), cupy.zeros((32, 32), np.dtype("float32"))

    def many(run: Callable[[], Any], count: int = 200) -> float:
        return median_ms(lambda: [run() for _ in range(count)], wait) / count * 1e3

    yield "launch", many(lambda: nothing((1, 1, 1), (32, 1, 1), (np.int32(0),)))
    yield "product of 32 x 32", many(lambda: device.product(a, a, out, False))
    for blocks in BARRIER_BLOCKS:

        def ping(count: int, blocks: int = blocks) -> float:
            def run() -> None:
                barrier((1, blocks, 1), (32, 1, 1), (cupy.zeros((1,), np.dtype("uint32")), np.int32(count)))

            return median_ms(run, wait) * 1e3

        yield f"barrier of {blocks} blocks", (ping(rounds) - ping(1)) / (rounds - 1)
    for what in ("first", "from the cache on disk"):
        yield f"compile sequence.cu, {what}", compile_us(cupy)


def compile_us(cupy: Any) -> float:
    """Microseconds until a kernel of sequence.cu can be launched. A shape is compiled once; CuPy keeps the machine code on disk."""
    tiles = planner.Tiles(16, 16, 256, 128, False)
    text = sequence.sequence_text(CELLS["LSTM"], "float32", None, 250, tiles, False, sequence.PATIENCE + os.getpid())
    began = time.perf_counter()
    cupy.RawModule(code=text, options=cuda.OPTIONS, enable_cooperative_groups=True).get_function("forward")
    return (time.perf_counter() - began) * 1e6
