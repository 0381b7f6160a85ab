"""The public calls: check the arguments, choose a backend, call it.

A backend is a module with available() -> (usable, why not), forward and backward of bptt.py, jvp and backward_vjp of second_order.py.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .. import cells
from .. import params as check
from ..array_kinds import as_numpy, in_kind, is_tensor, on_gpu
from ..bptt import Gradients, Tape
from ..typing import Array, Cell
from .native.threads import num_threads, set_num_threads
from .options import STORAGES as STORAGES  # the names that storage= takes
from .options import check_options, check_out
from .precision import rounds

__all__ = ["available", "backward", "choose", "forward", "num_threads", "plan", "rounds", "set_num_threads"]

# name -> module, in the order in which `doctor` lists them
BACKENDS = {"reference": ".reference", "native": ".native", "cuda": ".gpu.cuda", "emulated": ".emulator"}


class Choice(NamedTuple):
    """The backend that "auto" takes, and why."""

    name: str
    reason: str


def available() -> dict[str, tuple[bool, str]]:
    """The backends: name -> (usable here, why not).

    Takes nothing and raises nothing. The reason is a sentence that says what to install; "" if the backend is usable. Whether a
    backend runs a given call is what choose says.

    >>> from rnn_from_scratch import backends
    >>> backends.available()["reference"]
    (True, '')
    >>> list(backends.available())
    ['reference', 'native', 'cuda', 'emulated']
    """
    return {name: load(name).available() for name in BACKENDS}


def choose(cell: Cell, params: dict[str, Array], x: Array) -> Choice:
    """The backend that backend="auto" takes for a call of forward, and why. Computes nothing.

    cell     the cell: native runs those of this package alone
    params   as in forward; not looked at
    x        [B,T,I]: a CuPy array goes to cuda, a NumPy array to native, to the reference where native cannot run it

    Returns a Choice: .name, a key of available(), and .reason, a sentence. Raises nothing: forward checks the arguments.

    >>> import numpy as np
    >>> from rnn_from_scratch import backends, cells, init_params
    >>> cell, x = cells.LSTM(), np.ones((2, 7, 3), complex)
    >>> backends.choose(cell, init_params(cell, 3, 5), x)
    Choice(name='reference', reason='complex128 runs on the NumPy cells only')
    """
    if on_gpu(x):
        return Choice("cuda", "CuPy arrays")
    if as_numpy("x", x).dtype == np.complex128:
        return Choice("reference", "complex128 runs on the NumPy cells only")
    native = load("native")
    ok, why = native.available()
    if not ok:
        return Choice("reference", f"NumPy arrays, and the native backend is not usable here: {why}")
    why = native.refusal(cell)
    if why:
        return Choice("reference", why)
    return Choice("native", "NumPy arrays, and the native backend is usable")


@cache
def load(name: str) -> Any:
    return import_module(BACKENDS[name], __name__)


def usable(name: str, cell: Cell, params: dict[str, Array], x: Array) -> str:
    """The backend to run: `name` itself, or the choice for "auto". Raises ValueError if it is unknown or cannot run here."""
    if name == "auto":
        choice = choose(cell, params, x)
        if choice.name == "reference" and as_numpy("x", x).dtype != np.complex128 and load("native").outdated(cell):
            warn_once(choice.reason)
        return choice.name
    if name not in BACKENDS:
        raise ValueError(f"backend: expected auto or one of {', '.join(BACKENDS)}, got {name!r}")
    ok, why = load(name).available()
    if not ok:
        raise ValueError(f"backend: {name} is not usable here: {why}")
    if name == "native" and (why := load("native").refusal(cell)):
        if not cells.is_listed(cell):
            known, got = cells.listing(), check.cell_name(cell)
            raise ValueError(f"backend: native runs {known} of this package, got {got}; use backend='reference' or 'auto'")
        raise ValueError(f"backend: {why}; backend='reference' or 'auto' runs it meanwhile")
    if on_gpu(x) and name != "cuda":
        raise TypeError(f"x: backend={name!r} runs on NumPy arrays, got a CuPy array; use cupy.asnumpy(x) or backend='cuda'")
    return name


@cache
def warn_once(reason: str) -> None:
    """Say why a call that could be fast is not."""
    warnings.warn(f"{reason}. The reference backend runs meanwhile, which takes longer", RuntimeWarning, stacklevel=4)


def plan(cell: Cell, params: dict[str, Array], x: Array, backend: str = "cuda", storage: str | None = None, math: str | None = None) -> Any:
    """How the CUDA kernels run this call: a planner.Plan with the tier, its tiles, the predicted times and the reason.

    cell, params, x, storage, math   as in forward
    backend                          "cuda" or "emulated"

    Raises ValueError if the backend is not usable here, ValueError or TypeError as forward does.
    """
    x = check.check_x(x)
    params = check.check_params(cell, params, x)
    if backend not in ("cuda", "emulated"):
        raise ValueError(f"backend: only cuda and emulated plan, got {backend!r}")
    check_options(backend, backend, x, True, storage, math, None, None)
    module, operands = load(usable(backend, cell, params, x)), math and (storage or "TF32")
    return module.plan(cell, x.shape[0], params["Wh"].shape[0], x.dtype, operands=operands)


def forward(
    cell: Cell,
    params: dict[str, Array],
    x: Array,
    initial_state: tuple[Array | None, ...] | None = None,
    lengths: Array | None = None,
    mask: Array | None = None,
    go_backwards: bool = False,
    zero_masked_outputs: bool = False,
    *,
    x_scale: Array | None = None,
    h_scale: Array | None = None,
    save: bool = True,
    backend: str = "auto",
    storage: str | None = None,
    math: str | None = None,
    recompute_every: int | None = None,
    precision: str | None = None,
    out: Array | None = None,
) -> tuple[Array, tuple[Array, ...], Tape | None]:
    """Run a cell over a batch of sequences.

    cell            one of cells, or an object of that shape (typing.Cell); it holds the equation of a step and where it is from
    params          name -> array, as init_params makes them: Wx [I,G*H], Wh [H,G*H], b [G*H] (or bx, bh), p [E,H]
    x               [B,T,I] float32 or float64 (complex128 on the reference); every other array has the same dtype. A NumPy or
                    CuPy array, or a torch tensor on the CPU that requires no grad: y, state and gradients are what x is
    initial_state   tuple of [B,H], one per state (h,) or (h, c); None, or None inside, is zero
    lengths         [B] integers in 0..T: the same as mask = arange(T) < lengths
    mask            [B,T] bool, True at live steps, any pattern. A masked step copies the state through, and what x holds
                    there is never seen. y repeats the last live output, 0 before the first one
    go_backwards    run over the reversed time axis of x and mask; y comes out in processing order
    zero_masked_outputs   every masked y is 0 instead
    x_scale         [B,I] or per gate [G,B,I]: multiplies x in the input products, constant over time (dropout)
    h_scale         [B,H] or per gate [G,B,H]: multiplies h in the recurrent products, never the carried state
    save            False keeps nothing for backward
    backend         "auto" or a name of backends.available(); a backend asked for by name never falls back
    storage         "float16" or "bfloat16": y and the tape are kept in 16 bits, the arithmetic and all gradients stay float32
                    (cuda and emulated; bfloat16 needs ml_dtypes)
    math            "tensor": tensor cores make the recurrent products (cuda and emulated), with float32 sums. With storage= their
                    factors are rounded to it; without, three products of TF32 make one of float32. Refused where it cannot run
    recompute_every   K: the tape keeps the states before steps 0, K, 2K, ... and nothing else; backward runs each K steps forward
                    once more. Less memory for one more forward pass (K near the root of T is least), the same gradients bit for
                    bit (Chen et al. 2016, arXiv:1604.06174). native; on the reference, backward makes the whole tape again
    precision       "bfloat16": factors of products are rounded to it, sums stay float32 (native where the CPU can, and reference)
    out             [B,T,H]: y is written there and returned, in whatever order its steps lie in memory

    Returns y [B,T,H] (fresh and contiguous without `out`), state (tuple of [B,H] after the last step) and the tape (None if save=False).
    Raises ValueError or TypeError: argument, expected, got.

    >>> import numpy as np
    >>> from rnn_from_scratch import cells, forward, init_params
    >>> cell = cells.LSTM()
    >>> x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("float32")  # 2 sequences of 7 steps of 3 numbers
    >>> y, (h, c), tape = forward(cell, init_params(cell, inputs=3, units=5), x)
    >>> y.shape, h.shape, c.shape
    ((2, 7, 5), (2, 5), (2, 5))
    >>> bool((y[:, -1] == h).all())  # the output of a step is its state h
    True
    >>> tape.gate("f").shape  # what the forget gate was at every step
    (2, 7, 5)
    """
    tensors, x = is_tensor(x), check.check_x(x)
    params = check.check_params(cell, params, x)
    units = params["Wh"].shape[0]
    s0 = check.check_initial_state(initial_state, cell, x, units)
    live = check.check_mask(mask, lengths, cell, x)
    x_scale = check.check_scale("x_scale", x_scale, ("I", x.shape[2]), cell, x)
    h_scale = check.check_scale("h_scale", h_scale, ("H", units), cell, x)
    name, save, flags = usable(backend, cell, params, x), bool(save), (bool(go_backwards), bool(zero_masked_outputs))
    check_options(name, backend, x, save, storage, math, recompute_every, precision)
    out = check_out(out, x, units, storage, *params.values(), *s0, live, x_scale, h_scale) if out is not None else None
    asked = {"storage": storage, "math": math, "recompute_every": recompute_every, "precision": precision}
    extra = {k: v for k, v in {**asked, "out": out if name == "native" else None}.items() if v is not None}
    y, state, tape = load(name).forward(cell, params, x, s0, live, *flags, x_scale, h_scale, save, **extra)
    if out is not None and y is not out:
        out[...], y = y, out
    if tensors:
        return in_kind(y, tensors), in_kind(state, tensors), tape and replace(tape, tensors=True)
    return y, state, tape


def backward(
    tape: Tape | None,
    dy: Array | None = None,
    dstate: tuple[Array | None, ...] | None = None,
    *,
    wrt: tuple[str, ...] = ("x", "params", "initial_state"),
) -> Gradients:
    """Backpropagation through time (Werbos 1990), on the backend that made the tape.

    tape     what forward returned
    dy       [B,T,H], the gradient of the loss by y, in the order of y; None is zero
    dstate   tuple of [B,H], the gradient by each final state; None, or None inside, is zero. dy or dstate must be given
    wrt      which gradients to compute; the others are None

    Returns Gradients: .x [B,T,I], .params (dict), .initial_state (tuple). The tape is only read: it can be used again.
    Raises ValueError or TypeError: argument, expected, got.

    >>> import numpy as np
    >>> from rnn_from_scratch import backward, cells, forward, init_params
    >>> cell = cells.GRU()
    >>> params = init_params(cell, inputs=3, units=5)
    >>> y, _, tape = forward(cell, params, np.ones((2, 7, 3), "float32"))
    >>> grads = backward(tape, dy=2 * y)  # of the loss sum(y ** 2)
    >>> grads.x.shape, [g.shape for g in grads.initial_state]
    ((2, 7, 3), [(2, 5)])
    >>> all(grads.params[name].shape == array.shape for name, array in params.items())
    True
    """
    if tape is None:
        raise ValueError("tape: got None: forward ran with save=False and kept nothing; call forward(..., save=True)")
    if not isinstance(tape, Tape):
        raise TypeError(f"tape: expected the Tape that forward returned, got {type(tape).__name__}")
    if tape.x.dtype == np.complex128:
        raise TypeError("tape: complex128 is forward only (it is the number side of gradcheck); run forward in float64")
    dy, states = check.check_upstream(tape, dy, dstate)
    grads = load(tape.backend).backward(tape, dy, states, check.check_wrt(wrt))
    return Gradients(*(in_kind(part, True) for part in (grads.x, grads.params, grads.initial_state))) if tape.tensors else grads
