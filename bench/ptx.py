"""Every kernel launch of a call, to be run again without this project's host code: PTX, parameters, memory before and after.

    python -m bench.ptx --out DIR                       # one forward and backward pass of an LSTM
    python -m bench.ptx --out DIR --cell gru --tier sequence --sizes 3,4,2,19 --dtype float64 --architecture compute_70 --release 12
    python -m bench.ptx --check DIR                     # what somebody else's emulator, or a GPU, has found

DIR/launches.json lists the launches in order. Each names a module (NN.ptx, and NN.cu that it was compiled from), a kernel, the
grid, the block, the bytes of dynamic shared memory, whether all blocks must run at the same time (a cooperative launch), and the
kernel's arguments in order: a scalar {"value", "dtype"}, a null pointer {"null": true}, or {"memory": K, "offset": bytes}, a pointer
into the K-th memory of this launch. A memory is a file before.npy, one-dimensional, and for what the kernel writes after.npy, which the
project's emulator has found. The launches do not hang together: each can be run alone. Between them the project makes matrix products.

Who runs a launch elsewhere writes the memory as it then is beside after.npy, as found.npy; --check compares.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from rnn_from_scratch import cells
from rnn_from_scratch.backends.emulator import available
from rnn_from_scratch.backends.emulator.__main__ import example, numbers
from rnn_from_scratch.backends.emulator.device import LIMITS, EmulatedDevice
from rnn_from_scratch.backends.emulator.program import guarded
from rnn_from_scratch.backends.gpu import planner, source, tensor
from rnn_from_scratch.measure import EXACT, error

from . import nvrtc

SCHEMA = "rnn-launches/1"
ALLOWED = {"float32": 1e-5, "float64": EXACT}  # relative to the largest: others may order sums and round exp in another way


class Recorder(EmulatedDevice):
    """An emulated device that writes down every launch. tier: that of the time loop."""

    def __init__(self, folder: Path, tier: str, architecture: str, release: int):
        self.folder, self.tier, self.architecture, self.release = folder, tier, architecture, release
        self.modules: dict[str, str] = {}  # text -> the name of its files
        self.told: list[dict[str, Any]] = []
        super().__init__()

    def plan(self, cell: Any, B: int, H: int, dtype: Any, per_gate: bool, operands: str | None = None) -> planner.Plan:
        return tensor.plan(LIMITS, cell, B, H, dtype, per_gate, operands, default=self.tier)

    def launch(self, text: str, name: str, grid: tuple, block: tuple, args: tuple, shared: int = 0) -> None:
        place = Path(f"{len(self.told):03}_{name}")
        (self.folder / place).mkdir()
        memories: dict[int, dict[str, Any]] = {}
        arguments = [self.argument(a, p, memories) for a, p in zip(args, source.signatures(text)[name])]
        before = {key: memory(found["array"]) for key, found in memories.items()}
        super().launch(text, name, grid, block, args, shared)
        told = []
        for key, found in memories.items():
            after, file = memory(found["array"]), place / f"{found['name']}.before.npy"
            np.save(self.folder / file, before[key])
            told.append({"name": found["name"], "dtype": str(after.dtype), "before": str(file)})
            if after.tobytes() != before[key].tobytes():
                told[-1]["after"] = str(file).replace(".before", ".after")
                np.save(self.folder / told[-1]["after"], after)
        launch = {"module": self.module(text), "kernel": name, "grid": list(grid), "block": list(block), "shared": shared}
        self.told.append({**launch, "cooperative": bool(shared), "arguments": arguments, "memories": told})

    def argument(self, value: Any, parameter: source.Parameter, memories: dict[int, dict[str, Any]]) -> dict[str, Any]:
        if value is None:
            return {"name": parameter.name, "null": True}
        if not parameter.pointer:
            return {"name": parameter.name, "value": value.item(), "dtype": str(value.dtype)}
        whole = guarded(value)
        assert whole is not None
        start = whole.ctypes.data + whole.inside.start
        memories.setdefault(start, {"name": parameter.name, "array": value})
        return {"name": parameter.name, "memory": list(memories).index(start), "offset": value.ctypes.data - start}

    def module(self, text: str) -> str:
        """The name of the PTX file of a text, which is compiled the first time."""
        if text not in self.modules:
            stem = self.modules[text] = f"{len(self.modules):02}"
            (self.folder / f"{stem}.cu").write_text(text, encoding="utf-8")
            ptx = nvrtc.compile_text(text, self.architecture, self.release, "PTX")
            (self.folder / f"{stem}.ptx").write_bytes(ptx.rstrip(b"\0"))
        return f"{self.modules[text]}.ptx"


def memory(array: Any) -> Any:
    """A copy of all elements of the memory that an array lies in."""
    whole = guarded(array)
    assert whole is not None
    return np.array(np.asarray(whole)[whole.inside]).view(source.bits(array.dtype))


def write(folder: Path, cell: Any, sizes: tuple[int, ...], dtype: str, tier: str, architecture: str, release: int) -> int:
    """Record a forward and a backward pass into a new folder; the number of launches."""
    folder.mkdir(parents=True)
    device = Recorder(folder, tier, architecture, release)
    example(device, cell, sizes, mask=True, dtype=dtype)
    call = {"cell": type(cell).__name__, "sizes": dict(zip("BTIH", sizes)), "dtype": dtype, "tier": tier}
    about = {"schema": SCHEMA, "call": call, "architecture": architecture, "options": list(nvrtc.OPTIONS)}
    (folder / "launches.json").write_text(json.dumps({**about, "launches": device.told}, indent=1), encoding="utf-8")
    return len(device.told)


def check(folder: Path) -> tuple[list[str], int]:
    """(what is missing or off, how many memories were compared) of what somebody has found."""
    document = json.loads((folder / "launches.json").read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA:
        raise ValueError(f"launches.json: expected the schema {SCHEMA}, got {document.get('schema')}")
    complaints, compared = [], 0
    for number, launch in enumerate(document["launches"]):
        for each in launch["memories"]:
            if "after" not in each:
                continue
            who, place = f"launch {number}, {launch['kernel']}, {each['name']}", folder / each["after"].replace(".after", ".found")
            expected = np.load(folder / each["after"])
            if not place.exists():
                complaints.append(f"{who}: {place.relative_to(folder)} is missing")
                continue
            compared += 1
            found = np.load(place)
            if found.shape != expected.shape or found.dtype != expected.dtype:
                complaints.append(f"{who}: expected {expected.dtype} {expected.shape}, found {found.dtype} {found.shape}")
            elif expected.dtype.kind != "f":
                differ = int(np.sum(found != expected))
                complaints += [f"{who}: {differ} of {expected.size} elements differ"] * bool(differ)
            else:
                unwritten = np.isnan(expected)
                stray = int(np.sum(~np.isnan(found[unwritten])))
                complaints += [f"{who}: {stray} elements were written that no thread writes"] * bool(stray)
                off = error(np.where(unwritten, 0, found), np.where(unwritten, 0, expected))
                if not off <= ALLOWED[str(expected.dtype)]:
                    complaints.append(f"{who}: off by {off:.1g}, allowed {ALLOWED[str(expected.dtype)]:.0e}")
    return complaints, compared


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ptx", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="DIR", help="a folder to make")
    what.add_argument("--check", type=Path, metavar="DIR", help="a folder that --out made, with found.npy files in it")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--sizes", type=numbers("B,T,I,H", 1), default=(3, 4, 2, 19), metavar="B,T,I,H")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--tier", choices=planner.TIERS, default="step")
    parser.add_argument("--architecture", default="compute_75", help="compute_75 and later; with --release 12 compute_50 and later")
    parser.add_argument("--release", type=int, choices=(12, 13), default=13, help="of CUDA, whose compiler is taken")
    given = parser.parse_args(arguments)
    if given.check:
        if not (given.check / "launches.json").exists():
            parser.error(f"--check {given.check}: expected a folder with launches.json, as --out makes it")
        complaints, compared = check(given.check)
        print(*complaints, f"{compared} memories compared, {len(complaints)} complaints", sep="\n")
        return int(bool(complaints) or not compared)
    usable, why_not = available()
    if not usable or nvrtc.missing():
        parser.error(why_not or nvrtc.missing())
    try:
        cell = cells.by_name(given.cell)
    except ValueError as wrong:
        parser.error(f"--{wrong}")
    if given.out.exists():
        parser.error(f"--out {given.out}: is here already; name a new folder")
    count = write(given.out, cell, given.sizes, given.dtype, given.tier, given.architecture, given.release)
    print(f"{given.out}: {count} launches")
    return 0


if __name__ == "__main__":
    sys.exit(main())
