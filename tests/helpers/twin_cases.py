"""Problems for the JavaScript twins: what NumPy answers, and what main of twin_cases.js is asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from rnn_from_scratch import backends, cells
from rnn_from_scratch.cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS
from rnn_from_scratch.params import param_shapes

# twin_cases: {layers: [{row, params}], x, T, initial, live, dy, dstate} -> name -> flat array; also upTo, and everywhere: dy in all layers
MAIN = """
function answer(problem) {
  const layers = problem.layers.map(({ row, params }) => makeLayer(row, params));
  const tapes = forwardStack(layers, problem.x, problem.T, problem.initial, problem.live);
  const dys = layers.map((_, n) => (problem.everywhere || n === layers.length - 1 ? problem.dy : null));
  const grads = backwardStack(tapes, dys, problem.dstate, problem.upTo);
  const found = {};
  tapes.forEach((tape, n) => {
    const { cell } = tape.layer, g = grads[n];
    found[`${n} y`] = tape.y;
    cell.states.forEach((name, k) => { found[`${n} ${name}`] = tape.states[k]; found[`${n} d${name}`] = g.ds[k]; });
    cell.saved.forEach((name, k) => { found[`${n} ${name} saved`] = tape.saved[k]; });
    for (const name of ["dx", "dxg", "dhg", "dp"]) found[`${n} ${name}`] = g[name];
  });
  for (const name in found) found[name] = Array.from(found[name], (v) => (Number.isFinite(v) ? v : String(v)));
  return found;
}
function main(problems) { return problems.map(answer); }
"""


def every_cell() -> dict[str, Any]:
    """Label -> cell: every form of the table with every activation."""
    found = {}
    for (form, cell), phi, sigma in product(cells.forms().items(), ACTIVATIONS, RECURRENT_ACTIVATIONS):
        if hasattr(cell, "recurrent_activation"):
            found[f"{form} {phi} {sigma}"] = replace(cell, activation=phi, recurrent_activation=sigma)
        else:
            found[f"{form} {phi}"] = replace(cell, activation=phi)
    return found


def row(cell: Any, inputs: int, units: int, go_backwards: bool = False) -> dict[str, Any]:
    """A layer as the document has it, without its parameters."""
    name = next(name for name, kind in cells.CELLS.items() if type(cell) is kind)
    options = {k: getattr(cell, k) for k in ("activation", "recurrent_activation", "reset_after", "use_bias") if hasattr(cell, k)}
    return {"cell": name, **options, "go_backwards": go_backwards, "inputs": inputs, "units": units}


def problem(stack: list[tuple[Any, bool]], T: int, inputs: int, units: int, masked: bool, seed: int = 0) -> tuple[dict, dict]:
    """Random numbers for layers (cell, go_backwards): what main is asked, and what NumPy answers.

    Weights are small enough that relu and linear networks stay tame for 100 steps.
    """
    rng = np.random.default_rng(seed)
    x, mask = rng.standard_normal((1, T, inputs)), None
    if masked:
        mask = rng.random((1, T)) < 0.7
        mask[0, :: max(T - 1, 1)] = False
        x[~mask] = np.nan
    asked: dict[str, Any] = {"layers": [], "x": flat(x), "T": T, "initial": [], "live": mask[0].tolist() if masked else None}
    tapes, truth = [], {}
    y, live = x, mask
    for cell, go_backwards in stack:
        I, H = y.shape[2], units
        params = {name: rng.standard_normal(shape) * (0.6 / np.sqrt(shape[0] + 1)) for name, shape in param_shapes(cell, I, H).items()}
        initial = tuple(rng.standard_normal((1, H)) for _ in cell.states)
        asked["layers"].append({"row": row(cell, I, H, go_backwards), "params": {name: flat(a) for name, a in params.items()}})
        asked["initial"].append([flat(a) for a in initial])
        y, _, tape = backends.forward(cell, params, y, initial_state=initial, mask=live, go_backwards=go_backwards, backend="reference")
        live = live[:, ::-1] if live is not None and go_backwards else live
        tapes.append((cell, tape, y, go_backwards))
    dy, dstate = rng.standard_normal(y.shape), tuple(rng.standard_normal((1, units)) for _ in stack[-1][0].states)
    asked |= {"dy": flat(dy), "dstate": [flat(a) for a in dstate]}
    for n in reversed(range(len(tapes))):
        cell, tape, y, go_backwards = tapes[n]
        grads = backends.backward(tape, dy, dstate)
        truth |= {f"{n} y": y, f"{n} dx": grads.x, f"{n} dp": grads.params.get("p", np.zeros(0))}
        start = T if go_backwards else 0
        for k, name in enumerate(cell.states):
            truth[f"{n} {name}"] = tape.states[k]
            truth[f"{n} d{name} at the start"] = grads.initial_state[k], start
        for k, name in enumerate(cell.saved):
            truth[f"{n} {name} saved"] = tape.saved[:, :, k]
        bias = {"b": ("dxg",), "bx": ("dxg",), "bh": ("dhg",)}
        for name, sides in bias.items():
            for side in sides if name in grads.params else ():
                truth[f"{n} {side} summed"] = grads.params[name], None
        dy, dstate = grads.x, None
    return asked, truth


def flat(a: Any) -> list[float | None]:
    """Numbers as JSON has them; NaN is null."""
    return [None if np.isnan(v) else float(v) for v in np.ravel(a)]


def worst(found: dict[str, list], truth: dict[str, Any], units: int) -> tuple[float, str]:
    """The largest max|a - b| / max|b| of all arrays, and which it is; NaN is infinity."""
    errors = []
    for name, value in truth.items():
        key = name.removesuffix(" at the start").removesuffix(" summed")
        ours = np.array(found[key], float)
        if name.endswith("at the start"):
            value, start = value
            ours = ours.reshape(-1, units)[start]
        elif name.endswith("summed"):
            value, _ = value
            ours = ours.reshape(-1, len(value)).sum(0)
        b = np.ravel(value)
        scale = np.abs(b).max(initial=0)
        e = np.abs(ours - b).max(initial=0) if ours.shape == b.shape else np.inf
        errors.append((float(e / scale if scale else (0 if e == 0 else np.inf)) if np.isfinite(e) else np.inf, name))
    return max(errors)
