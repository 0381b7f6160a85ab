"""What every bridge shares: Keras' names for arrays, and forward, backward and second order on arrays by these names.

x, kernel, recurrent_kernel, bias, peepholes    the inputs, with mask, x_scale, h_scale where given
h0, c0                                          the initial states
tape h, tape c, saved                           what the tape holds
dy, dh, dc                                      the upstream gradients of y and of the final states
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..backends import second_order as second
from ..bptt import Gradients, Tape

Arrays = dict[str, Any]


def weight_names(cell: Any) -> tuple[str, ...]:
    return ("kernel", "recurrent_kernel", *(("bias",) if cell.use_bias else ()), *(("peepholes",) if cell.extras else ()))


def initial_names(cell: Any) -> tuple[str, ...]:
    return tuple(f"{s}0" for s in cell.states)


def tape_names(cell: Any) -> tuple[str, ...]:
    return tuple(f"tape {s}" for s in cell.states)


def upstream_names(cell: Any) -> tuple[str, ...]:
    return tuple(f"d{s}" for s in cell.states)


def input_groups(cell: Any) -> dict[str, tuple[str, ...]]:
    """The inputs that have a gradient, by the names that backends.backward knows for them."""
    return {"x": ("x",), "params": weight_names(cell), "initial_state": initial_names(cell)}


def params_of(cell: Any, arrays: Arrays) -> Arrays:
    """Keras' arrays under this package's names: views, no copies."""
    params = {"Wx": arrays["kernel"], "Wh": arrays["recurrent_kernel"]}
    if cell.use_bias:
        params.update({"b": arrays["bias"]} if cell.shared else {"bx": arrays["bias"][0], "bh": arrays["bias"][1]})
    if cell.extras:
        params["p"] = arrays["peepholes"]
    return params


def weights_of(cell: Any, params: Arrays) -> list[Any]:
    """Undoes params_of, in the order of weight_names."""
    weights = [params["Wx"], params["Wh"]]
    if cell.use_bias:
        weights.append(params["b"] if cell.shared else np.stack([params["bx"], params["bh"]]))
    return [*weights, *([params["p"]] if cell.extras else [])]


def run_forward(cell: Any, a: Arrays, flags: dict[str, Any], save: bool, backend: str) -> Any:
    return backends.forward(
        cell,
        params_of(cell, a),
        a["x"],
        tuple(a[name] for name in initial_names(cell)),
        mask=a.get("mask"),
        x_scale=a.get("x_scale"),
        h_scale=a.get("h_scale"),
        save=save,
        backend=backend,
        **flags,
    )


def tape_of(cell: Any, a: Arrays, flags: dict[str, Any], backend: str) -> Tape:
    """The tape as the forward op made it; from a second forward pass if that op saved nothing."""
    if "saved" not in a:
        return run_forward(cell, a, flags, True, backend)[2]
    params, states = params_of(cell, a), tuple(a[name] for name in tape_names(cell))
    name = backends.usable(backend, cell, params, a["x"])
    scales = (a.get("x_scale"), a.get("h_scale"))
    order = (flags["go_backwards"], flags["zero_masked_outputs"])
    return Tape(cell, params, a["x"], states, a["saved"], a.get("mask"), *order, *scales, name, precision=flags["precision"])


def forward(cell: Any, a: Arrays, flags: dict[str, Any], sequences: bool, save: bool, backend: str) -> tuple[Any, ...]:
    """y if `sequences`, the final states, and if `save` what the tape holds: the states and saved values of all steps."""
    y, state, tape = run_forward(cell, a, flags, save, backend)
    return (*((y,) if sequences else ()), *state, *((*tape.states, tape.saved) if save else ()))


def backward(cell: Any, a: Arrays, flags: dict[str, Any], wrt: tuple[str, ...], backend: str) -> list[Any]:
    """The gradients by the inputs of the groups in wrt, in their order, from the inputs, the tape and the upstream gradients."""
    dstate = tuple(a.get(name) for name in upstream_names(cell))
    grads = backends.backward(tape_of(cell, a, flags, backend), a.get("dy"), dstate, wrt=wrt)
    found = {"x": [grads.x], "initial_state": grads.initial_state}
    if grads.params is not None:
        found["params"] = weights_of(cell, grads.params)
    return [array for group in wrt for array in found[group]]


def second_order(cell: Any, a: Arrays, v: Arrays, flags: dict[str, Any], wrt: tuple[str, ...], backend: str) -> list[Any]:
    """The gradients of <v, what backward returned> by the inputs of backward, for the groups in wrt: of input_groups, dy, dstate."""
    params = {name: none_if_zero(t) for name, t in params_of(cell, v).items()} if "kernel" in v else None
    states = tuple(none_if_zero(v[name]) for name in initial_names(cell) if name in v)
    direction: Any = Gradients(none_if_zero(v.get("x")), params, states)  # type: ignore[arg-type]
    tape = tape_of(cell, a, flags, backend)
    dstate = tuple(a.get(name) for name in upstream_names(cell))
    found = second.backward_vjp(tape, a.get("dy"), dstate, direction, wrt=wrt)
    every = {"x": [found.x], "initial_state": found.initial_state, "dy": [found.dy], "dstate": found.dstate}
    if found.params is not None:
        every["params"] = weights_of(cell, found.params)
    return [array for group in wrt for array in every[group]]


def none_if_zero(tangent: Any) -> Any:
    """Frameworks hand zeros where nobody asks; a tangent that is None costs nothing."""
    return tangent if tangent is not None and tangent.any() else None
