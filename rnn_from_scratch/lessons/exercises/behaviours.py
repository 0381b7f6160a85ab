"""Does a thing do what it should, on fresh inputs? The judges of exercises that ask for numbers or functions, not for a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from ... import backward, cells, forward, init_params, truncated_bptt
from . import Exercise
from .judges import SEEDS, Check, Checks, within


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


def timer(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    params = {name: np.array(value, float) for name, value in module.weights().items()}
    for n in range(SEEDS):
        x = (np.random.default_rng([seed, n]).random((1, 40, 1)) < 0.4).astype(float)
        called = x[0, :, 0].cumsum() >= stub.CALL
        tape = forward(cells.PeepholeLSTM(), params, x)[2]
        assert tape is not None
        what = f"output gate at each step, expected 1 from count {stub.CALL} on"
        yield within("output gate", tape.gate("o")[0, :, 0], called, 0.01, what)


def truncated(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for n, (T, k) in enumerate(((6, 6), (6, 2), (8, 4), (5, 1))):
        rng, cell = np.random.default_rng([seed, n]), cells.SimpleRNN(use_bias=False)
        params = init_params(cell, 3, 4, rng=n, dtype="float64")
        x, dy = rng.standard_normal((2, T, 3)), rng.standard_normal((2, T, 4))

        def part(y: Any, t0: int, t1: int, dy: Any = dy) -> Any:
            return dy[:, t0:t1]

        expected = truncated_bptt(cell, params, x, part, k, k)[2].params["Wh"]
        yield within("dWh", module.truncated_gradient(x, params["Wx"], params["Wh"], dy, k), expected, 1e-12, f"T = {T}, k = {k}: dWh")


def pads(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for n, lengths in enumerate(((3, 1, 5), (2,), (4, 4), (1, 7, 2, 3))):
        rng = np.random.default_rng([seed, n])
        given = [rng.standard_normal((length, 3)) for length in lengths]
        x, told = module.pad(given)
        expected = np.zeros((len(lengths), max(lengths), 3))
        for b, values in enumerate(given):
            expected[b, : len(values)] = values
        yield within("lengths", told, lengths, 0, f"lengths of sequences of {list(lengths)} steps")
        yield within("x", x, expected, 0, f"x for sequences of {list(lengths)} steps")


def writes(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    """Against a model whose next character is certain, and one that draws."""
    for count, limit in ((3, 20), (0, 20), (9, 4)):
        seen: list[int] = []

        def certain(code: int, count: int = count, seen: list[int] = seen) -> Any:
            seen.append(int(code))
            return np.eye(3)[2 if len(seen) > count else 1]

        got = [int(code) for code in module.write(certain, 0, 2, limit, np.random.default_rng(seed))]
        right = got == [1] * min(count, limit)
        yield Check("text", right, f"{count} characters and then the end, limit {limit}: got {got}")
        yield Check("inputs", seen[:1] == [0] and set(seen[1:]) <= {1}, f"the inputs were {seen}: first go, then what was drawn")
        if not right:  # it may write to the limit every time, which would take long
            return
    drawn = [len(module.write(lambda code: [0.0, 0.75, 0.25], 0, 2, 1000, np.random.default_rng([seed, n]))) for n in range(400)]
    yield within("drawn", np.mean(drawn), 3.0, 0.8, "mean length where the end has a probability of 1/4, expected 3")


def nearest_words(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for n in range(SEEDS):
        rng = np.random.default_rng([seed, n])
        table = rng.standard_normal((20, 4)) * rng.uniform(0.1, 10, (20, 1))
        for word in (0, 7, 19):
            cosines = [float(v @ table[word] / np.linalg.norm(v) / np.linalg.norm(table[word])) for v in table]
            expected = sorted((m for m in range(20) if m != word), key=lambda m: -cosines[m])[:5]
            got = [int(m) for m in module.nearest(table.copy(), word, 5)]
            yield Check("nearest", got == expected, f"word {word}: got {got}, expected 5 others by their cosine")


def masked_softmax(row: Exercise, module: ModuleType, stub: ModuleType, seed: int) -> Checks:
    for n, lengths in enumerate(((3, 5), (1, 2, 4), (5,))):
        a = np.random.default_rng([seed, n]).standard_normal((len(lengths), 2, 5)) + (0, 300, 1000)[n]
        spoiled, expected = a.copy(), np.zeros_like(a)
        for b, length in enumerate(lengths):
            spoiled[b, :, length:] = np.nan
            e = np.exp(a[b, :, :length] - a[b, :, :length].max(axis=1, keepdims=True))
            expected[b, :, :length] = e / e.sum(axis=1, keepdims=True)
        yield within("weights", module.weights(spoiled, np.array(lengths)), expected, 1e-12, f"weights of rows with {list(lengths)} steps")
