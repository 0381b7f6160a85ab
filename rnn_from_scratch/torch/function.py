"""One layer in one direction as a differentiable function: reverse mode up to the second order, and forward mode.

Everything that backward reads goes through save_for_backward: a weight that is changed in place before backward raises, and
checkpointing and hooks on saved tensors work.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from . import operators

Tensor = torch.Tensor
OPS = torch.ops.rnn_from_scratch


def sequence(
    call: str,
    results: int,
    x: Tensor,
    states: Sequence[Tensor],
    weights: Sequence[Tensor],
    live: Tensor | None = None,
    x_scale: Tensor | None = None,
    h_scale: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """y in the layout of x, then the final states: `results` tensors.

    call     the text of a layout.Call
    x        [T,B,I] if the call is time-major, else [B,T,I]
    states   one [B,H] for each state, or none: zeros
    weights  weight_ih [G*H,I], weight_hh [G*H,H], bias_ih and bias_hh [G*H] if used, weight_ch [E*H] if the cell has peepholes
    live     [B,T] bool; x_scale [B,I], h_scale [B,H]: as in forward
    """
    save = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *states, *weights))
    tensors = x, live, x_scale, h_scale, *states, *weights
    if torch.compiler.is_compiling():
        if save:
            return Compiled.apply(call, (results, len(states)), save, *tensors)[:results]
        return tuple(OPS.forward(*given(call, len(states), tensors), save))
    if torch.jit.is_tracing() or is_watched(tensors):  # a trace keeps the Function
        return Forward.apply(call, (results, len(states)), save, *tensors)[:results]
    if save:
        return Ordinary.apply(call, (results, len(states)), save, *tensors)[:results]
    return tuple(operators.forward(*given(call, len(states), tensors), save))


def is_watched(tensors: Sequence[Any]) -> bool:
    """Whether torch has to see the operators: under a transform, forward mode, a mode, on tensors of another kind or another device."""
    if tensors[0] is not None and not tensors[0].is_cpu:
        return True
    modes = torch._C._are_functorch_transforms_active() or torch._C._len_torch_dispatch_stack() or forward_ad._current_level >= 0
    return bool(modes) or not all(t is None or type(t) in (Tensor, torch.nn.Parameter) for t in tensors)


def quick(name: str, tensors: Sequence[Any]) -> Any:
    """The operator of this name; in an ordinary call without the way through torch's dispatcher."""
    if torch.compiler.is_compiling() or is_watched(tensors):
        return getattr(OPS, name)
    return getattr(operators, name)


def given(call: str, S: int, tensors: Sequence[Any]) -> tuple[str, Any, list[Any], list[Any], list[Any]]:
    """x, live, x_scale, h_scale, S states and the weights, as every operator takes them."""
    return call, tensors[0], list(tensors[4 : 4 + S]), list(tensors[4 + S :]), list(tensors[1:4])


class Compiled(torch.autograd.Function):
    """As torch.compile takes it: reverse mode of first order.

    Inputs: the call, counts (of results, of states), save, and tensors as `given` takes them. Outputs: y, the final states, and the
    tape if `save`.
    """

    @staticmethod
    def forward(call: str, counts: tuple[int, int], save: bool, *tensors: Any) -> tuple[Tensor, ...]:
        return tuple(quick("forward", tensors)(*given(call, counts[1], tensors), save))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.call, ctx.counts, _, *tensors = inputs
        tape = output[ctx.counts[0] :]
        ctx.tape = len(tape)
        ctx.mark_non_differentiable(*tape)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *tape)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Any, ...]:
        return gradients(ctx, upstream, Backward.forward)


class Forward(Compiled):
    """Reverse mode up to second order, and forward mode."""

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Any, ...]:
        once_more = torch.is_grad_enabled() or is_watched(upstream)  # asked for by create_graph=True
        return gradients(ctx, upstream, Backward.apply if once_more else Backward.forward)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Any, ...]:
        x_t, states_t, weights_t = given(ctx.call, ctx.counts[1], tangents[3:])[1:4]
        found = OPS.jvp(*given(ctx.call, ctx.counts[1], ctx.saved_tensors), x_t, states_t, weights_t)
        return (*found, *(None,) * ctx.tape)


