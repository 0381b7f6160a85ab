"""CUDA's compiler (bench/nvrtc.py) and disassembler from PyPI, with no GPU, no driver and no CuPy: text -> what is in its machine code."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from bench.nvrtc import OPTIONS, CompileError, compile_text, missing, root
from rnn_from_scratch.backends.emulator import gxx

__all__ = ["CompileError", "compile_text", "inspect", "inspect_all", "missing"]

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")


class Kernel(NamedTuple):
    """What the machine code of one kernel holds: registers, bytes of stack, shared and local memory, and its instructions."""

    registers: int
    stack: int
    shared: int
    local: int
    instructions: tuple[str, ...]


def inspect(text: str, architecture: str) -> dict[str, Kernel]:
    """Compile and disassemble one text."""
    return inspect_all([text], architecture)[0]


def inspect_all(texts: list[str], architecture: str) -> list[dict[str, Kernel]]:
    """Kernel name -> what is in it, for each text. One call of the disassembler, whose start costs most, serves all new ones.

    Kept in the cache folder by a hash of the text, the architecture and the compiler. Raises CompileError.
    """
    folder = root()
    assert folder is not None
    compiler = next(folder.glob("lib/libnvrtc.so.*")).stat()
    common = (architecture, *OPTIONS, str(compiler.st_size), Path(__file__).read_text(encoding="utf-8"))
    hashes = [hashlib.sha256("\0".join((text, *common)).encode()).hexdigest()[:32] for text in texts]
    kept = [gxx.cache_folder() / f"{h}.json" for h in hashes]
    new = [(text, path) for text, path in zip(texts, kept) if not path.exists()]
    cubins = [compile_text(text, architecture) for text, _ in new]
    for found, (_, path) in zip(disassemble(cubins, folder / "bin", architecture.replace("sm_", "SM")), new):
        draft = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        draft.write_text(json.dumps(found))
        draft.replace(path)
    return [
        {name: Kernel(*numbers, tuple(instructions)) for name, (*numbers, instructions) in json.loads(path.read_text()).items()}
        for path in kept
    ]


RESOURCES = re.compile(r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")


def disassemble(cubins: list[bytes], tools: Path, name: str) -> list[dict[str, list]]:
    """Kernel name -> [registers, stack, shared, local, instructions] for each cubin: the code of all of them in one raw file."""
    found, owners, code = [], [], b""
    if not cubins:
        return []
    with tempfile.TemporaryDirectory() as folder:
        for cubin in cubins:
            file = Path(folder, "kernels.cubin")
            file.write_bytes(cubin)
            usage = subprocess.run([tools / "cuobjdump", "-res-usage", file], capture_output=True, text=True, check=True).stdout
            found.append({kernel: [*map(int, numbers), []] for kernel, *numbers in RESOURCES.findall(usage)})
            for kernel, text in sections(cubin):
                owners.append((len(code), found[-1][kernel][-1]))
                code += text
        raw = Path(folder, "code")
        raw.write_bytes(code)
        listing = subprocess.run([tools / "nvdisasm", "-b", name, raw], capture_output=True, text=True, check=True).stdout
    ends = [start for start, _ in owners[1:]] + [len(code)]
    at = 0
    for offset, instruction in INSTRUCTION.findall(listing):
        while int(offset, 16) >= ends[at]:
            at += 1
        owners[at][1].append(instruction)
    return found


def sections(cubin: bytes) -> list[tuple[str, bytes]]:
    """(kernel, machine code) of every .text section of an ELF file of 64 bits."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<HHH", cubin, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", cubin, table + i * size) for i in range(count)]
    strings = headers[names][4]
    texts = []
    for name, _, _, _, offset, length in headers:
        title = cubin[strings + name : cubin.index(b"\0", strings + name)].decode()
        if title.startswith(".text."):
            texts.append((title.removeprefix(".text."), cubin[offset : offset + length]))
    return texts
