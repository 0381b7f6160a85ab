"""What one thread did in a launch, to be read: the arguments, then every line of the kernel with what it read and wrote."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..gpu import source
from ..gpu.source import Parameter

ACCESS = re.compile(r"(reads |writes|waits ) (\w+)(\[\d+\])?(.*?)  (.*)")


def arguments(signature: list[Parameter], args: list[Any]) -> str:
    """The arguments of a launch: arrays with their shapes, null pointers, numbers."""
    arrays, null, numbers = [], [], []
    owner: dict[int, str] = {}
    for p, value in zip(signature, args):
        if not p.pointer:
            numbers.append(f"{p.name} = {value}")
        elif value is None:
            null.append(p.name)
        else:
            first = owner.setdefault(value.ctypes.data, p.name)
            arrays.append(f"{p.name} [{','.join(map(str, value.shape))}]" + ("" if first == p.name else f" (the memory of {first})"))
    kinds = {"arrays": arrays, "null": null, "numbers": numbers}
    return "".join(f"  {kind + ':':8} {', '.join(values)}\n" for kind, values in kinds.items() if values)


def readable(accesses: str, text: str, shapes: dict[str, tuple[int, ...]]) -> str:
    """The machine's lines "reads  xg[6] = 0.5  step.cu:63", gathered under the lines of the text they came from.

    shapes: of the arrays that the launch was given whole; their elements are named by an index for each axis.
    """
    lines, found, last = source.lines(text), [], ""
    for what, name, flat, rest, place in ACCESS.findall(accesses):
        if place != last:
            found.append(f"{place}: {lines.get(place, '')}\n")
        found.append(f"    {what} {name}{index(flat, shapes[name]) if name in shapes else flat}{rest}\n")
        last = place
    return "".join(found)


def index(flat: str, shape: tuple[int, ...]) -> str:
    """[6] as [0,1,2] in an array of this shape."""
    if not flat or int(flat[1:-1]) >= np.prod(shape, dtype=int):
        return flat
    return f"[{','.join(map(str, np.unravel_index(int(flat[1:-1]), shape)))}]"
