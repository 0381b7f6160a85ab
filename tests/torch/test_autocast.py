"""torch.autocast: products in bfloat16 as forward(precision="bfloat16") has them, and what torch.nn's own error is beside it."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from rnn_from_scratch import backends  # noqa: E402
from rnn_from_scratch import torch as ours  # noqa: E402

from .helpers import FORMS, pair, random  # noqa: E402

BACKENDS = ("auto", "reference")


def distance(a, truth):
    return float((a.float() - truth.float()).norm() / truth.float().norm())


def run(module, x, on, dtype=torch.bfloat16):
    """y as it left, and the gradients by x and the weights of the recurrence."""
    x = x.detach().clone().requires_grad_(True)
    module.zero_grad()
    with torch.autocast("cpu", dtype, enabled=on):
        y = module(x)[0]
    y.float().square().sum().backward()
    return y.detach(), x.grad, module.weight_hh_l0.grad


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FORMS)
def test_autocast_is_no_further_off_than_torch_and_really_rounds(name, backend, monkeypatch):
    if not backends.rounds("bfloat16", backend):
        pytest.skip(f"native: {backends.load('native').lacks('bfloat16')}")
    for seed in range(3):
        torch.manual_seed(seed)
        theirs, _ = pair(name, 13, 21, num_layers=2, bidirectional=True)
        module = getattr(ours, name)(13, 21, 2, bidirectional=True, backend=backend)
        theirs, x = theirs.float(), random(9, 17, 13).float()
        with monkeypatch.context() as patch:
            patch.setattr(backends, "rounds", lambda *_: False)
            unrounded = getattr(ours, name)(13, 21, 2, bidirectional=True, backend=backend)
        for copy in (module, unrounded):
            copy.load_state_dict(theirs.state_dict())
        exact, rounded, torchs = run(theirs, x, False), run(module, x, True), run(theirs, x, True)
        for a, b in zip(rounded, run(unrounded, x, True)):  # which rounds y alone, where torch.nn returns it so
            assert distance(a, b) > 1e-4, seed
        assert rounded[0].dtype == torchs[0].dtype
        for ours_, its, truth in zip(rounded, torchs, exact):
            assert distance(ours_, truth) < 1.5 * distance(its, truth), (seed, distance(ours_, truth), distance(its, truth))


@pytest.mark.parametrize("name", FORMS)
def test_other_dtypes_are_not_rounded(name):
    module, x = getattr(ours, name)(13, 21, backend="reference"), random(9, 3, 13)
    plain = run(module, x.float(), False)
    for found in (run(module, x.float(), True, torch.float16), run(module.double(), x, True)):
        for a, b in zip(found[1:], plain[1:]):
            assert distance(a, b) < (1e-2 if found[0].dtype == torch.float16 else 1e-5)
    assert run(module, x, True)[0].dtype == torch.float64


def test_gradients_of_gradients_are_refused_by_name():
    module, x = ours.LSTM(3, 5, backend="reference"), torch.randn(4, 2, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)[0]
    (dx,) = torch.autograd.grad(y.float().sum(), x, create_graph=True)
    with pytest.raises(ValueError, match="backward_vjp has no products in bfloat16"):
        dx.sum().backward()
