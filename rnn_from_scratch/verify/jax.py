"""jax.test_util's check_grads by the checker of this package: change the import, keep the tests.

    from rnn_from_scratch.verify.jax import check_grads     # in place of jax.test_util's
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .functions.frameworks import needed, of_jax
from .functions.structure import given_names

__all__ = ["check_grads"]


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of f at args: jax.test_util.check_grads by this checker.

    f           a function of arrays or of nested tuples, lists and dicts of them, with jax.custom_vjp, jax.custom_jvp or without
    args        its arguments
    order       1 or 2: gradients, and gradients of gradients
    modes       "fwd" checks the tangents of jax.jvp, "rev" the gradients of jax.vjp
    rtol        the relative error allowed; None is check_function's: 1e-7 in float64, 2e-5 in float32, more where nothing sees that well
    atol, eps   not needed: the step and the smallest error that can be seen follow from the numbers. Taken for JAX's sake

    Returns nothing if all is right. Raises AssertionError with the report as its text, ValueError for an order or a mode that is
    not checked here, ImportError without JAX, and what JAX raises where f has no such mode.
    """
    __tracebackhide__ = True
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, got {order!r}; jax.test_util.check_grads goes further")
    unknown = [mode for mode in modes if mode not in ("fwd", "rev")]
    if unknown or not modes:
        raise ValueError(f"modes: expected 'fwd', 'rev' or both, got {modes!r}")
    jax, names = needed("jax"), given_names(f, tuple(args))
    if "fwd" in modes:  # of a jax.custom_vjp, which has none, JAX says so here
        of_floats, floats = by_floats(f, args)
        jax.jvp(of_floats, floats, floats)
    for mode in modes:
        function = by_tangents(f) if mode == "fwd" else f
        for n in range(1, order + 1):
            report = of_jax(function, *args, names=names, order=n).check(tol=rtol)
            if not report.ok:
                what = {"fwd": "forward mode", "rev": "reverse mode"}[mode]
                raise AssertionError(f"{what}, order {n}: {report}")


def by_tangents(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, whose gradient is the transpose of its tangents: what jax.jvp gives is what is checked."""
    jax = needed("jax")

    def function(*args: Any) -> Any:
        of_floats, floats = by_floats(f, args)
        transposed = jax.custom_vjp(of_floats)

        def backward(floats: Any, upstream: Any) -> Any:
            return jax.linear_transpose(lambda *tangents: jax.jvp(of_floats, floats, tangents)[1], *floats)(upstream)

        transposed.defvjp(lambda *floats: (of_floats(*floats), floats), backward)
        return transposed(*floats)

    return function


def by_floats(f: Callable[..., Any], args: Sequence[Any]) -> tuple[Callable[..., Any], list[Any]]:
    """f as a function of the floating arrays in its arguments, and these."""
    jax = needed("jax")
    leaves, structure = jax.tree.flatten(tuple(args))
    places = [k for k, leaf in enumerate(leaves) if jax.numpy.issubdtype(jax.numpy.result_type(leaf), jax.numpy.inexact)]

    def function(*floats: Any) -> Any:
        whole = list(leaves)
        for k, value in zip(places, floats):
            whole[k] = value
        return f(*jax.tree.unflatten(structure, whole))

    return function, [leaves[k] for k in places]
