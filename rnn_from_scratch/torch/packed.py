"""A PackedSequence as a batch with a mask, and back.

No step of a row that has ended is computed: the kernels pass over rows that lie side by side and are not live. The rows are dealt out so
that each thread, which takes a run of them, has long and short ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.utils.rnn import PackedSequence

from ..backends.native.threads import num_threads

Tensor = torch.Tensor


class Rows(NamedTuple):
    """Where the rows of a PackedSequence are in a batch."""

    live: Tensor  # [B,T] bool
    place: Tensor  # [N] of every packed row: b * T + t
    order: Tensor  # [B] row b of the batch is number order[b] of those that were packed
    back: Tensor  # [B] undoes order


def rows_of(packed: PackedSequence) -> Rows:
    sizes = packed.batch_sizes
    B, T = int(sizes[0]), len(sizes)
    P = min(num_threads(), B)
    dealt = torch.cat([torch.arange(first, B, P) for first in range(P)])  # the longest rows come first: every P-th to one thread
    back = dealt.argsort()
    step, row = (torch.arange(B) < sizes[:, None]).nonzero(as_tuple=True)  # the packed rows: all of step 0, all of step 1, ...
    order = dealt if packed.sorted_indices is None else packed.sorted_indices[dealt]
    rows, device = (dealt[:, None] < sizes, back[row] * T + step, order, order.argsort()), packed.data.device  # sizes is on the CPU
    return Rows(*(t.to(device) for t in rows))


def unpack(packed: PackedSequence, rows: Rows) -> Tensor:
    """x [B,T,I], 0 where it is not live."""
    x = packed.data.new_zeros(rows.live.numel(), packed.data.shape[1]).index_copy(0, rows.place, packed.data)
    return x.view(*rows.live.shape, -1)


def pack(y: Tensor, rows: Rows, like: PackedSequence) -> PackedSequence:
    """Undoes unpack for y [B,T,H]."""
    data = y.reshape(-1, y.shape[2]).index_select(0, rows.place)
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)
