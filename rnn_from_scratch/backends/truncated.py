"""Truncated backpropagation through time (Williams & Peng 1990, BPTT(h; h'); here k2 and k1).

    steps      0 ......... t0 ......... t1 ........ T
    forward                |--- k1 ----|              the state is carried from one stretch of k1 steps to the next
    backward        |--------- k2 -----|              the losses of these k1 steps reach back k2 steps, and are cut there
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import params as check
from ..array_kinds import as_numpy, in_kind, is_tensor
from ..bptt import Gradients
from ..typing import Array, Cell
from . import backward, forward


def truncated_bptt(
    cell: Cell,
    params: dict[str, Array],
    x: Array,
    dy_fn: Callable[[Array, int, int], Array],
    k1: int,
    k2: int,
    initial_state: tuple[Array | None, ...] | None = None,
    *,
    update: Callable[[Gradients], None] | None = None,
    x_scale: Array | None = None,
    h_scale: Array | None = None,
    backend: str = "auto",
) -> tuple[Array, tuple[Array, ...], Gradients]:
    """Run a cell over long sequences; after every k1 steps, send their loss back through the last k2 steps.

    cell, params, x, initial_state, x_scale, h_scale, backend   as in forward; x [B,T,I]; no masks: every step is live
    dy_fn     dy_fn(y, t0, t1) -> dL/dy [B,t1-t0,H] for the outputs y of the steps t0..t1-1, called once per k1 steps
    k1, k2    1 <= k1 <= k2; the last stretch is shorter if k1 does not divide T. k2 >= T cuts nothing, k1 = k2 = T is plain BPTT
    update    called with the Gradients of each stretch before the next one runs; it may change the arrays in params in place
              (online training). The k2 - k1 older steps are then run again, from the state before them, with the new parameters

    Returns y [B,T,H], the final state, and the Gradients summed over all stretches: .x [B,T,I], .params, and .initial_state from
    those stretches that reach back to step 0. Memory: the tape of k2 steps. Work: forward k2/k1 times.
    Raises ValueError or TypeError: argument, expected, got.

    >>> import numpy as np
    >>> from rnn_from_scratch import cells, init_params, truncated_bptt
    >>> cell, x = cells.SimpleRNN(), np.ones((2, 100, 3), "float32")
    >>> params = init_params(cell, inputs=3, units=5)
    >>> y, (h,), grads = truncated_bptt(cell, params, x, lambda y, t0, t1: 2 * y, k1=10, k2=20)  # of the loss sum(y ** 2)
    >>> y.shape, grads.params["Wh"].shape
    ((2, 100, 5), (5, 5))

    What Keras' stateful=True does: it carries the state from one batch to the next, and cuts the gradient there. With batches of
    T steps that is k1 = k2 = T on the long sequence: no gradient ever crosses from one batch into the one before it, so nothing is
    learnt about what lies further back than the start of the batch, and the first steps of a batch learn from almost no past. A
    k2 larger than k1 gives every step at least k2 - k1 steps of past to learn from; no Keras option does that.
    """
    tensors, x = is_tensor(x), check.check_x(x)
    for name, value in (("k1", k1), ("k2", k2)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    if k2 < k1:
        raise ValueError(f"k2: expected at least k1 = {k1}, or some losses would send no gradient at all; got {k2}")
    T, state, start = x.shape[1], initial_state, 0  # state stands before step `start`
    outputs: list[Array] = []
    sums: dict[str, Array] = {}
    dx, dstate = np.zeros_like(x), tuple[Any, ...](0.0 for _ in cell.states)
    for t0 in range(0, T, k1):
        t1 = min(t0 + k1, T)
        y, final, tape = forward(cell, params, x[:, start:t1], state, x_scale=x_scale, h_scale=h_scale, backend=backend)
        assert tape is not None
        outputs.append(y[:, t0 - start :])
        dy = np.zeros_like(y)
        dy[:, t0 - start :] = check_dy(dy_fn(in_kind(outputs[-1], tensors), t0, t1), outputs[-1], cell)
        grads = backward(tape, dy)
        dx[:, start:t1] += grads.x
        sums = {name: sums.get(name, 0) + g for name, g in grads.params.items()}
        if start == 0:
            dstate = tuple(total + d for total, d in zip(dstate, grads.initial_state))
        following = max(0, min(t1 + k1, T) - k2)
        state, start = tuple(np.array(s[:, following - start]) for s in tape.states), following
        if update:
            update(Gradients(*(in_kind(part, tensors) for part in (grads.x, grads.params, grads.initial_state))))
    found = np.concatenate(outputs, axis=1), final, dx, sums, dstate
    y, final, *parts = (in_kind(part, tensors) for part in found)
    return y, final, Gradients(*parts)


def check_dy(dy: Any, y: Array, cell: Cell) -> Array:
    dy = as_numpy("dy_fn", dy)
    check.expect_shape("dy_fn", dy, "[B, t1 - t0, H]", y.shape, cell)
    check.expect_dtype("dy_fn", dy, y.dtype)
    return dy
