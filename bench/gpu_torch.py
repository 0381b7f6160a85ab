"""The PyTorch modules on this GPU beside torch.nn's on the CPU."""

from __future__ import annotations

from typing import Any

from rnn_from_scratch.measure import EXACT, error

MATRIX, PRODUCTS = 4096, 40  # work that a GPU is busy with for some time


def modules() -> str:
    """Outputs, gradients and gradients of gradients in float64; "" if they agree, else what is wrong or missing."""
    try:
        import torch

        from rnn_from_scratch import torch as ours
    except ImportError:
        return "skipped: no PyTorch"
    if not torch.cuda.is_available():
        return "skipped: PyTorch sees no GPU"
    torch.manual_seed(0)
    options: dict[str, Any] = {"bidirectional": True, "dtype": torch.float64}
    theirs, module = torch.nn.LSTM(3, 5, 2, **options), ours.LSTM(3, 5, 2, **options)
    module.load_state_dict(theirs.state_dict())
    x = torch.randn(7, 6, 3, dtype=torch.float64)
    expected = results(torch, theirs, x.clone().requires_grad_())
    module.to("cuda")
    found = {"on torch's stream": results(torch, module, x.to("cuda").requires_grad_())}
    other = torch.cuda.Stream()
    other.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(other):
        found["on a stream that is busy"] = results(torch, module, late(x.to("cuda")).requires_grad_())
        other.synchronize()
    worst = {where: max(error(a.detach().cpu(), b.detach()) for a, b in zip(got, expected, strict=True)) for where, got in found.items()}
    return "; ".join(f"{where}: off by {e:.2g}" for where, e in worst.items() if not e <= EXACT)


def late(x: Any) -> Any:
    """x, in memory that holds it only after much work of the current stream."""
    busy = x.new_ones(MATRIX, MATRIX).float() / MATRIX
    for _ in range(PRODUCTS):
        busy = busy @ busy
    return x + (busy[0, 0] - busy[0, 0])


def results(torch: Any, module: Any, x: Any) -> list[Any]:
    """y, the gradients of a loss, and those of a penalty on them."""
    leaves = [x, *module.parameters()]
    y = module(x)[0]
    first = torch.autograd.grad(y.sin().sum(), leaves, create_graph=True)
    return [y, *first, *torch.autograd.grad(sum((g * g).sum() for g in first), leaves)]
