"""Breaks tensor_product.h in one place at a time, and says what nobody noticed.

    python -m tests.helpers.mutate_tensor        # every barrier, index, bound, selection and fragment; about two minutes

A mutant is caught if the emulator reports a fault, or a result is off by more than its storage allows.
"""

from __future__ import annotations

import sys

from rnn_from_scratch.backends.emulator import gxx
from rnn_from_scratch.backends.gpu import sequence
from rnn_from_scratch.backends.gpu.planner import Tiles
from rnn_from_scratch.verify.cases import CELLS, problem

from . import planted_changes
from .mutate_sequence import nothing_is_zero_by_luck
from .planted_changes import Mutant, mutants, planted
from .tensor_cases import check

FILE = "tensor_product.h"
LOCAL = {"sum", "v", "held", "numbers", "number", "small", "large"}
SELECTIONS = {  # what is replaced by what
    # lanes, and the words they hold
    r"who / 4 \+ 8 \* \(i % 2\)": ["who / 4 + 8 * (i / 2)", "who % 4 + 8 * (i % 2)", "who / 4"],
    r"PER \* \(2 \* \(who % 4\) \+ i / 2\) \+ e": ["PER * (who % 4 + 4 * (i / 2)) + e", "PER * (2 * (who % 4) + i % 2) + e"],
    r"deep \* DEPTH \+": ["", "(deep + 1) * DEPTH +"],
    r"16 \* tall \+": ["", "8 * tall +"],
    r"column < COLUMNS && k < K \?": ["k < K ?", "column < COLUMNS ?"],
    r"8 \* n \+ 2 \* \(lane % 4\) \+ i % 2": ["8 * n + 2 * (lane % 4) + i / 2", "2 * (lane % 4) + i % 2", "8 * n + lane % 4 + i % 2"],
    r"lane / 4 \+ 8 \* \(i / 2\)": ["lane / 4 + 8 * (i % 2)", "lane % 8 + 8 * (i / 2)"],
    r"\(8 \* n \+ lane / 4\) \* PITCH \+ 8 \* step \+ 2 \* \(lane % 4\)": [
        "(lane / 4) * PITCH + 8 * step + 2 * (lane % 4)",
        "(8 * n + lane / 4) * PITCH + 2 * (lane % 4)",
        "(8 * n + lane / 4) * PITCH + 8 * step + lane % 4",
        "(8 * n + lane % 8) * PITCH + 8 * step + 2 * (lane / 8)",
        "(8 * n + lane / 4) * PITCH + 8 * (step + 1) + 2 * (lane % 4)",
    ],
    r"numbers\[1\]\) << 16": ["numbers[1]) << 8", "numbers[0]) << 16"],
    r"multiply\(sum\[n\], a, b\);": ["if (lane != 5) multiply(sum[n], a, b);", "multiply(sum[0], a, b);"],
    r"held\[HELD \? \(part": ["held[HELD && !turn ? (part"],  # a fragment of an earlier turn
    # the products of TF32
    r"sum\[i\] \+= large\[i\] \+ small\[i\]": ["sum[i] += large[i]", "sum[i] = large[i] + small[i]"],
    r"(a|b)_low\.v\[i\] = to_tf32\(": [r"\1_low.v[i] = 0 * to_tf32("],
    r"mma_m16n8k8_tf32\(small, a_low\.v, b_high\.v\);": [""],
    r"mma_m16n8k8_tf32\(small, a_high\.v, b_low\.v\);": ["", "mma_m16n8k8_tf32(small, a_low.v, b_low.v);"],
    r"mma_m16n8k8_tf32\(large, a_high\.v, b_high\.v\);": [""],
    r"__int_as_float\(([ab]\.v\[i\])\) - __int_as_float\([ab]_high\.v\[i\]\)": [r"__int_as_float(\1)"],
    # who has which fragment
    r"tall < TALL;": ["true;"],
    r"layer < SPLIT &&": [""],
    r"if \(busy\)": ["if (true)"],
    r"pass \* ACROSS \+ across": ["across", "pass + across"],
    r"turn \* SPLIT \+ layer": ["turn + layer", "turn * SPLIT"],
    r"f / TURNS % PASSES \* ACROSS \+ across": ["across", "f % PASSES * ACROSS + across"],
    r"f % TURNS \* SPLIT \+ layer": ["f % TURNS + layer", "layer"],
    r"f / TURNS / PASSES": ["0", "f / TURNS"],
    r"f / DEEP / TALL, f / DEEP % TALL, f % DEEP": ["0, f / DEEP % TALL, f % DEEP", "f / DEEP / TALL, 0, f % DEEP"],
    r"e / 4 % LANES, e % 4": ["e % LANES, e % 4", "e / 4 % LANES, e / LANES % 4"],
    r"part \* PASSES \+ pass\)": ["part)", "pass)"],
    r"\* TURNS \+ turn": ["* TURNS"],
    r"step >= STEPS \|\| first \+ step >= DEEP": ["step >= STEPS", "first + step >= DEEP"],
    r"at \* LANES \+ lane": ["at * LANES", "(at + 1) * LANES + lane"],
    r"\* DEEP \+ first \+ step": ["* DEEP + step", "* DEEP + first"],
    r"chunk \* STEPS": ["0"],
    # the tile and the sums
    r"begin \+ row < B && from \+ k < K": ["from + k < K", "begin + row < B"],
    r"inside \?": ["true ?"],
    r"\brow < ROWS": ["true"],
    r"\(load \+ i\) \* THREADS": ["i * THREADS", "load * THREADS"],
    r"LOADED \* \(e % \(KC / LOADED\)\)": ["e % (KC / LOADED)", "0"],
    r"size_t\(begin \+ row\) \* line": ["size_t(row) * line", "size_t(begin) * line"],
    r"row \* PITCH \+ k / PER": ["row * PITCH + k", "k / PER"],
    r"\+ part \* K": [""],
    r"chunk \* KC": ["0"],
    r"CHUNKS > 1 \|\| pass == 0": ["pass == 0", "CHUNKS > 1"],
    r"part \+ pass \+ chunk > 0": ["part > 0", "chunk > 0"],
    r"layer = 0; layer < SPLIT": ["layer = 1; layer < SPLIT", "layer = 0; layer < SPLIT - 1"],
    r"\(\(part \* SPLIT \+ layer\) \* ROWS \+ row\)": ["(layer * ROWS + row)", "(part * ROWS + row)", "(part * SPLIT + layer)"],
}
KNOWN: dict[tuple[str, str], str] = {}  # (what, where): what changes nothing, and why
LIMIT = 3600  # seconds for all of them

