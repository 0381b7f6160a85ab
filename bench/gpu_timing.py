"""Times on a GPU: ours, torch's cuDNN where it is installed, what a launch and a barrier cost, and what a model says.

The model is the one of a launch and a product for each step. Its constants are guesses until a GPU has corrected them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnn_from_scratch import backends
from rnn_from_scratch.backends import cuda, source

from .cases import CELLS, SHAPES, SIX, flops, gates, problem, sizes

SHAPES_TIMED = (*SIX, *(name for name in SHAPES if name.startswith("deepbench")))
# name of the GPU -> sustained float32 TFLOP/s, TB/s of the level 2 cache, us of a small product, us of a step on the host
MODEL = {"T4": (6.1, 1.0, 3.5, 18.0), "A100": (19.5, 4.0, 3.0, 18.0), "H100": (59.0, 5.0, 2.5, 18.0)}
POINT = 1.8  # us of a pointwise kernel that moves nothing
BARRIER_BLOCKS = (2, 8, 32, 64, 128)


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


def predicted(gpu: str, cell: str, shape: str) -> tuple[float, float] | None:
    """(forward, forward + backward) in ms by the model; None for a GPU it does not know."""
    constants = next((c for name, c in MODEL.items() if name in gpu), None)
    if constants is None:
        return None
    tera, cache, floor, host = constants
    B, T, _, H = sizes(shape)
    step = 2 * B * H * gates(cell) * H / (tera * 1e6)  # us of one recurrent product at full speed
    hoisted = flops(cell, shape, "forward") / (tera * 1e6) - T * step  # us of the input product
    arrays = 4 * B * H * (3 * gates(cell)) / (cache * 1e6)
    forward = hoisted + T * max(host, max(floor, step) + POINT + arrays)
    backward = 2 * hoisted + T * step + T * max(host, max(floor, step) + POINT + 1.25 * arrays)
    return forward / 1e3, (forward + backward) / 1e3


def timings(cupy: Any, gpu: str, names: tuple[str, ...] = SHAPES_TIMED) -> Iterator[dict[str, Any]]:
    """One row for each shape and cell: ms of forward, and of forward and backward, beside torch's and the model's."""
    wait = cupy.cuda.get_current_stream().synchronize
    for shape in names:
        for cell in SHAPES[shape].cells:
            p = problem(cell, shape)
            params, x, dy = {n: cupy.asarray(a) for n, a in p.params.items()}, cupy.asarray(p.x), cupy.asarray(p.dy)

            def forward(save=True, kind=CELLS[cell], params=params, x=x):
                return backends.forward(kind, params, x, save=save, backend="cuda")

            def train(dy=dy, forward=forward):
                backends.backward(forward()[2], dy)

            times = median_ms(partial(forward, False), wait), median_ms(train, wait)
            model = predicted(gpu, cell, shape)
            yield {"shape": shape, "cell": cell, "ours": times, "torch": torch_ms(cell, p), "predicted": model}


def torch_ms(cell: str, p: Any) -> tuple[float, float] | None:
    """The same of torch.nn in float32 without TF32; None where torch, its GPU part or the cell is missing."""
    try:
        import torch
    except ImportError:
        return None
    makers = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}
    if not torch.cuda.is_available() or cell not in makers:
        return None
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    layer = makers[cell](p.x.shape[2], p.params["Wh"].shape[0], batch_first=True).cuda()
    x, dy = torch.tensor(p.x, device="cuda", requires_grad=True), torch.tensor(p.dy, device="cuda")

    def infer():
        with torch.no_grad():
            layer(x)

    return median_ms(infer, torch.cuda.synchronize), median_ms(lambda: layer(x)[0].backward(dy), torch.cuda.synchronize)


def micro_text() -> str:
    return source.assemble(["barrier.h"], {}) + (Path(__file__).parent / "micro.cu").read_text(encoding="utf-8")


def micro_costs(cupy: Any, rounds: int = 2000) -> dict[str, float]:
    """Microseconds of a launch, of a small product, and of a barrier among some blocks."""
    wait = cupy.cuda.get_current_stream().synchronize
    module = cupy.RawModule(code=micro_text(), options=cuda.OPTIONS, enable_cooperative_groups=True)
    nothing, meet, device = module.get_function("nothing"), module.get_function("meet"), cuda.CupyDevice()
    a, out = cupy.zeros((32, 32), np.dtype("float32")), cupy.zeros((32, 32), np.dtype("float32"))

    def many(run: Callable[[], Any], count: int = 200) -> float:
        return median_ms(lambda: [run() for _ in range(count)], wait) / count * 1e3

    costs = {"launch": many(lambda: nothing((1, 1, 1), (32, 1, 1), (np.int32(0),)))}
    costs["product of 32 x 32"] = many(lambda: device.product(a, a, out, False))
    for blocks in BARRIER_BLOCKS:

        def ping(count: int, blocks: int = blocks) -> float:
            def run() -> None:
                meet((1, blocks, 1), (32, 1, 1), (cupy.zeros((1,), np.dtype("uint32")), np.int32(count)))

            return median_ms(run, wait) * 1e3

        costs[f"barrier of {blocks} blocks"] = (ping(rounds) - ping(1)) / (rounds - 1)
    return costs
