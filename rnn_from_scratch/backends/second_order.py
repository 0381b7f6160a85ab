"""The public calls of second order and of forward mode: check the arguments, call the backend that made the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import params as check
from ..array_kinds import in_kind
from ..bptt import Gradients, Tape
from ..second_order import SecondGradients, Tangents
from ..typing import Array
from . import backward, load

FIRST = ("x", "params", "initial_state")
UPSTREAM = ("dy", "dstate")


def jvp(
    tape: Tape | None,
    x: Array | None = None,
    params: dict[str, Array] | None = None,
    initial_state: tuple[Array | None, ...] | None = None,
) -> Tangents:
    """Forward mode: how y and the final states move if x, params and the initial state move along a direction.

    tape            what forward returned; the direction starts at its x, params and initial state
    x               [B,T,I], the direction of x; None is zero. What stands at masked steps is never seen
    params          name -> array in the shape of the parameter; names may be missing: zero
    initial_state   tuple of [B,H] or None

    Returns Tangents: .y [B,T,H], .state (tuple of [B,H]). The dtype is that of the tape's x. dropout scales do not move.
    Runs on the backend that made the tape.
    Raises ValueError or TypeError: argument, expected, got. Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".

    >>> import numpy as np
    >>> from rnn_from_scratch import cells, forward, init_params, jvp
    >>> cell, x = cells.LSTM(), np.ones((2, 7, 3))
    >>> params = init_params(cell, inputs=3, units=5, dtype="float64")
    >>> y, _, tape = forward(cell, params, x)
    >>> moved, _, _ = forward(cell, params, x + 1e-6)
    >>> bool(np.allclose((moved - y) / 1e-6, jvp(tape, x=np.ones_like(x)).y, atol=1e-5))
    True
    """
    tape = check_tape(tape, "jvp")
    v = direction(tape, Gradients(x, params, initial_state))  # type: ignore[arg-type]
    return kind_of(tape, load(tape.backend).jvp(tape, v))


def backward_vjp(
    tape: Tape | None,
    dy: Array | None = None,
    dstate: tuple[Array | None, ...] | None = None,
    cotangents: Gradients | None = None,
    *,
    wrt: tuple[str, ...] = (*FIRST, *UPSTREAM),
) -> SecondGradients:
    """The gradient of a gradient: backward through backward(tape, dy, dstate). Double backward, as autograd frameworks call it.

    tape         what forward returned
    dy, dstate   as given to backward: gradients of the loss by y and by the final states; None is zero
    cotangents   Gradients(x, params, initial_state): the gradients of an outer loss by what backward returned, in the same shapes.
                 Any field may be None and params may lack names: zero
    wrt          which gradients to compute, of x, params, initial_state, dy, dstate; the others are None

    Returns SecondGradients: the gradients of <cotangents, backward(tape, dy, dstate)>; dstate is a tuple of [B,H]. Those by dy and
    dstate are jvp along the cotangents. The second derivative of relu and hard_sigmoid is 0, as torch and TensorFlow have it.
    With x the gradient of a loss and v = cotangents, the products with the loss's Hessian are at `hvp`.
    Runs on the backend that made the tape. Raises ValueError or TypeError: argument, expected, got.
    Source: Griewank & Walther 2008, "Evaluating Derivatives", section 5.1.

    >>> import numpy as np
    >>> from rnn_from_scratch import backward, backward_vjp, cells, forward, init_params
    >>> from rnn_from_scratch.bptt import Gradients
    >>> cell, x = cells.GRU(), np.ones((2, 7, 3))
    >>> params = init_params(cell, inputs=3, units=5, dtype="float64")
    >>> y, _, tape = forward(cell, params, x)
    >>> dx = backward(tape, dy=np.ones_like(y)).x  # a gradient penalty: sum(dx ** 2)
    >>> second = backward_vjp(tape, np.ones_like(y), None, Gradients(2 * dx, None, None), wrt="params")
    >>> second.params["Wh"].shape
    (5, 15)
    """
    tape = check_tape(tape, "backward_vjp")
    wrt = check.check_wrt(wrt, (*FIRST, *UPSTREAM))
    if not isinstance(cotangents, Gradients):
        raise TypeError(
            "cotangents: expected Gradients(x, params, initial_state), any of them None, as rnn_from_scratch.bptt has it, "
            f"got {type(cotangents).__name__}"
        )
    if dy is not None or dstate is not None or any(name in FIRST for name in wrt):
        dy, states = check.check_upstream(tape, dy, dstate)
    else:
        states = (None,) * len(tape.states)
    v = direction(tape, cotangents)
    return kind_of(tape, load(tape.backend).backward_vjp(tape, dy, states, v, wrt))


def hvp(
    tape: Tape | None,
    dy: Array,
    d2y: Callable[[Array], Array],
    x: Array | None = None,
    params: dict[str, Array] | None = None,
    initial_state: tuple[Array | None, ...] | None = None,
    *,
    wrt: tuple[str, ...] = FIRST,
) -> Gradients:
    """The Hessian of a loss L(y), by x, params and the initial state, times a direction. No Hessian is ever made.

    tape    what forward returned
    dy      [B,T,H], the gradient of L by y
    d2y     y_t [B,T,H] -> the Hessian of L by y times y_t: how dy moves if y moves along y_t. lambda y_t: 2 * y_t for sum(y ** 2)
    x, params, initial_state   the direction, as in jvp
    wrt     which parts of the product to compute; the others are None

    Returns Gradients: the product, in the shapes of x, params and the initial state.
    Raises ValueError or TypeError as backward_vjp does. Source: Pearlmutter 1994.

    >>> import numpy as np
    >>> from rnn_from_scratch import cells, forward, hvp, init_params
    >>> cell, x = cells.LSTM(), np.ones((2, 7, 3))
    >>> params = init_params(cell, inputs=3, units=5, dtype="float64")
    >>> y, _, tape = forward(cell, params, x)
    >>> v = {"b": np.ones(20)}  # all biases move alike; the loss is sum(y ** 2)
    >>> product = hvp(tape, 2 * y, lambda y_t: 2 * y_t, params=v, wrt="params").params["b"]
    >>> round(float(product @ v["b"]), 3)  # the curvature of the loss along v
    20.006
    """
    wrt = check.check_wrt(wrt)
    second = backward_vjp(tape, dy, None, Gradients(x, params, initial_state), wrt=(*wrt, "dy"))  # type: ignore[arg-type]
    curved = backward(tape, d2y(second.dy), wrt=wrt)
    return Gradients(*(plus(getattr(second, name), getattr(curved, name)) for name in FIRST))


def plus(a: Any, b: Any) -> Any:
    """a + b of arrays, and of tuples and dicts of them."""
    if isinstance(a, dict):
        return {name: a[name] + b[name] for name in a}
    return tuple(map(plus, a, b)) if isinstance(a, tuple) else None if a is None else a + b


def check_tape(tape: Any, name: str) -> Tape:
    """Raise unless it is a tape that has second derivatives."""
    if tape is None:
        raise ValueError("tape: got None: forward ran with save=False and kept nothing; call forward(..., save=True)")
    if not isinstance(tape, Tape):
        raise TypeError(f"tape: expected the Tape that forward returned, got {type(tape).__name__}")
    if tape.x.dtype not in check.REAL:
        raise TypeError(f"tape: {name} expects float32 or float64, got {tape.x.dtype}; run forward in float64")
    if any(s.dtype != tape.x.dtype for s in tape.states):
        raise TypeError(f"tape: {name} expects one kept in the dtype of x; call forward without storage=")
    if tape.math is not None:
        raise ValueError(f"tape: {name} has no products on tensor cores; call forward without math=")
    if tape.precision is not None:
        raise ValueError(f"tape: {name} has no products in {tape.precision}; call forward without precision=")
    return tape


def direction(tape: Tape, v: Gradients) -> Gradients:
    """The tangents (or cotangents) as arrays, after every check against the tape."""
    x, cell, units = tape.x, tape.cell, tape.params["Wh"].shape[0]
    if v.params is not None and not isinstance(v.params, dict):
        raise TypeError(f"params: expected a dict of arrays for {check.cell_name(cell)}, got {type(v.params).__name__}")
    given = {"x": (v.x, x)} if v.x is not None else {}
    for name, value in (v.params or {}).items():
        if name not in tape.params:
            known = ", ".join(tape.params)
            raise ValueError(f"params: expected names from {known} for {check.cell_name(cell)}, got {name!r}")
        if value is not None:
            given[name] = (value, tape.params[name])
    arrays = {name: check.as_array(name, value, x) for name, (value, _) in given.items()}
    for name, array in arrays.items():
        like = given[name][1]
        check.expect_shape(name, array, f"the shape of the {'parameter' if name in tape.params else 'x of the tape'}", like.shape, cell)
        check.expect_dtype(name, array, x.dtype)
    states: Any = v.initial_state and check.check_states("initial_state", v.initial_state, cell, x, units)
    moving: Any = arrays.pop("x", None)
    return Gradients(moving, arrays, states)


def kind_of(tape: Tape, result: Any) -> Any:
    """The result with torch tensors, if the tape's x came as one."""
    return type(result)(**{name: in_kind(part, True) for name, part in vars(result).items()}) if tape.tensors else result
