"""How many words of one bank a warp asks for at once in tensor_product.h: counted from the addresses that its text computes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from rnn_from_scratch.backends.gpu.planner import Tiles, up

from .bank_conflicts import Access

PLACES = {  # the expression behind each of these, in the text
    "PITCH": r"PITCH = (.*?);",
    "SUM_LINE": r"SUM_LINE = (.*?);",
    "sum_at": r"int sum_at\(.*?return ([^;]*);",
    "place": r"int place = ([^;]*);",
    "weights": r"&weights\[(.*?)\]\)",
    "tile": r"&tile\[(row.*?)\]\)",
    "row": r"int row = (8 \* n.*?);",
    "column": r"int column = (16 \* tall \+ lane.*?);",
}


def accesses(text: str, parts: int, K: int, columns: int, tiles: Tiles, size: int, joined: bool) -> Iterator[Access]:
    """Of one product, as bank_conflicts.accesses. size: bytes of an operand."""
    found = {name: re.search(pattern, text, re.S) for name, pattern in PLACES.items()}
    assert all(found.values()), f"tensor_product.h computes no {[name for name in found if not found[name]]}"
    codes = {name: compile(match[1].replace("/", "//"), name, "eval") for name, match in found.items() if match}
    depth, tall, warps = 32 // size, up(columns, 16), tiles.threads // 32
    kc, across = min(tiles.chunk, up(K, depth) * depth), min(tall, warps)
    names = {"KC": kc, "PER": 4 // size, "WIDTH": 16 * tall, "ROWS": tiles.rows, "LANES": 32, "SPLIT": min(warps // across, kc // depth)}
    names |= {"rounded_up": lambda a, b: -(-a // b) * b, "part": 0, "n": 0, "tall": 0, "step": 0, "at": 0, "layer": 0}
    names |= {name: eval(codes[name], dict(names)) for name in ("PITCH", "SUM_LINE")}

    def at(name: str, **where: int) -> int:
        return eval(codes[name], {**names, **where})

    def brought(t: int) -> int | None:
        each = kc * size // 16
        return at("tile", row=t // each, k=16 // size * (t % each)) if t < tiles.rows * each else None

    def total(t: int, gate: int) -> int | None:
        row, unit = divmod(t, tiles.own)
        return at("sum_at", row=row, column=gate * tiles.own + unit) if row < tiles.rows else None

    yield Access("the operand", lambda t: at("place", lane=t % 32), 2)
    yield Access("the tile", brought, 4)
    yield Access("the weights", lambda t: at("weights", lane=t % 32), 4)
    for i in range(4):
        where = {"i": i}
        yield Access(
            "the sums, stored",
            lambda t, where=where: at("sum_at", row=at("row", lane=t % 32, **where), column=at("column", lane=t % 32, **where)),
            1,
        )
    for gate in range(columns // tiles.own if joined else 1):
        yield Access("the sums of a gate", lambda t, gate=gate: total(t, gate), 1)


def shapes(cases: list, cells: dict, item, padded) -> set[tuple]:
    """(parts, K, columns, tiles, size, whether the gates are joined) of every product of these cases."""
    found = set()
    for case, back in product(cases, (False, True)):
        size = item(case.operands)
        width = padded(case.H, size)
        for gates in cells[case.cell].phases:
            parts, joined = (len(gates), 1) if case.per_gate else (1, len(gates))
            K, columns = (joined * width, case.plan.tiles.own) if back else (width, joined * case.plan.tiles.own)
            found.add((parts, K, columns, case.plan.tiles, size, joined > 1 and not back))
    return found
