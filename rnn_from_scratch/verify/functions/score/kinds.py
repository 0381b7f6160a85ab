"""The functions that the checker is scored on: one gated cell, in kinds that are hard for a checker in different ways.

    f = sigma(x Wx_f + bf)      n = phi(x Wx_n + h Wh + bn)      h = h + f (n - h), where mask is True

and its backward pass, which makes the slip that is asked for (plants.py has those that need only the gradients). At a corner `side`
says which slope backward gives: 0 that of the left, 1 that of the right; between them all are right, as frameworks differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....cells.activations import ACTIVATIONS
from ....typing import Array

B, T, SIZE = 4, 3, 3  # rows, steps, units; as many inputs as units
CHUNK = 2  # steps that a stateful function takes at a time
OFF = 1e-3  # a bias so far from the corner
NAMES = ("x", "h0", "Wx", "Wh", "bf", "bn", "mask")
BLOCKS = {"Wx": ("f", "n")}
SLIPS = ("one gate", "one step", "mask ignored", "carry dropped")  # that a backward pass can make inside


def clip(a: Array) -> Array:
    return np.where(a.real <= -1, -1, np.where(a.real >= 1, 1, a)).astype(a.dtype)


def ends(low: float, high: float, slope: float) -> Callable[[Array, float], Array]:
    """The derivative by a of what has `slope` between low and high and 0 elsewhere."""

    def derivative(a: Array, side: float) -> Array:
        inside = np.where(a == low, side, np.where(a == high, 1 - side, (low < a) & (a < high)))
        return (slope * inside).astype(a.dtype)

    return derivative


def of_output(name: str) -> Callable[[Array, float], Array]:
    return lambda a, side: ACTIVATIONS[name].derivative(ACTIVATIONS[name].f(a))


FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, float], Array]]] = {
    "sigmoid": (ACTIVATIONS["sigmoid"].f, of_output("sigmoid")),
    "tanh": (ACTIVATIONS["tanh"].f, of_output("tanh")),
    "linear": (ACTIVATIONS["linear"].f, of_output("linear")),
    "relu": (ACTIVATIONS["relu"].f, ends(0, np.inf, 1)),
    "hard_sigmoid": (ACTIVATIONS["hard_sigmoid"].f, ends(-3, 3, 1 / 6)),
    "clip": (clip, ends(-1, 1, 1)),
}


class Kind(NamedTuple):
    """What is computed: the two activations, what is made of the states, and what is particular about the inputs."""

    sigma: str = "sigmoid"
    phi: str = "tanh"
    # output: every step [B,T,H]; the max over time [B,H]; a loss, with l1 * sum|W|; views of other arrays; in chunks that hand on h
    output: str = "steps"  # or "max", "loss", "strided", "stateful"
    bf: float | None = None  # all of bf; None: random
    bn: float | None = None
    blank: bool = False  # the last rows of x and h0 are zero
    pruned: bool = False  # one weight of each matrix is zero
    explodes: bool = False
    dtype: str = "float64"

    @property
    def corner(self) -> bool:
        """Whether values sit on a corner."""
        return self.pruned or (self.blank and self.bn != OFF)


# name -> what its seeds take in turn
KINDS: dict[str, tuple[Kind, ...]] = {
    "smooth": (Kind(),),
    "relu, blank rows, off and at its corner": (Kind(phi="relu", bn=OFF, blank=True), Kind(phi="relu", bn=0.0, blank=True)),
    "L1 in the loss, some weights of 0": (Kind(output="loss"), Kind(output="loss", pruned=True)),
    "max-pool over time, some ties": (Kind(output="max"), Kind(output="max", bn=0.0, blank=True)),
    "hard_sigmoid at its ends": tuple(Kind(sigma="hard_sigmoid", bf=end, blank=True) for end in (-3.0, 3.0)),
    "clipping, within and at its ends": (Kind(phi="clip"), Kind(phi="clip", bn=1.0, blank=True), Kind(phi="clip", bn=-1.0, blank=True)),
    "exploding, finite up to 1e300": (Kind(phi="linear", explodes=True),),
    "float32": (Kind(dtype="float32"),),
    "strided": (Kind(output="strided"),),
    "stateful": (Kind(output="stateful"),),
}


def kind_of(name: str, seed: int) -> Kind:
    return KINDS[name][seed % len(KINDS[name])]


def inputs_of(kind: Kind, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    x, h0 = rng.standard_normal((B, T, SIZE)), rng.standard_normal((B, SIZE))
    Wx, Wh = rng.standard_normal((SIZE, 2 * SIZE)), rng.standard_normal((SIZE, SIZE)) / 2
    bf, bn = (rng.standard_normal(SIZE) if b is None else np.full(SIZE, b) for b in (kind.bf, kind.bn))
    mask = rng.random((B, T)) < 0.7
    mask[:, 1] = True  # a step that no row lacks
    if kind.blank:
        x[B // 2 :] = h0[B // 2 :] = 0
    if kind.pruned:
        Wx[0, 0] = Wh[0, 0] = 0
    if kind.explodes:  # h grows by about the T-th root of 1e20, ..., 1e300 a step
        Wh, mask[0] = Wh * 10 ** (15 * (1 + seed % 20) / T), True
    floating = [a.astype(kind.dtype) for a in (x, h0, Wx, Wh, bf, bn)]
    if kind.output == "strided":  # every other column of a wider array
        floating[0] = np.repeat(floating[0], 2, axis=2)[..., ::2]
    return [*floating, mask]


class Step(NamedTuple):
    af: Array
    an: Array
    f: Array
    n: Array
    h_prev: Array
    h: Array


def steps(kind: Kind, x: Array, h0: Array, Wx: Array, Wh: Array, bf: Array, bn: Array, mask: Array) -> Iterator[Step]:
    h, sigma, phi, a = h0, FUNCTIONS[kind.sigma][0], FUNCTIONS[kind.phi][0], x @ Wx
    for t in range(x.shape[1]):
        af, an, h_prev = a[:, t, :SIZE] + bf, a[:, t, SIZE:] + h @ Wh + bn, h
        f, n = sigma(af), phi(an)
        h = np.where(mask[:, t, None], h + f * (n - h), h)
        yield Step(af, an, f, n, h_prev, h)


def states(kind: Kind, x: Array, h: Array, *others: Array) -> Array:
    """Every h [B,T,H]."""
    if kind.output != "stateful":
        return np.stack([s.h for s in steps(kind, x, h, *others)], axis=1)
    *weights, mask = others
    parts = list[Array]()
    for t in range(0, x.shape[1], CHUNK):
        chunk: tuple[Array, ...] = (x[:, t : t + CHUNK], h, *weights, mask[:, t : t + CHUNK])
        parts.append(np.stack([s.h for s in steps(kind, *chunk)], axis=1))
        h = parts[-1][:, -1]  # what the function keeps until its next call
    return np.concatenate(parts, axis=1)


def gradients(kind: Kind, side: float, slip: str, dhs: Array, inputs: Sequence[Array]) -> list[Array]:
    """dx, dh0, dWx, dWh, dbf, dbn from dhs [B,T,H], what every h gets from above. `slip` is one of SLIPS or "" for none."""
    x, h0, Wx, Wh, bf, bn, mask = inputs
    dx, dWx, dWh, dbf, dbn = (np.zeros_like(a) for a in (x, Wx, Wh, bf, bn))
    dh = np.zeros_like(h0)
    for t, s in reversed(list(enumerate(steps(kind, *inputs)))):
        dh = dh + dhs[:, t]
        live = np.ones_like(mask[:, t, None]) if slip == "mask ignored" else mask[:, t, None]
        dout = np.where(live & (slip != "one step" or t != 1), dh, 0)
        daf = dout * (s.n - s.h_prev) * FUNCTIONS[kind.sigma][1](s.af, side) * (2 if slip == "one gate" else 1)
        dan = dout * s.f * FUNCTIONS[kind.phi][1](s.an, side)
        da = np.concatenate([daf, dan], axis=1)
        dx[:, t], dWx, dWh = da @ Wx.T, dWx + x[:, t].T @ da, dWh + s.h_prev.T @ dan
        dbf, dbn = dbf + daf.sum(0), dbn + dan.sum(0)
        dropped = slip == "carry dropped" and kind.output != "stateful"
        dh = (0 if dropped else np.where(live, dh * (1 - s.f), dh)) + dan @ Wh.T
    return [dx, dh, dWx, dWh, dbf, dbn]


def in_chunks(kind: Kind, side: float, slip: str, dhs: Array, inputs: Sequence[Array]) -> list[Array]:
    """gradients(), chunk by chunk; dropped, the carry between chunks is what truncated BPTT lacks."""
    x, h0, *weights, mask = inputs
    h, dh, found = states(kind, *inputs), np.zeros_like(h0), list[list[Array]]()
    for t in reversed(range(0, x.shape[1], CHUNK)):
        chunk, above = slice(t, t + CHUNK), dhs[:, t : t + CHUNK].copy()
        above[:, -1] += dh
        found.insert(0, gradients(kind, side, slip, above, (x[:, chunk], h[:, t - 1] if t else h0, *weights, mask[:, chunk])))
        dh = found[0][1] * (slip != "carry dropped")
    dxs, dh0s, *others = zip(*found)
    return [np.concatenate(dxs, axis=1), dh0s[0], *(np.sum(parts, axis=0) for parts in others)]


class Case(NamedTuple):
    """A pair of functions and the inputs to check them at."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: list[Array]


