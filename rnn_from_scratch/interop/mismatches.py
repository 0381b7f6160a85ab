"""The conventions that two implementations of one cell can differ in, each as a change that turns ours into theirs.

A cause changes a Setup: the cell, its parameters (as in parts.py), the input, the order of y. Causes of different
groups combine; the groups of GROUPS are applied in that order, so that what happens to the stored weights comes before what
happens at run time. A new convention is one more Mismatch in a group, or one more function in GROUPS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import NamedTuple

from ..cells.activations import ACTIVATIONS
from ..cells.peephole_lstm import PeepholeLSTM
from ..typing import Array, ListedCell
from .parts import block, forget_signs, merged
from .weight_layouts import LAYOUTS, SLOPE


class Setup(NamedTuple):
    """One run: the cell, its parts (Wx, Wh, bx, bh, p), x [B,T,I], and whether y is put in reverse order."""

    cell: ListedCell
    parts: dict[str, Array]
    x: Array
    flip: bool = False

    def with_parts(self, **parts: Array) -> Setup:
        return self._replace(parts={**self.parts, **parts})


class Mismatch(NamedTuple):
    """One difference. about: its group; value: which one; text: what theirs does; change: ours -> theirs."""

    about: str
    value: str
    text: str
    change: Callable[[Setup], Setup]


@dataclass(frozen=True)
class OldCellPeephole(PeepholeLSTM):
    """A peephole LSTM whose output gate looks at c_{t-1}, as the other two do, instead of c_t."""

    def forward(self, k, xg, hg, s_prev, saved, p):
        phi, sigma = ACTIVATIONS[self.activation].f, ACTIVATIONS[self.recurrent_activation].f
        _, c_prev = s_prev
        p_i, p_f, p_o = p
        ai, af, ag, ao = xg + hg
        i, f, g, o = sigma(ai + p_i * c_prev), sigma(af + p_f * c_prev), phi(ag), sigma(ao + p_o * c_prev)
        c = f * c_prev + i * g
        return (o * phi(c), c), (i, f, g, o)


def transposed_weights(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    """The [H,H] blocks transposed (nothing complains), or a reshape where a transpose was due ([K,GH] read as [GH,K])."""
    G, (I, H) = len(setup.cell.gates), (setup.x.shape[2], setup.parts["Wh"].shape[0])

    def by_block(W):
        return W.reshape(H, G, H).transpose(2, 1, 0).reshape(H, G * H)

    def by_reshape(W):
        return W.reshape(W.shape[::-1]).T

    def change(names, turn):
        return lambda s: s.with_parts(**{name: turn(s.parts[name]) for name in names})

    for names in (("Wh",), ("Wx",), ("Wx", "Wh")):
        words = " and ".join(names)
        if I == H or names == ("Wh",):
            text = f"theirs uses every [H, H] block of {words} transposed"
            yield Mismatch("transposed weights", words, text, change(names, by_block))
        if G > 1:
            text = f"theirs holds {words} reshaped to [GH, .] where a transpose was due"
            yield Mismatch("transposed weights", f"{words} reshaped", text, change(names, by_reshape))


def gate_order(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    """Every other order of the gate blocks in Wx, Wh and the biases."""
    ours, H = setup.cell.gates, setup.parts["Wh"].shape[0]

    def change(order):
        taken = [order.index(gate) for gate in ours]

        def reorder(W):
            return W.reshape(*W.shape[:-1], len(ours), H)[..., taken, :].reshape(W.shape)

        return lambda s: s.with_parts(**{name: reorder(s.parts[name]) for name in ("Wx", "Wh", "bx", "bh")})

    for order in permutations(ours):
        if order == ours:
            continue
        users = [name for name, layout in LAYOUTS.items() if " ".join(order) in {row.gates for row in layout.rows.values()}]
        known = f" (the order of {', '.join(users)})" if users else ""
        text = f"theirs takes the blocks that ours calls {', '.join(ours)} for {', '.join(order)}{known}"
        yield Mismatch("gate order", " ".join(order), text, change(order))


def reset_gate(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    if hasattr(setup.cell, "reset_after"):
        value = "before" if setup.cell.reset_after else "after"
        text = f"theirs applies the reset gate {value} the recurrent product (reset_after={value == 'after'})"
        yield Mismatch("reset gate", value, text, lambda s: s._replace(cell=replace(s.cell, reset_after=value == "after")))


def biases(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    """One bias or two. In Setup a one-bias cell is (b, 0)."""

    def cause(value, text, change):
        return Mismatch("biases", value, text, lambda s: s.with_parts(**change(s.parts["bx"], s.parts["bh"], merged(s.parts))))

    if not setup.cell.use_bias:
        return
    yield cause("left out", "theirs adds no bias", lambda bx, bh, b: {"bx": 0 * bx, "bh": 0 * bh})
    if setup.cell.shared:
        yield cause("twice", "theirs holds b in both of its biases, so it counts twice", lambda bx, bh, b: {"bh": bx})
        return
    yield cause("bh left out", "theirs does not add bh", lambda bx, bh, b: {"bh": 0 * bh})
    yield cause("bx left out", "theirs does not add bx", lambda bx, bh, b: {"bx": 0 * bx})
    yield cause("swapped", "theirs has bx and bh swapped", lambda bx, bh, b: {"bx": bh, "bh": bx})
    merge = "theirs has one bias, bx + bh, outside the reset gate"
    yield cause("merged", merge, lambda bx, bh, b: {"bx": b, "bh": 0 * bh})


def forget_offset(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    def change(offset):
        def add(s):
            bx = s.parts["bx"].copy()
            for gate, sign in forget_signs(s.cell).items():
                block(bx, s.cell.gates, gate)[...] += sign * offset
            biased = s.cell if s.cell.use_bias else replace(s.cell, use_bias=True)  # added at run time, whatever is stored
            return s.with_parts(bx=bx)._replace(cell=biased)

        return add

    if forget_signs(setup.cell):
        adds = f"theirs adds {forget_bias:g} to the forget gate at run time, and b holds it already"
        lacks = f"theirs lacks {forget_bias:g} at the forget gate: something at run time should add it"
        yield Mismatch("forget bias", f"+{forget_bias:g}", adds, change(forget_bias))
        yield Mismatch("forget bias", f"-{forget_bias:g}", lacks, change(-forget_bias))


def peepholes(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    def change(order):
        taken = [order.index(gate) for gate in setup.cell.extras]
        return lambda s: s.with_parts(p=s.parts["p"].reshape(3, -1)[taken].reshape(-1))

    def old_cell(s):
        return s._replace(cell=OldCellPeephole(s.cell.activation, s.cell.recurrent_activation, s.cell.use_bias))

    if setup.cell.extras:
        yield Mismatch("peepholes", "o at c_prev", "the output gate of theirs looks at c_{t-1}, not at c_t", old_cell)
        yield Mismatch("peepholes", "left out", "theirs has no peepholes", lambda s: s.with_parts(p=0 * s.parts["p"]))
        for order in permutations(setup.cell.extras):
            if order != setup.cell.extras:
                text = f"theirs takes the rows of p that ours calls {', '.join(setup.cell.extras)} for {', '.join(order)}"
                yield Mismatch("peepholes", " ".join(order), text, change(order))


def gate_activation(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    """sigmoid, or hard_sigmoid of either slope; the steeper one is ours with pre-activations 6 * 0.2 times as large."""

    def change(name, slope):
        def swap(s):
            parts = {key: part.copy() for key, part in s.parts.items()}
            for key, part in parts.items():
                names = s.cell.extras if key == "p" else s.cell.gates
                for gate in names:
                    if gate not in s.cell.candidates:
                        block(part, names, gate)[...] *= slope / SLOPE
            return Setup(replace(s.cell, recurrent_activation=name), parts, s.x, s.flip)

        return swap

    ours = getattr(setup.cell, "recurrent_activation", None)
    for name, slope, value in (
        ("sigmoid", SLOPE, "sigmoid"),
        ("hard_sigmoid", SLOPE, "hard_sigmoid 1/6"),
        ("hard_sigmoid", 0.2, "hard_sigmoid 0.2"),
    ):
        if ours and (name != ours or slope != SLOPE):
            about = "hard_sigmoid slope" if name == ours else "gate activation"
            shown = "sigmoid" if name == "sigmoid" else f"hard_sigmoid with slope {value.split()[1]}"
            yield Mismatch(about, value, f"the gates of theirs use {shown}", change(name, slope))


def activation(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    def change(name):
        return lambda s: s._replace(cell=replace(s.cell, activation=name))

    for name in ACTIVATIONS:
        if name != setup.cell.activation:
            text = f"theirs uses {name} where ours uses {setup.cell.activation}"
            yield Mismatch("activation", name, text, change(name))


def time_order(setup: Setup, forget_bias: float) -> Iterator[Mismatch]:
    def backwards(s):
        return s._replace(x=s.x[:, ::-1])

    yield Mismatch("time", "reversed x", "theirs runs backwards in time, y in processing order", backwards)
    yield Mismatch("time", "reversed y", "theirs returns y in reverse order", lambda s: s._replace(flip=True))
    put_back = "theirs runs backwards in time, y put back in the order of x"
    yield Mismatch("time", "reversed x and y", put_back, lambda s: backwards(s)._replace(flip=True))


GROUPS = (transposed_weights, gate_order, reset_gate, biases, forget_offset, peepholes, gate_activation, activation, time_order)


def mismatches_for(setup: Setup, forget_bias: float = 1.0) -> list[list[Mismatch]]:
    """The causes that can apply to a cell, by group, in the order in which they act."""
    return [list(group(setup, forget_bias)) for group in GROUPS]
