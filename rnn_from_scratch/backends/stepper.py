"""One step after another, for sequences that come as they are made: audio, control, text.

A Stepper holds the state; step(x_t) moves it on. It computes what forward computes with T = 1, to the same bits, without the price of a
call: weights packed once, memory taken once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import bptt
from .. import params as check
from ..typing import Array, Cell
from . import load, usable
from .native.call import check as check_code

BACKENDS = ("native", "reference")


class Stepper:
    """A cell that is given one step at a time, and keeps its state.

    cell, params   as in forward; float32 or float64. The weights are read once, now: after a change make a new Stepper
    batch          B, rows that are stepped together
    backend        "auto", "native" or "reference"

    Raises ValueError or TypeError: argument, expected, got; ValueError for a backend that has no steps.
    One thread at a time may use a Stepper; different ones may run in different threads at once. It cannot be pickled or copied.

    >>> import numpy as np
    >>> from rnn_from_scratch import Stepper, cells, init_params
    >>> cell = cells.LSTM()
    >>> stepper = Stepper(cell, init_params(cell, inputs=3, units=5), batch=1)
    >>> before = stepper.snapshot()
    >>> h = stepper.step(np.ones((1, 3), "float32")).copy()
    >>> stepper.restore(before)
    >>> bool((stepper.step(np.ones((1, 3), "float32")) == h).all())
    True
    """

    def __init__(self, cell: Cell, params: dict[str, Array], batch: int, *, backend: str = "auto"):
        if not isinstance(batch, (int, np.integer)) or isinstance(batch, bool) or batch < 1:
            raise ValueError(f"batch: expected an integer of at least 1, got {batch!r}")
        Wx = params.get("Wx") if isinstance(params, dict) else None
        inputs, dtype = (Wx.shape[0], Wx.dtype) if isinstance(Wx, np.ndarray) and Wx.ndim == 2 else (1, np.dtype("float32"))
        if dtype not in check.REAL:
            raise TypeError(f"params: expected float32 or float64, got {dtype}")
        x = check.check_x(np.zeros((batch, 1, inputs), dtype))
        params = check.check_params(cell, params, x)
        self.cell, self.backend = cell, usable(backend, cell, params, x)
        if self.backend not in BACKENDS:
            raise ValueError(f"backend: a Stepper runs on {' or '.join(BACKENDS)}, got {self.backend!r}")
        self._x, self._x_t = x, x[:, 0]  # the same memory
        self._states = tuple(np.zeros((int(batch), len(params["Wh"])), dtype) for _ in cell.states)
        self._h = self._states[0].view()
        self._h.flags.writeable = False
        self._shape, self._dtype = self._x_t.shape, dtype
        make = load("native").stepper if self.backend == "native" else plain_loop
        self._run: Callable[[], int] = make(cell, params, x, self._states, self)

    def step(self, x_t: Array) -> Array:
        """Move the state on by one step.

        x_t   [B,I], contiguous, of the dtype of the parameters

        Returns h [B,H]: always the same array, read-only, which the next step overwrites (copy what you keep). Nothing is allocated
        after the first step on native. Raises TypeError or ValueError for any other x_t; the state is then as it was.
        """
        if not (isinstance(x_t, np.ndarray) and x_t.shape == self._shape and x_t.dtype == self._dtype and x_t.flags.c_contiguous):
            self._refuse(x_t)
        self._x_t[...] = x_t
        if code := self._run():
            check_code(code)
        return self._h

    def _refuse(self, x_t: Any) -> None:
        if not isinstance(x_t, np.ndarray):
            raise TypeError(f"x_t: expected a NumPy array, got {type(x_t).__name__}")
        if x_t.dtype != self._dtype:
            raise TypeError(f"x_t: expected {self._dtype}, as the parameters are, got {x_t.dtype}; use x_t.astype({str(self._dtype)!r})")
        check.expect_shape("x_t", x_t, "[B, I]", self._shape, self.cell)
        raise ValueError("x_t: expected a contiguous array, got a view with gaps or in another order; use np.ascontiguousarray(x_t)")

    def reset(self) -> None:
        """Set the state to zeros, as it was at first."""
        for s in self._states:
            s[...] = 0

    def snapshot(self) -> tuple[Array, ...]:
        """The state now, as copies [B,H]: (h,), or (h, c)."""
        return tuple(s.copy() for s in self._states)

    def restore(self, state: tuple[Array | None, ...]) -> None:
        """Set the state to what snapshot returned, or to any state [B,H] that forward takes (None: zeros).

        Raises ValueError or TypeError as forward does for initial_state; the state is then as it was.
        """
        values = check.check_states("state", state, self.cell, self._x, self._states[0].shape[1])
        for s, value in zip(self._states, values):
            s[...] = 0 if value is None else value

    def __reduce__(self) -> Any:
        raise TypeError("a Stepper cannot be copied or pickled; make another one and restore(snapshot()) there")


def plain_loop(cell: Cell, params: dict[str, Array], x: Array, states: tuple[Array, ...], owner: object) -> Callable[[], int]:
    """What native.stepper returns, on the reference: bptt.forward with T = 1."""
    params = {name: a.copy() for name, a in params.items()}

    def run() -> int:
        _, found, _ = bptt.forward(cell, params, x, states, None, False, False, None, None, False)
        for s, value in zip(states, found):
            s[...] = value
        return 0

    return run
