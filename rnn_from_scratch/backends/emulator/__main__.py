"""What one thread of a kernel does, line by line: python -m rnn_from_scratch.backends.emulator --trace lstm_forward"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import cells, params
from ...bptt import Gradients
from ..gpu import host, second_order
from ..gpu.source import column_sum_text, second_order_text, signatures
from .device import EmulatedDevice
from .gxx import available


def example(device: EmulatedDevice, cell: Any, sizes: tuple[int, ...], mask: bool = False, dtype: str = "float64") -> None:
    """One forward and backward pass over small seeded data: B, T, I, H; of second order too, if one of its kernels is traced."""
    B, T, I, H = sizes
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((B, T, I)).astype(dtype), rng.standard_normal((B, T, H)).astype(dtype)
    live = np.ones((B, T), bool) if mask else None
    if live is not None:
        live[:1, -1] = False
    zeros = tuple(np.zeros((B, H), dtype) for _ in cell.states)
    weights = params.init_params(cell, I, H, dtype=dtype)
    _, _, tape = host.forward(device, "emulated", None, None, cell, weights, x, zeros, live, False, False, None, None, True)
    dstate, wrt = (None,) * len(zeros), ("x", "params", "initial_state")
    host.backward(device, None, tape, dy, dstate, wrt)
    if device.traced and device.traced[0].startswith(second_order.DualCall.kernels):
        v: Any = Gradients(np.ones_like(x), {name: np.ones_like(a) for name, a in weights.items()}, zeros)
        second_order.backward_vjp(device, tape, dy, dstate, v, wrt)


def parsed(trace: str) -> tuple[Any, str]:
    """The cell and the kernel that "gru_backward" means. Raises ValueError."""
    kernels = [*signatures(second_order_text(cells.LSTM(), "float64")), *signatures(column_sum_text("float64"))]
    for kernel in sorted(kernels, key=len, reverse=True):  # dual_forward before forward
        if trace.endswith(f"_{kernel}"):
            return cells.by_name(trace.removesuffix(f"_{kernel}")), kernel
    raise ValueError(f"expected CELL_KERNEL, such as gru_backward; the kernels are {', '.join(kernels)}")


def numbers(names: str, least: int = 0) -> Callable[[str], tuple[int, ...]]:
    """The type of an argument such as "1,0,0", one number for each of the names in "x,y,z"."""

    def parse(text: str) -> tuple[int, ...]:
        try:
            values = tuple(int(n) for n in text.split(","))
        except ValueError:
            values = ()
        if len(values) != len(names.split(",")) or min(values) < least:
            raise argparse.ArgumentTypeError(f"expected {names}, each at least {least}, got {text}")
        return values

    return parse


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m rnn_from_scratch.backends.emulator", description="Run kernels with no GPU.")
    parser.add_argument("--trace", default="lstm_forward", help="cell_kernel, such as gru_backward: what one thread does in it")
    parser.add_argument("--block", type=numbers("x,y,z"), default=(0, 0, 0), help="x,y,z of the thread's block")
    parser.add_argument("--thread", type=numbers("x,y,z"), default=(0, 0, 0), help="x,y,z of the thread in its block")
    parser.add_argument("--sizes", type=numbers("B,T,I,H", 1), default=(2, 2, 3, 5), help="B,T,I,H of the example")
    parser.add_argument("--mask", action="store_true", help="the last step of the first row is masked")
    parser.add_argument("--seed", type=int, default=0, help="of the schedule")
    options = parser.parse_args(arguments)
    try:
        cell, kernel = parsed(options.trace)
    except ValueError as error:
        parser.error(f"--trace {options.trace}: {error}")
    usable, why_not = available()
    if not usable:
        parser.error(why_not)
    device = EmulatedDevice(options.seed, (kernel, options.block, options.thread))
    example(device, cell, options.sizes, options.mask)
    nobody = f"no launch of {kernel} has a thread {options.thread} in a block {options.block} that touches memory"
    print(device.trace.strip() or nobody)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `... | head` ends quietly
    main()
