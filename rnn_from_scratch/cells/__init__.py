"""The cells: equations first, then forward and backward side by side. Read simple_rnn.py, lstm.py, peephole_lstm.py, gru.py.

A cell knows one time step and no matrix product. It is any object with

    gates, states, saved, extras    tuples of names; the first state is the output h. extras name the rows of p [E, H]
    shared                          True if the gate gradients of input side and recurrent side are the same arrays
    phases                          gate indices by phase: phase 0's recurrent product takes h_prev, phase k's what k-1 returned
    forward(k, xg, hg, s_prev, saved, p)     -> (operand, saved_k), in the last phase -> (s, saved_k)
    backward(k, d, saved, s_prev, s, p)      -> dxg, dhg, ds_prev, dp            called for the last phase first
    operand(k, saved, s_prev)                only with several phases: the operand again, from what was saved
    use_bias                                 optional, default True: b [G*H] if shared, else bx and bh

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

CELLS = {"simple_rnn": SimpleRNN, "lstm": LSTM, "peephole_lstm": PeepholeLSTM, "gru": GRU}


def by_name(name: str, **options: Any) -> Any:
    """The cell called `name`, in any case, with or without underscores or dashes; options go to its constructor.

    Raises ValueError for an unknown name.
    """
    plain = name.lower().replace("_", "").replace("-", "")
    for key, cell in CELLS.items():
        if key.replace("_", "") == plain:
            return cell(**options)
    raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")


__all__ = ["CELLS", "GRU", "LSTM", "PeepholeLSTM", "SimpleRNN", "by_name"]
