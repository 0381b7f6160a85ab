"""torch.autograd's gradcheck and gradgradcheck by the checker of this package: change the import, keep the tests.

    from rnn_from_scratch.verify.torch import gradcheck, gradgradcheck     # in place of torch.autograd's

What they find is told as a report that names the input, the element and the step. float32 inputs are checked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..array_kinds import is_tensor, of_tensor
from .functions.frameworks import Pair, needed, of_torch
from .functions.structure import given_names

__all__ = ["gradcheck", "gradgradcheck"]

Tensor = Any  # of torch


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = True,
    **options: Any,
) -> bool:
    """Whether the gradients of func by those inputs that require grad are right: torch.autograd.gradcheck by this checker.

    func       a function of tensors, MyFunction.apply, or a module, whose parameters are checked too
    inputs     a tensor or a sequence of arguments, on the CPU, real, dense
    eps, atol  not needed: the step and the smallest error that can be seen follow from the numbers. Taken for torch's sake
    rtol       the relative error allowed; None is check_function's: 1e-7 in float64, 2e-5 in float32, more where nothing sees that well
    raise_exception        False returns False where the gradients are not right
    nondet_tol             0: two calls that differ in a bit are a fault. Another value is refused
    check_undefined_grad   gradients that are missing upstream (None) are tried
    check_grad_dtypes      always looked at; taken for torch's sake
    options                check_forward_ad, check_batched_grad, ...: what this checker does not do, torch's own gradcheck does besides

    Returns True. Raises torch's GradcheckError with the report as its text, ValueError if no input requires grad.
    """
    __tracebackhide__ = True
    torch = needed("torch")
    pair = differentiated("gradcheck", func, inputs)
    right = verdict(pair, rtol, nondet_tol, raise_exception, check_undefined_grad)
    theirs = asked_besides(eps, atol, rtol, options)
    return right and (not theirs or torch.autograd.gradcheck(func, inputs, raise_exception=raise_exception, **theirs))


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = True,
    **options: Any,
) -> bool:
    """Whether the gradients of func's gradients are right: torch.autograd.gradgradcheck by this checker.

    grad_outputs   the upstream gradients at which they are checked, one for each output that has a gradient; None draws them

    All else as for gradcheck; what the options ask for besides, torch's own gradgradcheck does.
    """
    __tracebackhide__ = True
    torch = needed("torch")
    pair = differentiated("gradgradcheck", func, inputs, order=2)
    if grad_outputs is not None:
        given = (grad_outputs,) if is_tensor(grad_outputs) else tuple(grad_outputs)
        first = next(k for k, name in enumerate(pair.names) if name.startswith("upstream "))
        wanted, got = [a.shape for a in pair.inputs[first:]], [tuple(g.shape) for g in given]
        if wanted != got:
            raise ValueError(f"grad_outputs: expected shapes {wanted}, those of the outputs, got {got}")
        arrays = [of_tensor(f"grad_outputs[{k}]", g, detach=True) for k, g in enumerate(given)]
        pair = pair._replace(inputs=(*pair.inputs[:first], *arrays))
    right = verdict(pair, rtol, nondet_tol, raise_exception, check_undefined_grad)
    theirs = asked_besides(eps, atol, rtol, options)
    return right and (not theirs or torch.autograd.gradgradcheck(func, inputs, grad_outputs, raise_exception=raise_exception, **theirs))


def asked_besides(eps: float | None, atol: float | None, rtol: float | None, options: dict[str, Any]) -> dict[str, Any]:
    """What torch's own check is called with; {} if nothing is asked of it."""
    tolerances = {name: value for name, value in (("eps", eps), ("atol", atol), ("rtol", rtol)) if value is not None}
    return {**tolerances, **options} if any(options.values()) else {}


def differentiated(who: str, func: Callable[..., Any], inputs: Any, order: int = 1) -> Pair:
    """The pair of of_torch by those inputs that require grad, the others kept as they are."""
    torch = needed("torch")
    given = (inputs,) if is_tensor(inputs) else tuple(inputs)
    places = [k for k, value in enumerate(given) if is_tensor(value) and value.requires_grad]
    for k in places:
        if given[k].is_complex():
            raise ValueError(f"{who}: input {k} is complex; torch.autograd.{who} checks complex functions")
    if isinstance(func, torch.nn.Module):
        return of_torch(func, *given, order=order)
    if not places:
        raise ValueError(f"{who}: expected at least one input tensor that requires grad, got none: use x.requires_grad_()")

    def function(*tensors: Tensor) -> Any:
        whole = list(given)
        for k, tensor in zip(places, tensors):
            whole[k] = tensor
        return func(*whole)

    names = argument_names(func, given)
    return of_torch(function, *(given[k] for k in places), names=[names[k] for k in places], order=order)


def argument_names(func: Callable[..., Any], given: tuple[Any, ...]) -> list[str]:
    torch = needed("torch")
    owner: Any = getattr(func, "__self__", object)
    is_apply = isinstance(owner, type) and issubclass(owner, torch.autograd.Function)
    if is_apply:  # in the older style forward begins with ctx
        older = owner.setup_context is torch.autograd.Function.setup_context
        return given_names(owner.forward, given, int(older))
    return given_names(func, given)


def verdict(pair: Pair, rtol: float | None, nondet_tol: float, raise_exception: bool, missing: bool) -> bool:
    __tracebackhide__ = True
    if nondet_tol:
        raise ValueError(f"nondet_tol: expected 0, got {nondet_tol}: two calls that differ are a fault here; torch.autograd's allows them")
    report = pair.check(tol=rtol, upstream=("dense", "strided", "missing") if missing else ("dense", "strided"))
    if not report.ok and raise_exception:
        raise needed("torch.autograd.gradcheck").GradcheckError(str(report))
    return report.ok
