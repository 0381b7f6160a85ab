"""What the tests of the torch modules share: a pair of modules with the same weights, and all their results under one loss."""

import torch
from torch.nn.utils.rnn import PackedSequence

from rnn_from_scratch import torch as ours

FORMS = ("LSTM", "GRU", "RNN")  # what torch.nn has
ALL = (*FORMS, "PeepholeLSTM", "CoupledLSTM")


def random(*shape, seed=0, grad=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_(grad)


def pair(name, *args, dtype=torch.float64, **options):
    """The module of torch.nn and ours, with different weights in every gate, the same in both."""
    theirs = getattr(torch.nn, name)(*args, dtype=dtype, **options)
    module = getattr(ours, name)(*args, dtype=dtype, **options)
    module.load_state_dict(theirs.state_dict())
    return theirs, module


def states_of(module, *shape, seed=1):
    """Random initial states as the module takes them."""
    made = [random(*shape, seed=seed + k) for k in range(2 if "LSTM" in type(module).__name__ else 1)]
    return made[0] if len(made) == 1 else tuple(made)


def flat(values):
    """The tensors in results and arguments, however they are nested."""
    if isinstance(values, PackedSequence):
        return [values.data]
    if isinstance(values, torch.Tensor):
        return [values]
    return [t for value in values if value is not None for t in flat(value)]


def results(module, *arguments):
    """Every output, and every gradient by arguments and parameters of a random linear loss."""
    outputs = flat(module(*arguments))
    loss = sum((y * random(*y.shape, seed=50 + k, grad=False, dtype=y.dtype).to(y.device)).sum() for k, y in enumerate(outputs))
    leaves = [t for t in flat(arguments) if t.requires_grad] + list(module.parameters())
    return [y.detach() for y in outputs] + list(torch.autograd.grad(loss, leaves))


def assert_same(found, expected, tolerance=1e-12):
    assert len(found) == len(expected)
    for k, (a, b) in enumerate(zip(found, expected)):
        assert a.shape == b.shape and a.dtype == b.dtype, k
        if b.numel():
            error = float((a - b).abs().max() / b.abs().max().clamp(min=1e-300))
            assert error <= tolerance, f"tensor {k} of {len(expected)}: {error:.1e}"
