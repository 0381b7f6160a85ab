"""The bridge for Keras on JAX, with the names of bridge.py: three functions, each the gradient of the one before.

They work eagerly, under jit and in scans; under vmap one call runs after the other. The tape's arrays are results of forward and
arguments of backward. JAX says what is asked for: a gradient that nobody wants is not computed. jax_op.py calls the kernels;
jax_host.py does where that cannot.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from . import jax_op
from .arrays import initial_names, input_groups, tape_names, upstream_names, weight_names
from .jax_host import Call, Groups, SecondOrder, members, on_host
from .refusals import THIRD_ORDER

Tensor = Any
HOMES = (jax.nn, jnp)  # where JAX's own activations are
BEFORE_LIVE_IS_H = True  # y before the first live step, in Keras on JAX: the initial h, where other frameworks have 0
SUPPORTS_JIT = True


def recurrent(
    cell: Any,
    weights: list[Tensor],
    x: Tensor,
    initial_state: list[Tensor],
    mask: Tensor | None = None,
    x_scale: Tensor | None = None,
    h_scale: Tensor | None = None,
    *,
    go_backwards: bool = False,
    zero_masked_outputs: bool = False,
    sequences: bool = True,
    save: bool = True,
    backend: str = "auto",
    precision: str | None = None,
) -> tuple[Tensor | None, list[Tensor]]:
    """backends.forward on JAX's arrays, differentiable twice: the arguments and results of `recurrent` in bridge.py.

    save changes nothing: JAX says whether a gradient is asked for.
    """
    given = {"x": x, **dict(zip(weight_names(cell), weights)), **dict(zip(initial_names(cell), initial_state))}
    given.update({name: t for name, t in (("mask", mask), ("x_scale", x_scale), ("h_scale", h_scale)) if t is not None})
    flags = (("go_backwards", go_backwards), ("zero_masked_outputs", zero_masked_outputs), ("precision", precision))
    results = forward(Call(cell, flags, sequences, backend, tuple(given)), False, list(given.values()))
    y, state = (results[0] if sequences else None), list(results[-len(cell.states) :])
    if sequences and mask is not None and not zero_masked_outputs:
        steps = mask[:, ::-1] if go_backwards else mask
        y = where((jnp.cumsum(steps, axis=1) > 0)[:, :, None], y, initial_state[0][:, None])
    return y, state


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def forward(call: Call, save: bool, values: list[Tensor]) -> list[Tensor]:
    """y if call.sequences, the final states, and if `save` the tape: the states and the saved values of all steps."""
    return jax_op.forward(call, save, values)


def forward_kept(call: Call, save: bool, primals: Any) -> tuple[list[Tensor], Any]:
    """What `forward` returns, and what its gradient needs."""
    values = [p.value for p in primals]
    results = forward(call, True, values)
    count = call.sequences + len(call.cell.states)
    asked = perturbed(tuple(input_groups(call.cell).items()), call.names, primals)
    return results if save else results[:count], (values, results[count:], dict.fromkeys(asked))


def forward_gradient(call: Call, save: bool, kept: Any, upstream: Any) -> tuple[list[Tensor | None]]:
    """The gradients by what `forward` was given; those by the tape are part of those by x, the weights and the states."""
    values, tape, asked = kept
    cell, every = call.cell, (*(("dy",) if call.sequences else ()), *upstream_names(call.cell))
    d = {name: t for name, t in zip(every, upstream) if not is_zero(t)}
    groups = tuple((group, names) for group, names in input_groups(cell).items() if group in asked)
    if not d or not groups:
        return ([None] * len(values),)
    names = (*call.names, *tape_names(cell), "saved", *d)
    found = backward(call._replace(names=names), groups, [*values, *map(jax.lax.stop_gradient, tape), *d.values()])
    gradients = dict(zip(members(groups), found))
    return ([gradients.get(name) for name in call.names],)


forward.defvjp(forward_kept, forward_gradient, symbolic_zeros=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def backward(call: Call, groups: Groups, values: list[Tensor]) -> list[Tensor]:
    """The gradients by the members of the groups, from forward's arrays, its tape and the upstream gradients."""
    return jax_op.backward(call, groups, values)


def backward_kept(call: Call, groups: Groups, primals: Any) -> tuple[list[Tensor], Any]:
    values = [p.value for p in primals]
    d = tuple(name for name in upstream_names(call.cell) if name in call.names)
    every = (*input_groups(call.cell).items(), ("dy", ("dy",) if "dy" in call.names else ()), ("dstate", d))
    return backward(call, groups, values), (values, dict.fromkeys(perturbed(every, call.names, primals)))


def backward_gradient(call: Call, groups: Groups, kept: Any, cotangents: Any) -> tuple[list[Tensor | None]]:
    values, asked = kept
    found = dict(zip(members(groups), cotangents))
    moving = [name for _, names in groups if not all(is_zero(found[name]) for name in names) for name in names]
    v = {name: jnp.zeros(found[name].aval.shape, found[name].aval.dtype) if is_zero(found[name]) else found[name] for name in moving}
    every = {**input_groups(call.cell), "dy": ("dy",), "dstate": upstream_names(call.cell)}
    second = second_order(call, tuple((group, every[group]) for group in every if group in asked), tuple(v), [*values, *v.values()])
    return ([second.get(name) for name in call.names],)


backward.defvjp(backward_kept, backward_gradient, symbolic_zeros=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def second_order(call: Call, groups: Groups, directions: tuple[str, ...], values: list[Tensor]) -> dict[str, Tensor]:
    """The gradients of <cotangents, what backward returned>, by name, for the members of the groups."""
    a = call.given(values)
    like = [((a[name] if name in a else a[initial_of(name)]).shape, a["x"].dtype) for name in members(groups)]
    return dict(zip(members(groups), on_host(SecondOrder(call, groups, directions), like, values)))


def no_third_order(*arguments: Any) -> Any:
    raise NotImplementedError(THIRD_ORDER)


second_order.defvjp(lambda call, groups, directions, values: (second_order(call, groups, directions, values), None), no_third_order)


def initial_of(upstream: str) -> str:
    """The initial state of the shape of an upstream gradient: h0 of dh."""
    return f"{upstream[1:]}0"


def perturbed(groups: Any, names: tuple[str, ...], primals: Any) -> list[str]:
    """The groups of which some member is differentiated."""
    by_name = dict(zip(names, primals))
    return [group for group, inside in groups if any(by_name[name].perturbed for name in inside)]


def is_zero(t: Any) -> bool:
    return isinstance(t, jax.custom_derivatives.SymbolicZero)


def wants_gpu(backend: str) -> bool:
    """Is this a call that may run on a GPU? JAX hands the arrays of any device to the host."""
    return False


def split(columns: Tensor, count: int) -> list[Tensor]:
    return jnp.split(columns, count, axis=1)


def concat(parts: list[Tensor], axis: int = 1) -> Tensor:
    return jnp.concatenate(parts, axis=axis)


def stack(parts: list[Tensor]) -> Tensor:
    return jnp.stack(parts)


def where(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return jnp.where(condition, a, b)


def add_bias(z: Tensor, b: Tensor) -> Tensor:
    return z + b


def rows(p: Tensor) -> list[Tensor]:
    return list(p)


def einsum(products: str, *operands: Any) -> Tensor:
    return jnp.einsum(products, *map(jnp.asarray, operands))


def tanh(t: Tensor) -> Tensor:
    return jnp.tanh(t)


def softmax(t: Tensor) -> Tensor:
    return jax.nn.softmax(t)
