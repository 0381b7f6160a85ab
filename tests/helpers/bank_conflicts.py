"""How many words of one bank a warp asks for at once: counted from the addresses that product.h computes, for any tiles.

Shared memory has 32 banks of 4 bytes. Lanes that ask for different words of one bank wait for each other. 32 lanes ask at once for
4 bytes each, 16 for 8 bytes, 8 for 16 bytes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rnn_from_scratch.backends.gpu.planner import Tiles, up

BANKS, WARP = 32, 32
# what product.h computes: of its text, the expression behind each of these
PLACES = {
    "SUM_LINE": r"SUM_LINE = ([^;]*);",
    "PITCH": r"PITCH = ([^,;]*)[,;]",
    "weight_at": r"int weight_at\(.*?return ([^;]*);",
    "sum_at": r"int sum_at\(.*?return ([^;]*);",
}


class Access(NamedTuple):
    """One instruction of a kernel: its name, what each thread's element is (None: it does nothing), and how many elements it takes."""

    name: str
    element: Callable[[int], int | None]
    count: int


def formula(text: str, name: str) -> str:
    """An expression of product.h in Python's words."""
    found = re.search(PLACES[name], text, re.S)
    assert found, f"product.h computes no {name}"
    return re.sub(r"^(.*) \? (.*) : (.*)$", r"(\2) if \1 else (\3)", found[1].replace("/", "//"))


def accesses(text: str, parts: int, K: int, columns: int, tiles: Tiles, joined: bool) -> Iterator[Access]:
    """Of one product. text: product.h; joined: all gates of a unit stand side by side in its columns, as forward has them."""
    own, rows, threads, chunk, held = tiles
    across = up(columns, 4)
    rm = 4 if rows % 4 == 0 else 2 if rows % 2 == 0 else 1
    groups, kc = rows // rm, min(chunk, K)
    down = 1 if held else min(groups, threads // across)
    split = min(threads // (across * down), K // 4, 64 if held else 32)
    names = {"K": K, "WIDTH": 4 * across, "ROWS": rows, "PARTS": parts, "SPLIT": split, "KC": kc}
    names |= {name: eval(formula(text, name), dict(names)) for name in ("SUM_LINE", "PITCH")}

    def at(name: str, **where: int) -> int:
        return eval(codes[name], {**names, "part": 0, **where})

    codes = {name: compile(formula(text, name), name, "eval") for name in ("weight_at", "sum_at")}

    def busy(t: int) -> tuple[int, int, int] | None:
        """across, down and layer of a thread that adds."""
        layer = t // (across * down)
        return (t % across, t // across % down, layer) if layer < split and 4 * layer < kc else None

    def operand(t: int) -> int | None:
        return None if (who := busy(t)) is None else who[1] * names["PITCH"] + 4 * who[2]

    def weight(t: int) -> int | None:
        return None if (who := busy(t)) is None else at("weight_at", k=4 * who[2], column=4 * who[0])

    def tile(t: int) -> int | None:
        return t // (kc // 4) * names["PITCH"] + 4 * (t % (kc // 4)) if t < rows * (kc // 4) else None

    def sums(t: int) -> int | None:
        return None if (who := busy(t)) is None else at("sum_at", layer=who[2], row=who[1], column=4 * who[0])

    yield Access("the operand", operand, 4)
    yield Access("the tile", tile, 4)
    yield Access("the sums, stored", sums, 4)
    if not held:
        yield Access("the weights", weight, 4)
    for gate in range(columns // own if joined else 1):

        def total(t: int, gate: int = gate) -> int | None:
            row, unit = divmod(t, own)
            return at("sum_at", layer=0, row=row, column=gate * own + unit) if row < rows else None

        yield Access(f"the sums of gate {gate}", total, 1)


def most(access: Access, threads: int, item: int) -> int:
    """The most words of one bank that lanes which ask at once want: 1 is the best."""
    size = min(access.count * item, 16)  # bytes of a lane in one instruction
    at_once, worst = WARP * 4 // size, 1
    for first in range(0, threads, at_once):
        banks = defaultdict(set)
        for t in range(first, min(first + at_once, threads)):
            element = access.element(t)
            if element is not None:
                for word in range(element * item // 4, (element * item + size) // 4):
                    banks[word % BANKS].add(word)
        worst = max([worst, *map(len, banks.values())])
    return worst
