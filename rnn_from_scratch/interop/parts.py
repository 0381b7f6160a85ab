"""The normal form between the layouts of all frameworks, `parts`: Wx [I,GH], Wh [H,GH], bx [GH], bh [GH], p [EH], always all of them.

A cell with one bias b is (b, 0) there, a cell without bias or peepholes has zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import params as check
from ..array_kinds import as_numpy
from ..typing import Array, ListedCell

PEEPHOLES = ("i", "f", "o")  # the rows of p in a layout that has them for a cell without


def checked(cell: ListedCell, params: Any) -> dict[str, Array]:
    """The parameters of a cell as arrays, after the same checks as in forward; I and the dtype are those of Wx."""
    Wx = as_numpy("Wx", params.get("Wx", 0)) if isinstance(params, dict) else np.zeros(())
    x = np.zeros((0, 1, Wx.shape[0] if Wx.ndim == 2 else 1), Wx.dtype)
    return check.check_params(cell, params, x)


def split(cell: ListedCell, params: dict[str, Array]) -> dict[str, Array]:
    """params of a cell, as forward takes them -> parts. The arrays are fresh."""
    Wx, Wh = np.array(params["Wx"]), np.array(params["Wh"])
    zero = np.zeros(Wx.shape[1], Wx.dtype)
    bx = params["b"] if "b" in params else params.get("bx", zero)
    p = params["p"] if cell.extras else np.zeros((len(PEEPHOLES), Wh.shape[0]), Wx.dtype)
    return {"Wx": Wx, "Wh": Wh, "bx": np.array(bx), "bh": np.array(params.get("bh", zero)), "p": np.array(p).reshape(-1)}


def join(cell: ListedCell, parts: dict[str, Array]) -> dict[str, Array]:
    """parts of a cell -> parameters. Raises ValueError if a part that the cell does not have is not zero."""
    name, params = check.cell_name(cell), {"Wx": parts["Wx"], "Wh": parts["Wh"]}
    if not getattr(cell, "use_bias", True):
        if parts["bx"].any() or parts["bh"].any():
            raise ValueError(f"bias: expected zeros for {name} without bias, got other values; use {name}(use_bias=True)")
    elif cell.shared:
        params["b"] = merged(parts)
    else:
        params.update(bx=parts["bx"], bh=parts["bh"])
    if cell.extras:
        params["p"] = parts["p"].reshape(len(cell.extras), -1)
    elif parts["p"].any():
        raise ValueError(f"peepholes: expected zeros for {name}, got other values; use PeepholeLSTM")
    return params


def merged(parts: dict[str, Array]) -> Array:
    """bx + bh, but bx itself, to the sign of a zero, where bh is zero."""
    return np.where(parts["bh"] == 0, parts["bx"], parts["bx"] + parts["bh"])


def block(part: Array, names: Sequence[str], gate: str) -> Array:
    """A view: the columns of one gate in a part whose columns are blocks in the order of `names`."""
    H = part.shape[-1] // len(names)
    return part[..., names.index(gate) * H :][..., :H]


def columns_of(cell: ListedCell, part: str) -> tuple[str, ...]:
    return (cell.extras or PEEPHOLES) if part == "p" else cell.gates


def forget_signs(cell: ListedCell) -> dict[str, float]:
    """Gate -> sign, for the gates that a forget bias belongs to: those whose bias begins above (or below) zero."""
    return {gate: float(np.sign(start)) for gate, start in getattr(cell, "initial_bias", {}).items()}
