"""Native calls on tensors whose like came before: the same shapes, strides and dtypes. Only their addresses are new then.

The first call of its kind goes the long way, through backends.forward with all its checks. The kernels push Python out of the
processor's caches, so that each line of it between two of them is dear: the long way takes as long as a small model's step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..backends.native.call import CALL, FIELDS, address, check, new_arrays
from ..backends.native.loader import entry, form, precision_of
from ..backends.native.memory import SMALL
from ..backends.native.threads import num_threads
from .layout import Layer

Tensor = torch.Tensor
DTYPES: dict[torch.dtype, np.dtype] = {torch.float32: np.dtype("float32"), torch.float64: np.dtype("float64")}
THREADS = FIELDS.index("threads")
MOST = 256  # kinds of calls that are kept: lengths that are ever new would else fill the memory


class Prepared(NamedTuple):
    """A native call: all but where its tensors are."""

    run: Any  # the function of the library
    fields: tuple[int, ...]  # of Call; in place of an address, how far from its tensor's beginning an array begins
    places: tuple[int, ...]  # the fields with addresses, in the order of the tensors
    zeros: Tensor  # what the initial states are where none are given

    def __call__(self, tensors: Sequence[Tensor]) -> None:
        """Raises MemoryError or RuntimeError."""
        fields = list(self.fields)
        fields[THREADS] = num_threads()
        for place, tensor in zip(self.places, tensors):
            fields[place] += tensor.data_ptr()
        check(self.run(CALL.pack(*fields)))


kept: dict[Any, Prepared] = {}


def kind(tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """All that a kernel has to know of tensors besides where they are."""
    return tuple([(t.shape, t.stride(), t.dtype, t.is_cpu, t.is_neg(), t.data_ptr() % t.itemsize) for t in tensors])


def find(function: str, key: Any, dtype: torch.dtype) -> Prepared | None:
    """The call kept under this key, if the library is still the same."""
    found = kept.get(key)
    return found if found is not None and found.run is entry(function, DTYPES[dtype]) else None


def keep(function: str, key: Any, layer: Layer, arrays: dict[str, Any], tensors: Sequence[Tensor]) -> None:
    """Keep a call for those like it, if the kernels can use all its arrays where they are.

    arrays    by field of Call; each lies in the memory of one of the tensors, which are in the same order
    """
    cell: Any = layer.cell
    x, H = arrays["x"], len(arrays["Wh"])
    fields = {**dict.fromkeys(FIELDS, 0), **dict(zip("BTI", x.shape)), "H": H, "x_scale_gates": 1, "h_scale_gates": 1}
    fields.update(go_backwards=int(layer.reverse), zero_masked_outputs=int(layer.zero_masked))
    fields.update(form=form(cell, x.dtype), precision=precision_of(layer.precision))
    size = (len(x), H) if function == "forward" and "initial0" not in arrays else (1,)
    zeros = torch.zeros(size, dtype=tensors[0].dtype, device="cpu")
    fields.update((f"initial{i}", zeros.data_ptr()) for i in range(len(cell.states)))
    for (name, a), tensor in zip(arrays.items(), tensors, strict=True):
        strides = [field for field in (f"{name}_stride{axis}" for axis in range(3)) if field in fields]
        usable = len(strides) == a.ndim or (a.strides[-1] == a.itemsize if strides else a.flags.c_contiguous)
        nothing = name == "saved" and not cell.saved  # no numbers, but null would say that it is not given
        if not ((a.size or nothing) and usable) or tensor.is_neg() or tensor.data_ptr() % a.itemsize:
            return
        fields.update(zip(strides, (step // a.itemsize for step in a.strides)))
        fields[name] = zeros.data_ptr() if nothing else address(a) - tensor.data_ptr()
        if name in ("x_scale", "h_scale") and a.ndim == 3:
            fields[f"{name}_gates"] = len(a)
    for oldest in list(kept)[: max(0, len(kept) + 1 - MOST)]:  # other threads may do so at the same time
        kept.pop(oldest, None)
    kept[key] = Prepared(entry(function, x.dtype), tuple(fields.values()), tuple(map(FIELDS.index, arrays)), zeros)


def empty(dtype: torch.dtype, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
    """New tensors for results."""
    if sum(map(math.prod, shapes)) * dtype.itemsize < SMALL:
        return [torch.empty(shape, dtype=dtype, device="cpu") for shape in shapes]
    return list(map(torch.from_numpy, new_arrays(DTYPES[dtype], *map(tuple, shapes))[0]))


def by_state(field: str, tensors: Sequence[Any]) -> list[str]:
    """The fields of Call for tensors of which there is one for each state, of those that are there."""
    return [f"{field}{i}" for i, tensor in enumerate(tensors) if tensor is not None]


def inputs(layer: Layer, scales: Sequence[Any]) -> list[str]:
    """The fields of Call for x, the parameters, and of the mask and the scales those that are there."""
    there = [name for name, tensor in zip(("live", "x_scale", "h_scale"), scales) if tensor is not None]
    return ["x", *parameters(layer), *there]


def parameters(layer: Layer, of: str = "") -> list[str]:
    """The fields of Call for the parameters; of="d": for their gradients."""
    return [of + ("bx" if name == "b" else name) for name in layer.names]