# cell, situation, storage, tiles, sizes B, T, I, H: what sees most first
RUNS = [
    ("GRU reset before", "scale per gate, any mask", "float16", Tiles(20, 16, 64, 16, False), (19, 2, 2, 23)),  # parts, chunks, row groups
    ("GRU reset before", "scale per gate, any mask", None, Tiles(16, 16, 96, 4096, True), (19, 2, 2, 37)),  # parts, layers, in registers
    ("LSTM", "any mask", None, Tiles(5, 8, 160, 24, False), (9, 2, 2, 37)),  # three fragments for two layers, two in the last chunk
    ("LSTM", "any mask", "bfloat16", Tiles(20, 16, 96, 32, False), (9, 2, 2, 37)),  # passes and chunks
    ("LSTM", "scale per gate, reversed", "float16", Tiles(37, 8, 64, 4096, True), (9, 2, 2, 37)),  # parts and passes in registers
    # one block, many loads for each thread, half a fragment of its three gates is empty
    ("GRU reset after", "any mask", "float16", Tiles(37, 24, 32, 4096, False), (5, 2, 2, 37)),
]


def check_all() -> None:
    for name, situation, storage, tiles, sizes in RUNS:
        check(problem(CELLS[name], situation, "float32", sizes), tiles, storage)


def every() -> list[Mutant]:
    return [*mutants(FILE, SELECTIONS, LOCAL)]


def caught(mutant: Mutant) -> str:
    """How the mutant was noticed; "" if it was not."""
    try:
        with nothing_is_zero_by_luck(), planted(mutant, (sequence, "sequence_text")):
            check_all()
    except (gxx.EmulatorError, AssertionError) as report:
        return "" if str(report).startswith("g++ refused") else str(report)
    return ""


def unexplained() -> tuple[list[Mutant], set[tuple[str, str]]]:
    """The mutants that nobody noticed and KNOWN does not explain; and what KNOWN explains without need."""
    with nothing_is_zero_by_luck():
        check_all()  # unbroken, all is well
    return planted_changes.unexplained(every(), caught, KNOWN, LIMIT)


if __name__ == "__main__":
    sys.exit(any(unexplained()))
