"""A PackedSequence as a batch with a mask, and back: one gather each way."""

from __future__ import annotations

import torch
from torch.nn.utils.rnn import PackedSequence

Tensor = torch.Tensor


def unpack(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """x [B,T,I], the rows in the packed order, and live [B,T] bool. At steps that are not live x holds other rows, which nobody reads."""
    sizes = packed.batch_sizes
    B = int(sizes[0])
    rows = torch.arange(B)[:, None]
    live = rows < sizes
    place = sizes.cumsum(0) - sizes + rows  # of row b at step t, where it is live
    return packed.data[place.clamp(max=len(packed.data) - 1)], live


def pack(y: Tensor, live: Tensor, like: PackedSequence) -> PackedSequence:
    """Undoes unpack for y [B,T,H]."""
    return PackedSequence(y.transpose(0, 1)[live.t()], like.batch_sizes, like.sorted_indices, like.unsorted_indices)
