"""Our calls as torch.autograd.Functions, differentiable twice: forward, backward, and backward_vjp as the backward of that."""

import torch

from rnn_from_scratch import backward, backward_vjp, forward
from rnn_from_scratch.bptt import Gradients


def recurrent(p, backend):
    """f(x, *params, *initial_state) -> (y, *state) of a Problem, and its inputs as tensors that require grad."""
    options = {name: value for name, value in p.options.items() if name != "initial_state"}
    names = list(p.params)

    def parts(tensors):
        x, *rest = [None if t is None else t.detach().numpy() for t in tensors]
        return Gradients(x, dict(zip(names, rest)), tuple(rest[len(names) :]))

    def flat(grads):
        return [torch.tensor(a) for a in (grads.x, *grads.params.values(), *grads.initial_state)]

    class Forward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            given = parts(tensors)
            y, state, ctx.tape = forward(p.cell, given.params, given.x, given.initial_state, **options, backend=backend)
            ctx.save_for_backward(*tensors)
            return (torch.tensor(y), *map(torch.tensor, state))

        @staticmethod
        def backward(ctx, *upstream):
            return Backward.apply(ctx.tape, *ctx.saved_tensors, *upstream)

    class Backward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tape, *tensors):
            ctx.tape, ctx.upstream = tape, [t.detach().numpy() for t in tensors[-1 - len(tape.states) :]]
            return tuple(flat(backward(tape, ctx.upstream[0], tuple(ctx.upstream[1:]))))

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, *cotangents):
            second = backward_vjp(ctx.tape, ctx.upstream[0], tuple(ctx.upstream[1:]), parts(cotangents))
            return None, *flat(second), *map(torch.tensor, (second.dy, *second.dstate))

    arrays = [p.x, *p.params.values(), *p.options["initial_state"]]
    return Forward.apply, [torch.tensor(a, requires_grad=True) for a in arrays]