class Ordinary(torch.autograd.Function):
    """As Forward, for calls that nobody watches: apply does less with a forward that takes ctx."""

    @staticmethod
    def forward(ctx: Any, call: str, counts: tuple[int, int], save: bool, *tensors: Any) -> tuple[Tensor, ...]:
        output = tuple(operators.forward(*given(call, counts[1], tensors), save))
        ctx.call, ctx.counts, ctx.tape = call, counts, len(output) - counts[0]
        ctx.mark_non_differentiable(*output[counts[0] :])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *output[counts[0] :])
        return output

    backward = Forward.backward


def gradients(ctx: Any, upstream: tuple[Any, ...], backward: Any) -> tuple[Any, ...]:
    """The gradients by every input of Forward; those that nobody asks for are None, and are not computed."""
    S, needs, d = ctx.counts[1], ctx.needs_input_grad[3:], upstream[: ctx.counts[0]]
    if all(part is None for part in d):
        return (None,) * len(ctx.needs_input_grad)
    wrt = (needs[0], any(needs[4 : 4 + S]), any(needs[4 + S :]))
    found = iter(backward(ctx.call, (*ctx.counts, ctx.tape), wrt, *ctx.saved_tensors, *d))
    groups = (wrt[0], *(False,) * 3, *(wrt[1],) * S, *(wrt[2],) * (len(needs) - 4 - S))
    return (None, None, None, *(next(found) if asked else None for asked in groups))


class Backward(torch.autograd.Function):
    """Inputs: the call, counts (of results, of states, of the tape), wrt (x, states, weights: asked for?), and tensors.

    The tensors: those of Forward, the tape, the upstream gradients.
    """

    @staticmethod
    def forward(call: str, counts: tuple[int, int, int], wrt: tuple[bool, ...], *tensors: Any) -> tuple[Tensor, ...]:
        inputs, tape, (dy, *dfinal) = parts(counts, tensors)
        return tuple(quick("backward", tensors)(*given(call, counts[1], inputs), tape, dy, dfinal, list(wrt)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.call, ctx.counts, ctx.wrt, *tensors = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> tuple[Any, ...]:
        if all(part is None for part in cotangents):
            return (None,) * len(ctx.needs_input_grad)
        inputs, tape, (dy, *dfinal) = parts(ctx.counts, ctx.saved_tensors)
        arguments = given(ctx.call, ctx.counts[1], inputs)
        weights, rest = arguments[3], iter(cotangents)
        x_t = next(rest) if ctx.wrt[0] else None
        states_t = [next(rest) for _ in dfinal] if ctx.wrt[1] else []
        weights_t = [next(rest) for _ in weights] if ctx.wrt[2] else [None] * len(weights)
        dx, *found = OPS.backward_vjp(*arguments, dy, dfinal, x_t, states_t, weights_t)
        ds0, found = found[: len(dfinal)], found[len(dfinal) :]
        dweights, found = found[: len(weights)], found[len(weights) :]
        d = [None if given is None else second for given, second in zip((dy, *dfinal), found)]
        return (None, None, None, dx, None, None, None, *(ds0 if ctx.counts[1] else ()), *dweights, *(None,) * len(tape), *d)


def parts(counts: tuple[int, int, int], tensors: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """The tensors of Backward: those of Forward, the tape, the upstream gradients."""
    results, _, tape = counts
    end = len(tensors) - results
    return list(tensors[: end - tape]), list(tensors[end - tape : end]), list(tensors[end:])


for function in (Compiled.forward, Backward.forward):  # apply asks for them at every call; without this they are made anew each time
    function.__dict__["__signature__"] = inspect.signature(function)
