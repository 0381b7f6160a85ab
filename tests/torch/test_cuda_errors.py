"""What is refused of tensors on CUDA, on the stand-ins of test_cuda.py."""

import sys

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from rnn_from_scratch import torch as ours  # noqa: E402
from rnn_from_scratch.backends import emulator  # noqa: E402

from ..helpers import cuda_tensors  # noqa: E402
from ..helpers.cuda_tensors import moved  # noqa: E402
from .helpers import random  # noqa: E402

usable, why_not = emulator.available()
pytestmark = pytest.mark.skipif(not usable, reason=why_not)


@pytest.fixture
def gpu(monkeypatch):
    with cuda_tensors.machine(monkeypatch) as cupy:
        yield cupy


def test_tensors_on_two_devices_raise_as_torch_does(gpu):
    x, h, cell = random(4, 2, 3), random(1, 2, 5), random(2, 5)
    module, step = ours.GRU(3, 5, dtype=torch.float64), ours.GRUCell(3, 5, dtype=torch.float64)
    found = "Input and {} tensors are not at the same device, found input tensor at {} and {} tensor at {}"
    for name, call, devices in [
        ("parameter", lambda: module(moved(x)), ("cuda:0", "cpu")),
        ("hidden", lambda: module(x, moved(h)), ("cpu", "cuda:0")),
        ("hidden", lambda: step(x[0], moved(cell)), ("cpu", "cuda:0")),
        ("parameter", lambda: module.to("cuda")(x), ("cpu", "cuda:0")),
        ("hidden", lambda: module(moved(x), h), ("cuda:0", "cpu")),
    ]:
        with pytest.raises(RuntimeError) as error:
            call()
        assert str(error.value) == found.format(name, devices[0], name, devices[1])
    module.weight_hh_l0 = torch.nn.Parameter(module.weight_hh_l0.data.cpu())
    with pytest.raises(RuntimeError, match=found.format("parameter", "cuda:0", "parameter", "cpu")):
        module(moved(x))
    x = torch.zeros(4, 2, 3, device="meta")  # the words are torch.nn's
    with pytest.raises(RuntimeError, match=found.format("parameter", "meta", "parameter", "cpu")):
        torch.nn.GRU(3, 5)(x)


def test_refused_by_name(gpu, monkeypatch):
    x = moved(random(4, 2, 3, dtype=torch.float32))
    with pytest.raises(ValueError, match=r"backend: 'native' runs on the CPU, got input on cuda:0; use backend='auto' or 'cuda'"):
        ours.LSTM(3, 5, backend="native").to("cuda")(x)
    module = ours.LSTM(3, 5).to("cuda")
    with torch.autocast("cuda", enabled=False):
        module(x)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: kind == "cuda")
    with pytest.raises(ValueError, match="torch.autocast: there is none on CUDA here"):
        module(x)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: False)
    for wrong in (torch.float16, torch.bfloat16):
        with pytest.raises(ValueError, match=f"the weights are {wrong}; expected float32 or float64: use .float\\(\\), or torch.nn's"):
            ours.LSTMCell(3, 5, dtype=wrong).to("cuda")(moved(torch.zeros(2, 3, dtype=wrong)))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match=r"torch.cuda.graph: .* without torch.compile\(mode='reduce-overhead'\)"):
        module(x)


def test_a_missing_cupy_is_told(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ValueError, match=r'cuda, which is not usable here: needs CuPy: pip install "rnn_from_scratch\[cuda12\]"'):
        ours.LSTM(3, 5).to("cuda")(moved(random(4, 2, 3, dtype=torch.float32)))
