"""Runs both tiers of the CUDA kernels on the emulator, with the sums of every recurrent product in one and the same order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnn_from_scratch import cells
from rnn_from_scratch.backends import emulator as emulated
from rnn_from_scratch.backends.gpu import host
from rnn_from_scratch.backends.gpu.planner import Tiles, product_sizes, up
from rnn_from_scratch.verify.cases import named

GRADIENTS = ("x", "params", "initial_state")
SMALL = Tiles(own=2, rows=4, threads=32, chunk=8, held=False)  # three blocks for 5 units, two row groups for 6 rows
VARIANTS = {
    "in registers": SMALL._replace(chunk=64, held=True),
    "many chunks": Tiles(3, 2, 32, 4, False),
    "one block, no barrier": Tiles(5, 2, 32, 8, False),
    "a unit and a row": Tiles(1, 1, 32, 32, False),
    "several passes": Tiles(5, 16, 32, 8, False),
    "more loads than are asked for at once": Tiles(5, 32, 32, 24, False),
    "two warps": Tiles(2, 8, 64, 16, False),
    "two warps, in registers": Tiles(3, 8, 64, 64, True),
}


def form(name: str, activation: str, recurrent: str, **options):
    """The cell of a form with these activations, the recurrent one where it has one."""
    cell = replace(cells.forms()[name], activation=activation, **options)
    return replace(cell, recurrent_activation=recurrent) if hasattr(cell, "recurrent_activation") else cell


def on_device(p, device, storage=None, math=None):
    """y, final states, gradients by name, and the tape, from one device object."""
    o = {"mask": None, "go_backwards": False, "zero_masked_outputs": False, "x_scale": None, "h_scale": None, **p.options}
    flags = o["mask"], o["go_backwards"], o["zero_masked_outputs"], o["x_scale"], o["h_scale"]
    y, state, tape = host.forward(device, "emulated", storage, math, p.cell, p.params, p.x, o["initial_state"], *flags, True)
    grads = host.backward(device, storage, tape, p.dy, p.dstate, GRADIENTS)
    return named(p, y, state, grads), tape


def bits(p, device, storage=None, math=None):
    """Every result and the tape, as bytes."""
    results, tape = on_device(p, device, storage, math)
    every = {**results, "saved": tape.saved, **{f"tape {i}": s for i, s in enumerate(tape.states)}}
    return {name: np.asarray(a).tobytes() for name, a in every.items()}


class Ordered(emulated.EmulatedDevice):
    """A device of either tier whose recurrent products of [B,H] add up as product.h does with these tiles."""

    def __init__(self, H, order, tier, seed=0):
        super().__init__(seed=seed, tiles=order if tier == "sequence" else None)
        self.H, self.order = H, order

    def product(self, a, b, out, accumulate):
        H = self.H
        if a.shape[1] % H or b.shape[1] % H or a.shape[0] * b.shape[1] == 0:
            super().product(a, b, out, accumulate)
            return
        gates, padded = a.shape[1] // H, 4 * up(H, 4)
        left, right = np.zeros((len(a), gates, padded), a.dtype), np.zeros((gates, padded, b.shape[1]), b.dtype)
        left[:, :, :H], right[:, :H] = a.reshape(len(a), gates, H), b.reshape(gates, H, b.shape[1])
        K = gates * padded
        sums = in_order(left.reshape(len(a), K), right.reshape(K, b.shape[1]), self.order, b.shape[1] // H)
        out[...] = out + sums if accumulate else sums


def in_order(a, b, tiles, gates):
    """a [m,K] b [K,n] as Product<1, K, gates * own> sums it: by layers, each over its groups of four k."""
    K = a.shape[1]
    sizes = product_sizes(1, K, gates * tiles.own, tiles)
    chunk, total = min(tiles.chunk, K), np.zeros((len(a), b.shape[1]), a.dtype)
    for layer in range(sizes.split):
        partial = np.zeros_like(total)
        for start in range(0, K, chunk):
            for k in range(start + 4 * layer, min(start + chunk, K), 4 * sizes.split):
                for i in range(k, k + 4):
                    partial = partial + a[:, i, None] * b[i]
        total = total + partial
    return total


class Broken(emulated.EmulatedDevice):
    """Some text of one kernel of sequence.cu replaced, or its grid."""

    def __init__(self, name, tiles=SMALL, old="", new="", grid=None):
        super().__init__(tiles=tiles)
        self.name, self.old, self.new, self.grid = name, old, new, grid

    def launch(self, text, name, grid, block, args, shared=0):
        if shared and name == self.name:
            assert self.old in text
            text, grid = text.replace(self.old, self.new) if self.old else text, self.grid or grid
        super().launch(text, name, grid, block, args, shared)


PATIENCE_IN_TESTS = 10_000  # accesses of a thread, in place of sequence.PATIENCE: three times what a launch needs in the emulator
DESERTED = "unsigned round = 0;", "if (SLICE == 2) return; unsigned round = 0;"  # a block of each row group leaves before the first step
