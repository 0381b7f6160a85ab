"""Is a learner's file right? A judge takes its module, the stub's, and a seed, and gives one Check after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ... import backward, cells, forward, gradcheck, init_params
from ...verify import FunctionReport, check_function
from . import Exercise

SEEDS, BATCHES, LENGTHS = 3, (1, 2), (1, 5)
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


# gradients: the truth is the derivative of the stub's own forward pass


def sequence_gradient(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """backward(*inputs, dy) of a forward(*inputs) over time; stub.GATES names the blocks of what is made of gates."""
    cases = [(n, B, T) for n in range(SEEDS) for T in LENGTHS for B in BATCHES]
    yield from gradients(row, module, stub, seed, cases, 1)


def step_gradient(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """The same for one step: there is no time."""
    yield from gradients(row, module, stub, seed, [(n, B, 1) for n in range(SEEDS) for B in BATCHES], None)


def gradients(
    row: Exercise, module: ModuleType, stub: ModuleType, seed: int, cases: list[tuple[int, int, int]], time_axis: int | None
) -> Checks:
    """One check for each input: its gradient is right in every case. After the first case that fails nothing more is tried."""
    names, gates = tuple(row.shapes), getattr(stub, "GATES", ())
    for n, B, T in cases:
        rng = np.random.default_rng([seed, n])
        I, H = rng.integers(2, 5, 2)
        sizes = {"B": B, "T": T, "I": I, "H": H, "GH": len(gates) * H}
        inputs = {name: rng.standard_normal([sizes[letter] for letter in shape.split()]) for name, shape in row.shapes.items()}
        same = within("forward", module.forward(*copies(inputs)), stub.forward(*copies(inputs)), 1e-12, "forward is not as it was given")
        if not same.ok:
            yield same
            return
        blocks = {name: gates for name, shape in row.shapes.items() if shape.endswith("GH")}
        options: dict[str, Any] = {"names": names, "blocks": blocks, "time_axis": time_axis, "seed": seed + n}
        report = check_function(stub.forward, module.backward, copies(inputs), method="complex", directions=3, **options)
        if not report.ok:
            yield from told(report, f"(B = {B}, T = {T})" if time_axis else f"(B = {B})")
            return
    yield from (Check(f"gradient of {name}", True) for name in names)


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
    for name in report.names:
        if c is None or name != c.array:
            yield Check(f"gradient of {name}", name not in wrong and bool(report.parts))


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


# behaviour: what a thing does on fresh inputs


def half_life(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    w = float(module.weight())
    x = np.zeros((1, stub.STEPS + 1, 1))
    x[0, 0] = 1
    params = {"Wx": np.ones((1, 1)), "Wh": np.full((1, 1), w), "b": np.zeros(1)}
    left = forward(cells.SimpleRNN(activation="linear"), params, x)[0][0, -1, 0]
    yield within("half is left", left, 0.5, 1e-9, f"{stub.STEPS} steps after a pulse of 1 there should be 0.5 left")


def latch(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    Wx, Wh, b = (float(value) for value in module.weights())
    params = {"Wx": np.full((1, 1), Wx), "Wh": np.full((1, 1), Wh), "b": np.full(1, b)}
    for n in range(SEEDS):
        rng = np.random.default_rng([seed, n])
        x = rng.uniform(-0.2, 0.2, (1, 300, 1)) if n else np.full((1, 300, 1), -0.2)
        for t in (5, *sorted(rng.choice(np.arange(20, 290), 6, replace=False))):
            x[0, t] = rng.choice([-1, 1]) if n else 1
        last = np.zeros(300)
        for t in range(1, 300):
            last[t] = x[0, t, 0] if abs(x[0, t, 0]) == 1 else last[t - 1]
        h = forward(cells.SimpleRNN(), params, x)[0][0, :, 0]
        wrong = [t for t in range(5, 300) if not h[t] * last[t] > 0.9]
        t = wrong[0] if wrong else 0
        yield Check("holds", not wrong, f"step {t}: the last pulse was {last[t]:+.0f}, h is {h[t]:.3f}")


def numeric_derivative(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    rng = np.random.default_rng(seed)
    known: dict[str, tuple[Callable[[Any], float], Callable[[float], float]]] = {
        "w**3": (lambda w: float(w) ** 3, lambda w: 3 * w**2),
        "exp(w)": (lambda w: float(np.exp(float(w))), np.exp),
        "sin(w)": (lambda w: float(np.sin(float(w))), np.cos),
        "abs(w)**1.5": (lambda w: abs(float(w)) ** 1.5, lambda w: 1.5 * abs(w) ** 0.5),
    }
    for name, (f, slope) in known.items():
        for w in rng.uniform(0.5, 1.3, 3):
            ratio = float(module.derivative(f, float(w))) / slope(w)
            yield within(name, ratio, 1.0, 1e-9, f"derivative of {name} at {w:.3f}, divided by the right one")


def keeps_norm(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    made = []
    for n, H in enumerate((2, 5, 16)):
        Wh = np.array(module.make_Wh(H, np.random.default_rng([seed, n])), float)
        if Wh.shape != (H, H):
            yield Check("shape", False, f"Wh: expected shape {[H, H]}, got {list(Wh.shape)}")
            return
        params = {"Wx": np.eye(H), "Wh": Wh, "b": np.zeros(H)}
        tape = forward(cells.SimpleRNN(activation="linear"), params, np.zeros((1, 50, H)))[2]
        assert tape is not None
        dh = np.random.default_rng(seed).standard_normal((1, H))
        dx = backward(tape, dstate=(dh,)).x[0]
        ratio = np.linalg.norm(dx, axis=1) / np.linalg.norm(dh)
        yield within("norm", ratio, np.ones(50), 1e-9, f"H = {H}: norm of dx, divided by that of dh, by step")
        made.append(Wh)
        other = np.array(module.make_Wh(H, np.random.default_rng([seed, n, 1])), float)
        yield Check("random", np.abs(other - Wh).max() > 1e-3, "another rng has to give other weights")
        yield Check("mixes", (np.abs(Wh) > 1e-3).sum() > H, "every unit just goes to one unit: that is no random orthogonal matrix")


def clips(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for grads, limit in some_gradients(seed):
        before = {name: g.copy() for name, g in grads.items()}
        got = module.clip(grads, limit)
        yield Check("argument", unchanged(grads, before), "clip changes its argument grads in place")
        factor = min(1.0, limit / norm(before)) if norm(before) else 1.0
        for name, g in before.items():
            yield within(name, got[name], factor * g, 1e-12, f"norm {norm(before):.3g}, limit {limit}: grads[{name!r}]")


def clipped_update(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for grads, limit in some_gradients(seed):
        params = {name: g[::-1].copy() for name, g in grads.items()}
        kept = {name: a.copy() for name, a in params.items()}
        got = module.update(params, grads, 0.1, limit)
        yield Check("argument", unchanged(params, kept), "update changes its argument params in place")
        factor = min(1.0, limit / norm(grads)) if norm(grads) else 1.0
        for name, g in grads.items():
            yield within(name, got[name], kept[name] - 0.1 * factor * g, 1e-12, f"norm {norm(grads):.3g}, limit {limit}: params[{name!r}]")


def some_gradients(seed: int) -> Iterator[tuple[dict[str, Any], float]]:
    """Gradients and a limit: above it, below it, all zero."""
    for n, (size, limit) in enumerate(((10.0, 1.0), (0.01, 1.0), (3.0, 5.0), (1e4, 0.5), (0.0, 1.0))):
        rng = np.random.default_rng([seed, n])
        yield {name: size * rng.standard_normal(shape) for name, shape in (("Wx", (3, 4)), ("Wh", (4, 4)), ("b", (4,)))}, limit


def unchanged(arrays: dict[str, Any], before: dict[str, Any]) -> bool:
    return list(arrays) == list(before) and all(np.array_equal(arrays[name], before[name]) for name in before)


def norm(grads: dict[str, Any]) -> float:
    return float(np.sqrt(sum((g**2).sum() for g in grads.values())))


def counter(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    params = {name: np.array(value, float) for name, value in module.weights().items()}
    for n in range(SEEDS):
        rng = np.random.default_rng([seed, n])
        x, count, expected = np.zeros((1, 60, 2)), 0, []
        for t in range(60):
            what = rng.choice(3, p=(0.5, 0.4, 0.1))
            x[0, t, stub.COUNT], x[0, t, stub.RESET] = what == 1, what == 2
            count = 0 if what == 2 else count + int(what == 1)
            expected.append(count)
        tape = forward(cells.LSTM(), params, x)[2]
        assert tape is not None
        yield within("count", tape.states[1][0, 1:, 0], expected, 0.01, f"cell c after each step, expected {expected[:8]}...")
