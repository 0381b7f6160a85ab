"""The cells: equations first, then forward and backward side by side. Start reading at simple_rnn.py.

A cell knows one time step and no matrix product. It is any object with

    gates, states, saved, extras    tuples of names; the first state is the output h. extras name the rows of p [E, H]
    shared                          True if the gate gradients of input side and recurrent side are the same arrays
    phases                          gate indices by phase: phase 0's recurrent product takes h_prev, phase k's what k-1 returned
    forward(k, xg, hg, s_prev, saved, p)     -> (operand, saved_k), in the last phase -> (s, saved_k)
    backward(k, d, saved, s_prev, s, p)      -> dxg, dhg, ds_prev, dp            called for the last phase first
    operand(k, saved, s_prev)                only with several phases: the operand again, from what was saved
    use_bias                                 optional, default True: b [G*H] if shared, else bx and bh
    initial_bias                             optional, default {}: gate -> what its bias begins with in place of 0
    candidates                               the gates that take `activation`; the others take `recurrent_activation`
    variants                                 optional: label -> options that choose other equations (kernels/cells: another type)

The last two are for the cells of this package alone: what lists them needs to know them.

xg [Gk, B, H] is x Wx + bias for the gates of phase k, hg [Gk, B, H] the recurrent side; s_prev and s are tuples of [B, H] in the
order of `states`; saved is a tuple of [B, H]: in forward what the earlier phases saved, in backward all; p is a tuple of [H].
In backward, d is the tuple of state gradients (dy added), followed in every phase but the last by the gradient of the operand
that this phase returned. dxg and dhg are tuples of one [B, H] per gate of phase k. ds_prev is the elementwise part alone (the
driver adds dhg Wh^T to h's), 0.0 where there is none; the parts of several phases are added up. dp is a tuple of [B, H] or ().
"""

from __future__ import annotations

from typing import Any

from .gru import GRU
from .lstm import LSTM
from .peephole_lstm import PeepholeLSTM
from .simple_rnn import SimpleRNN

# The one table of cells: name, which is also that of the file here and of the header in kernels/cells -> class
CELLS: dict[str, Any] = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "peephole_lstm": PeepholeLSTM,
    "gru": GRU,
}


def by_name(name: str, **options: Any) -> Any:
    """The cell called `name`, in any case, with or without underscores or dashes; options go to its constructor.

    Raises ValueError for an unknown name.
    """
    plain = name.lower().replace("_", "").replace("-", "")
    for key, cell in CELLS.items():
        if key.replace("_", "") == plain:
            return cell(**options)
    raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")


def forms() -> dict[str, Any]:
    """Name -> cell with default options, one for each variant: SimpleRNN, LSTM, ..., GRU reset after, GRU reset before."""
    found = [cell(**options) for cell in CELLS.values() for options in getattr(cell, "variants", {"": {}}).values()]
    return {form_name(cell): cell for cell in found}


def form_name(cell: Any) -> str:
    """The name of a cell's class, and its variant if it has several: LSTM, GRU reset before."""
    chosen = [
        label
        for label, options in getattr(cell, "variants", {}).items()
        if all(getattr(cell, option) == value for option, value in options.items())
    ]
    return " ".join([type(cell).__name__, *chosen])


def listing(last: str = "and") -> str:
    """The names of the classes, as a sentence has them: SimpleRNN, LSTM, PeepholeLSTM and GRU."""
    *names, final = [cell.__name__ for cell in CELLS.values()]
    return f"{', '.join(names)} {last} {final}"


def is_listed(cell: Any) -> bool:
    """Whether this is a cell of the table: the very class, not one derived from it, nor another of the same name."""
    return type(cell) in CELLS.values()


__all__ = ["CELLS", "by_name", "form_name", "forms", "is_listed", "listing", *(cell.__name__ for cell in CELLS.values())]
