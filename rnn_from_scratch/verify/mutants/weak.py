"""Two checks as others do them, run beside ours on the same mutants to see what each lets through. Nothing is asserted by them.

constant weights   outputs with every weight of a kind alike (0.01, 0.02, 0.03), as the recurrent layers of Keras are tested
one direction      all gradients folded into one number along one random direction, at the tolerances of torch's gradcheck
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import backends
from ...params import param_shapes
from .. import equations
from ..cases import CELLS, problem

CONSTANTS = {"Wx": 0.01, "Wh": 0.02, "b": 0.03, "bx": 0.03, "bh": 0.03, "p": 0.04}
MASK = np.array([[1, 1, 0, 1, 1, 0], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)


def constant_weights(cells: list[str]) -> Iterator[str]:
    x = np.arange(72.0).reshape(3, 6, 4)
    for name in (name for name in cells if equations.covers(CELLS[name])):
        cell: Any = CELLS[name]
        params = {key: np.full(shape, CONSTANTS[key]) for key, shape in param_shapes(cell, 4, 3).items()}
        for options in ({}, {"go_backwards": True}, {"mask": MASK}):
            start = tuple(np.zeros((3, 3)) for _ in cell.states)
            y, _, _ = backends.forward(cell, params, x, start, **options, backend="reference")
            if not np.allclose(y, equations.run(cell, params, x, start, **options).y, rtol=0, atol=1e-5):
                yield f"y in {name}"


def one_direction(cells: list[str]) -> Iterator[str]:
    for name in cells:
        p = problem(CELLS[name], sizes=(3, 4, 2, 3))
        rng, step = np.random.default_rng(0), 1e-6
        v = {key: rng.standard_normal(a.shape) for key, a in {"x": p.x, **p.params}.items()}

        def loss(h, p=p, v=v):
            params = {key: a + h * v[key] for key, a in p.params.items()}
            y, _, tape = backends.forward(p.cell, params, p.x + h * v["x"], backend="reference")
            return np.sum(y * p.dy), tape

        grads = backends.backward(loss(0.0)[1], p.dy)
        ours = np.sum(grads.x * v["x"]) + sum(np.sum(g * v[key]) for key, g in grads.params.items())
        expected = (loss(step)[0] - loss(-step)[0]) / (2 * step)
        if not abs(ours - expected) <= 1e-5 + 1e-3 * abs(expected):
            yield f"slope of {name}"


WEAK = {"constant weights": constant_weights, "one direction": one_direction}
