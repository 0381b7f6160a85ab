"""Fingerprints of every output and gradient, to hold two versions of the package bit for bit equal.

    python tests/helpers/bits.py > new.json                           prints one sha256 per case and array
    python tests/helpers/bits.py --compare old.json < new.json        lists what differs; exit code 1 if anything does

Run it with PYTHONPATH set to the version to look at: it uses nothing but what every version has.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

LEVELS = ("generic", "x86-64-v3", "x86-64-v4")
TIERS = ("step", "sequence")
# B, T, I, H: one of everything, primes, few rows, many steps; then rows and units of several tiles, panels and chunks
SIZES = [(1, 1, 1, 1), (7, 5, 3, 21), (13, 11, 31, 17), (1, 30, 5, 131), (4, 20, 8, 200), (90, 21, 4, 24), (70, 40, 37, 139)]
SMALL = {"emulated": [(3, 4, 2, 5), (5, 3, 4, 8)]}
EVERY_CELL = (7, 5, 3, 21)  # at these sizes all cells of the table run in all situations, else one cell for each form in three
SITUATIONS = ("plain", "any mask, reversed, zeroed", "scale per gate, any mask")


def cases(backend: str) -> Iterator[tuple[str, str, tuple[int, ...], int | None]]:
    """Cell, situation, sizes, recompute_every."""
    from rnn_from_scratch.verify import cases as table

    forms = [name for name in table.CELLS if "," not in name and not name.endswith(("relu", "hard_sigmoid"))]
    for sizes in SMALL.get(backend, SIZES):
        every = sizes == EVERY_CELL
        for cell in table.CELLS if every else forms:
            for situation in table.SITUATIONS if every else SITUATIONS:
                yield cell, situation, sizes, None
            if backend == "native":
                yield cell, "any mask", sizes, 3


def fingerprints(backend: str) -> Iterator[tuple[str, str]]:
    """Case and array -> sha256, on one backend, in this process."""
    import numpy as np

    from rnn_from_scratch import backends
    from rnn_from_scratch.verify import cases as table

    for cell, situation, sizes, every in cases(backend):
        for dtype in ("float32", "float64"):
            p = table.problem(table.CELLS[cell], situation, dtype, sizes)
            more: dict[str, Any] = {} if every is None else {"recompute_every": every}
            y, state, tape = backends.forward(p.cell, p.params, p.x, **p.options, **more, backend=backend)
            found = table.named(p, y, state, backends.backward(tape, p.dy, p.dstate))
            found.update({f"tape {name}": a for name, a in zip(p.cell.states, tape.states)})
            for name, a in {**found, "saved": tape.saved}.items():
                if a is not None:
                    digest = hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:24]
                    yield f"{cell} | {situation} | {dtype} | {sizes} | {every} | {name}", digest


def collect() -> dict[str, str]:
    """Every backend, and of native every instruction set level that runs here, each in a process of its own."""
    jobs = [("reference", {})]
    jobs += [("native", {"RNN_NATIVE_ISA": level}) for level in LEVELS]
    jobs += [("emulated", {"RNN_GPU_TIER": tier}) for tier in TIERS]
    found: dict[str, str] = {}
    for backend, environment in jobs:
        label = " ".join([backend, *environment.values()])
        settings = {"RNN_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1", **environment}
        done = subprocess.run([sys.executable, __file__, "--only", backend], env={**os.environ, **settings}, capture_output=True, text=True)
        if done.returncode:
            print(f"{label}: not compared: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            continue
        found.update({f"{label} | {case}": digest for case, digest in json.loads(done.stdout).items()})
        print(f"{label}: {len(json.loads(done.stdout))} arrays", file=sys.stderr)
    return found


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Cases of the old version that the new one lacks, or whose bits are others."""
    return [f"{case}: {'is missing' if case not in new else 'other bits'}" for case in old if new.get(case) != old[case]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="BACKEND")
    parser.add_argument("--compare", metavar="OLD.json", help="with the fingerprints on the standard input")
    given = parser.parse_args()
    if given.compare:
        with open(given.compare, encoding="utf-8") as file:
            old, new = json.load(file), json.load(sys.stdin)
        wrong = differences(old, new)
        print("\n".join([*wrong, f"{len(old)} arrays compared, {len(wrong)} differ, {len(new.keys() - old.keys())} are new"]))
        return 1 if wrong or not old else 0
    import rnn_from_scratch

    print(rnn_from_scratch.__file__, file=sys.stderr)
    json.dump(dict(fingerprints(given.only)) if given.only else collect(), sys.stdout, indent=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
