"""The types of this package: Array, and what a cell and a device are. NumPy alone is imported.

Cell and Device are protocols: an object with these members is one, whatever its class.
"""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

# A NumPy array; a CuPy array where a backend runs on those. float32 or float64 (complex128 in forward only), masks bool
Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = tuple[Array, ...]  # the states of a cell, say: one array each
StepGradients: TypeAlias = tuple[Arrays, Arrays, tuple[Array | float, ...], Arrays]  # what a cell's backward returns: dxg, dhg, ds_prev, dp


class Cell(Protocol):
    """One time step of a recurrent cell: pointwise functions and a few names, and no matrix product.

    Any object of this shape runs on the reference backend: forward(my_cell, ...), gradcheck(my_cell).

    xg [Gk,B,H] is x Wx + bias for the gates of phase k, hg [Gk,B,H] the recurrent side; s_prev and s are tuples of [B,H] in the
    order of `states`; saved is a tuple of [B,H]: in forward what the earlier phases saved, in backward all; p is a tuple of [H].

    What a cell may have besides:

        use_bias        default True: b [G*H] if shared, else bx and bh
        initial_bias    default {}: gate -> what its bias begins with in place of 0
    """

    @property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates, in the order of the columns of Wx and Wh."""

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states; the first is the output h."""

    @property
    def saved(self) -> tuple[str, ...]:
        """Names of what forward keeps for backward besides the states."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the rows of p [E,H], parameters that act per unit."""

    @property
    def shared(self) -> bool:
        """True if the gate gradients of input side and recurrent side are the same arrays."""

    @property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """Gate indices by phase: phase 0's recurrent product takes h_prev, phase k's what phase k-1 returned."""

    def forward(self, k: int, xg: Array, hg: Array, s_prev: Arrays, saved: Arrays, p: Arrays, /) -> tuple[Array | Arrays, Arrays]:
        """Phase k of a step -> (operand, saved_k); in the last phase -> (s, saved_k)."""

    def backward(self, k: int, d: Arrays, saved: Arrays, s_prev: Arrays, s: Arrays, p: Arrays, /) -> StepGradients:
        """Phase k of a step back -> dxg, dhg, ds_prev, dp; called for the last phase first.

        d is the tuple of state gradients (dy added), followed in every phase but the last by the gradient of the operand that this
        phase returned. dxg and dhg are tuples of one [B,H] per gate of phase k. ds_prev is the elementwise part alone (the driver
        adds dhg Wh^T to h's), 0.0 where there is none; the parts of several phases are added up. dp is a tuple of [B,H] or ().
        """


class PhasedCell(Cell, Protocol):
    """A cell of several phases."""

    def operand(self, k: int, saved: Arrays, s_prev: Arrays, /) -> Array:
        """What forward's phase k returned, once more, from what was saved."""


class ListedCell(Cell, Protocol):
    """A cell of this package, a frozen dataclass, as cells.CELLS lists them. What derives from that table needs to know more of it.

    Where gates have another activation than the candidates, a listed cell has recurrent_activation too. One with variants has
    `variants`: label -> the options that choose these equations (and, in kernels/cells, another type).
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # dataclasses.replace(cell, activation="relu")

    def __init__(self, **options: Any) -> None: ...

    @property
    def activation(self) -> str:
        """The name of phi, a key of activations.ACTIVATIONS."""

    @property
    def use_bias(self) -> bool:
        """Whether there is a b, or bx and bh."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """The gates that take `activation`; the others take `recurrent_activation`."""


class Device(Protocol):
    """Where the host code of the CUDA kernels (backends/gpu) runs them: a GPU, or the emulator on the CPU.

    Its arrays are sliced and reshaped as NumPy's are.
    """

    def empty(self, shape: tuple[int, ...], dtype: Any, /) -> Array:
        """A new array; what it holds is undefined."""

    def zeros(self, shape: tuple[int, ...], dtype: Any, /) -> Array:
        """A new array of zeros."""

    def put(self, array: Array, /) -> Array:
        """The caller's array on the device, contiguous."""

    def get(self, array: Array, /) -> Array:
        """An array of the device as the kind of array that the caller has."""

    def product(self, a: Array, b: Array, out: Array, accumulate: bool, /) -> None:
        """out (+)= a b, two-dimensional views with contiguous rows; a and b may also be transposed views."""

    def launch(self, text: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared: int = 0) -> None:
        """Run the kernel `name` of a text of gpu/source.py; args are arrays, None or NumPy scalars.

        shared: a cooperative launch with so many bytes of dynamic shared memory; 0 is an ordinary launch.
        """

    def storage(self, name: str, /) -> np.dtype[Any]:
        """The dtype of "float16" or "bfloat16"."""

    def plan(self, cell: Cell, B: int, H: int, dtype: Any, per_gate: bool, operands: str | None, /) -> Any:
        """The gpu/planner.Plan of a call: the time loop on the host, or in one launch by gpu/sequence.py.

        operands: what tensor cores multiply (gpu/tensor.py), or None.
        """

    @property
    def failed(self) -> Any:
        """Where a kernel of sequence.cu notes that it gave up: an int32, as an argument of launch."""

    def check(self) -> None:
        """Raise RuntimeError or EmulatorError if a kernel has given up."""
