"""Is a learner's gradient right? A judge takes a row, the learner's module, the stub's and a seed, and gives one Check after the other.

The truth is the derivative of the stub's own forward pass. behaviours.py has the judges of what has no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ... import forward, gradcheck, init_params
from ...verify import FunctionReport, check_function
from . import Exercise

SEEDS, BATCHES, LENGTHS = 3, (1, 2), (1, 5)
# Seed, B, T: every size with one seed, the largest with the others; a check has to take less than two seconds
CASES = [(0, B, T) for T in LENGTHS for B in BATCHES] + [(n, BATCHES[-1], LENGTHS[-1]) for n in range(1, SEEDS)]
Checks = Iterator["Check"]


class Check(NamedTuple):
    """One thing that has to hold. text: what is said if it does not; where: array, block and step of a wrong gradient."""

    name: str
    ok: bool
    text: str = ""
    where: tuple[str, str, int | None] = ("", "", None)


def within(name: str, got: Any, expected: Any, tolerance: float, what: str) -> Check:
    """A check of numbers; what: the words that a wrong one is told with."""
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    if got.shape != expected.shape:
        return Check(name, False, f"{what}: expected shape {list(expected.shape)}, got {list(got.shape)}")
    off = ~(np.abs(got - expected) <= tolerance)
    place = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(off))) if off.any() else ()
    value = np.atleast_1d(got)[place] if off.any() else 0.0
    return Check(name, not off.any(), f"{what}: got {value:.6g}" + (f" at {list(place)}" if got.ndim else ""))


MADE = {  # inputs that have no gradient
    "mask": lambda rng, sizes: rng.random((sizes["B"], sizes["T"])) < 0.7,
    "codes": lambda rng, sizes: rng.integers(sizes["V"], size=(sizes["B"], sizes["T"])),
    "lengths": lambda rng, sizes: rng.integers(1, sizes["T"] + 1, sizes["B"]),
}


def sequence_gradient(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """backward(*inputs, dy) of a forward(*inputs) over time; stub.GATES names the blocks of what is made of gates."""
    cases = CASES
    yield from gradients(row, module, stub, seed, cases, {name: 1 for name, shape in row.shapes.items() if shape in ("B T I", "mask")})


def step_gradient(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """The same for one step: there is no time."""
    yield from gradients(row, module, stub, seed, [(n, B, 1) for n in range(SEEDS) for B in BATCHES], None)


def loss_gradient(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """The same for a loss, in which no step uses another one."""
    yield from gradients(row, module, stub, seed, CASES, None)


def gradients(
    row: Exercise, module: ModuleType, stub: ModuleType, seed: int, cases: list[tuple[int, int, int]], time_axis: dict[str, int] | None
) -> Checks:
    """One check for each input: its gradient is right in every case. After the first case that fails nothing more is tried."""
    names, gates = tuple(row.shapes), getattr(stub, "GATES", ())
    for n, B, T in cases:
        rng = np.random.default_rng([seed, n])
        I, H = rng.integers(2, 5, 2)
        sizes = {"B": B, "T": T, "I": I, "H": H, "V": 4, "GH": len(gates) * H}
        inputs = {
            name: MADE[shape](rng, sizes) if shape in MADE else rng.standard_normal([sizes[letter] for letter in shape.split()])
            for name, shape in row.shapes.items()
        }
        same = within("forward", module.forward(*copies(inputs)), stub.forward(*copies(inputs)), 1e-12, "forward is not as it was given")
        if not same.ok:
            yield same
            return
        blocks = {name: gates for name, shape in row.shapes.items() if shape.endswith("GH")}
        options: dict[str, Any] = {"names": names, "blocks": blocks, "time_axis": time_axis, "seed": seed + n}
        report = check_function(stub.forward, module.backward, copies(inputs), method="complex", directions=3, **options)
        if not report.ok:
            yield from told(report, f"(B = {B}, T = {T})")
            return
    yield from (Check(f"gradient of {name}", True) for name in names if row.shapes[name] not in MADE)


def copies(inputs: dict[str, Any]) -> list[Any]:
    return [a.copy() for a in inputs.values()]


def told(report: FunctionReport, case: str) -> Checks:
    """A report that is not ok, as checks: the culprit first."""
    wrong = {part.array for part in report.parts if not part.ok}
    for finding in report.findings:
        yield Check(finding.kind, False, finding.text.replace("_fn", ""))
    c, step = report.culprit, report.birth and report.birth.step
    if c:
        named = f"gradient of {c.array}" + f", block {c.block}" * bool(c.block) + ("" if c.unit is None else f", unit {c.unit}")
        text = f"{named} {case}\nat {list(c.place)}: yours {c.ours:.6g}, the checker finds {c.expected:.6g}"
        text += f"\nborn at step t = {step}: {report.birth.why}" if report.birth else ""
        yield Check(f"gradient of {c.array}", False, text, (c.array, c.block, step))
    for name in dict.fromkeys(part.array for part in report.parts):
        if c is None or name != c.array:
            yield Check(f"gradient of {name}", name not in wrong)


def cell(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """An object that the package runs as a cell: its forward against the equations, its backward by gradcheck."""
    for n in range(SEEDS):
        rng = np.random.default_rng([seed, n])
        mine, (I, H) = module.Cell(), rng.integers(2, 5, 2)
        params, x = init_params(mine, int(I), int(H), rng=n, dtype="float64"), rng.standard_normal((2, 5, int(I)))
        y = forward(mine, params, x)[0]
        good = within("forward", y, stub.equations(params, x), 1e-12, "outputs differ from the equations")
        yield good
        if not good.ok:
            return
        report = gradcheck(mine, params, x)
        culprit = report.culprit
        if culprit is not None:
            step = report.birth.step if report.birth else None
            gate = (report.birth.gates[0] if report.birth and len(report.birth.gates) == 1 else culprit.gate) or ""
            text = f"gradient of {culprit.array}" + f", gate {gate}" * bool(gate) + f", unit {culprit.unit}"
            text += f"\nborn at step t = {step}: {report.birth.why}" if report.birth else ""
            yield Check("gradients", False, text, (culprit.array, gate, step))
            return
    yield Check("gradients", True)
