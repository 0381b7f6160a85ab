"""gpu-check's comparison of the PyTorch modules, on the stand-ins for PyTorch's tensors on CUDA and for CuPy."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from bench import gpu_report, gpu_torch  # noqa: E402
from rnn_from_scratch.backends import emulator  # noqa: E402
from rnn_from_scratch.backends.gpu import call  # noqa: E402

from ..helpers import cuda_tensors  # noqa: E402


@pytest.mark.skipif(not emulator.available()[0], reason=emulator.available()[1])
def test_modules_are_held_to_torch(monkeypatch):
    stream = SimpleNamespace(wait_stream=lambda other: None, synchronize=lambda: None)
    with cuda_tensors.machine(monkeypatch):
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: SimpleNamespace(cuda_stream=7))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
        monkeypatch.setattr(torch.cuda, "stream", nullcontext)
        monkeypatch.setattr(gpu_torch, "MATRIX", 3)
        assert gpu_torch.modules() == ""
        real = call.step_text
        monkeypatch.setattr(call, "step_text", lambda *a: real(*a).replace("1 - y * y", "1 - y"))
        said = gpu_torch.modules()
    assert said.startswith("on torch's stream: off by ")
    assert "; on a stream that is busy: off by " in said
    assert list(gpu_report.faults({"sections": {}, "modules": said})) == [f"modules beside torch.nn: {said}"]


def test_without_a_gpu_they_are_skipped():
    if not torch.cuda.is_available():
        assert gpu_torch.modules() == "skipped: PyTorch sees no GPU"