def case(kind: Kind, seed: int, slip: str = "") -> Case:
    """The functions of a kind, with its conventions, scales and slip, as the seed has them."""
    rng = np.random.default_rng([seed, 1])
    side, l1 = rng.choice([0.0, 0.5, 1.0]), 10.0 ** -rng.uniform(1, 7)

    def forward(*inputs: Array) -> Any:
        h = states(kind, *inputs)
        if kind.output == "max":
            return np.max(h, axis=1)
        if kind.output == "loss":
            return np.sum(h[:, -1] ** 2) + l1 * (np.sum(np.abs(inputs[2])) + np.sum(np.abs(inputs[3])))
        if kind.output == "strided":
            return h.transpose(1, 0, 2)[::-1]
        return (h, h[:, -1]) if kind.output == "stateful" else h

    def backward(*arguments: Array) -> list[Any]:
        inputs, upstream = arguments[: len(NAMES)], arguments[len(NAMES) :]
        h, dy = states(kind, *inputs), upstream[0]
        if kind.output == "stateful":
            dhs = dy.copy()
            dhs[:, -1] += upstream[1]
            return [*in_chunks(kind, side, slip, dhs, inputs), None]
        if kind.output == "max":  # a tie: all to the first, or shared
            most = h == np.max(h, axis=1, keepdims=True)
            first = most & (np.cumsum(most, axis=1) == 1)
            dy = dy[:, None] * (first if side == 0 else most / most.sum(axis=1, keepdims=True))
        if kind.output == "loss":
            dy = np.concatenate([np.zeros_like(h[:, :-1]), 2 * dy * h[:, -1:]], axis=1)
        if kind.output == "strided":
            dy = dy[::-1].transpose(1, 0, 2)
        found = gradients(kind, side, slip, dy, inputs)
        if kind.output == "loss":
            for k in (2, 3):
                sign = np.sign(inputs[k]) + (2 * side - 1) * (inputs[k] == 0)
                found[k] = found[k] + upstream[0] * l1 * sign
        if kind.output == "strided":
            found = [g.T.copy().T for g in found]
        return [*found, None]

    return Case(forward, backward, inputs_of(kind, seed))
