"""CUDA's compiler from PyPI, with no GPU, no driver and no CuPy: the text of kernels becomes PTX or machine code."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

from rnn_from_scratch.backends.gpu import cuda

OPTIONS = (*cuda.OPTIONS, "-ftz=true")  # as CuPy compiles


def root() -> Path | None:
    """The folder of the pip packages' CUDA 13, or None."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(place) / "cu13" for place in (spec.submodule_search_locations or [])] if spec else []
    return next((folder for folder in folders if (folder / "bin/nvdisasm").exists()), None)


def missing() -> str:
    """Why nothing can be compiled here; "" if it can."""
    return "" if root() else 'needs CUDA\'s compiler: pip install "rnn_from_scratch[test]"'


class CompileError(Exception):
    """NVRTC's own message."""


def library(release: int) -> ctypes.CDLL:
    folder = root()
    assert folder is not None
    place = {13: folder / "lib", 12: folder.parent / "cuda_nvrtc/lib"}[release]
    return ctypes.CDLL(str(place / f"libnvrtc.so.{release}"))


def compile_text(text: str, architecture: str, release: int = 13, what: str = "CUBIN") -> bytes:
    """The CUBIN or PTX of a text, by the compiler of a CUDA release. Raises CompileError for errors and for warnings."""
    nvrtc, program = library(release), ctypes.c_void_p()
    flags = [f"-arch={architecture}".encode(), *(o.encode() for o in OPTIONS)]
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernels.cu", 0, None, None) == 0
    try:
        failed = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
        log = fetch(nvrtc, program, "ProgramLog").decode().strip("\0\n")
        if failed or any("warning" in line and "Architectures prior to" not in line for line in log.splitlines()):
            raise CompileError(log)
        return fetch(nvrtc, program, what)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def fetch(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
    buffer = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{what}")(program, buffer) == 0
    return buffer.raw
