"""The equations of a cell as LaTeX: what was watched, line by line, in mathematical signs. Nothing here knows a cell.

d in front of a name is the gradient of the loss by it, written with a delta. A gradient that a line adds to has two values: what
arrives from step t + 1 is marked `next`. A slope, phi' or sigma', is written in the activation's output, as in cells/activations.py.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

from ..typing import Cell, ListedCell
from .example import example
from .steps import Told, loss_gradient, steps
from .watch import Assignment

FUNCTIONS = {"phi": r"\phi", "sigma": r"\sigma", "phi_derivative": r"\phi'", "sigma_derivative": r"\sigma'"}
FUNCTIONS |= {"np.tanh": r"\tanh", "np.exp": r"\exp"}
SIGNS = {ast.Add: ("+", 1), ast.Sub: ("-", 1), ast.Mult: (r"\odot", 2), ast.MatMult: ("", 2), ast.Div: ("/", 2)}
GREEK = ("tau",)
SLOPES = {"tanh": "1 - y^{2}", "sigmoid": "y (1 - y)", "relu": "1 \\; (y > 0), \\; 0 \\; (y = 0)", "linear": "1"}
SLOPES |= {"hard_sigmoid": "1 / 6 \\; (0 < y < 1), \\; 0 \\; (y = 0, 1)"}


class Equation(NamedTuple):
    """One line: name = text in the code's own words, and as LaTeX, where & stands before the sign of equality.

    assignment: what was watched; None for what the time loop makes around the cell (bptt.py)
    """

    name: str
    text: str
    latex: str
    phase: int
    assignment: Assignment | None = None


class Equations(NamedTuple):
    """Of one step, in the order in which they are computed."""

    forward: list[Equation]
    backward: list[Equation]


def equations(cell: ListedCell) -> Equations:
    """The equations of one step of a cell, forward and backward: those of the lines that ran, and the products around them.

    >>> from rnn_from_scratch import cells
    >>> from rnn_from_scratch.explain.equations import equations
    >>> for line in equations(cells.SimpleRNN()).forward:
    ...     print(line.latex)
    \\hat{x}_t &= x_t W_x + b
    \\hat{h}_t &= h_{t-1} W_h
    a_t &= \\hat{x}_t + \\hat{h}_t
    h_t &= \\phi(a_t)
    """
    e = example(cell, 2, 3)
    done = steps(cell, e.params, e.x, *loss_gradient(cell, (3, 2), e.loss))
    bx, bh = ("", "") if not getattr(cell, "use_bias", False) else (" + b", "") if cell.shared else (" + b_x", " + b_h")
    forward = [made("xg", rf"\hat{{x}}_t &= x_t W_x{bx}")]
    for told in done.forward[1]:
        k, some = told.phase, part(cell, told.phase)
        forward.append(made("hg", rf"\hat{{h}}{some}_t &= {'m_t' if k else 'h_{t-1}'} W_h{some}{bh}", k))
        forward += of_lines(cell, told)
    backward: list[Equation] = []
    for told in done.backward[1]:
        known = {line.latex for line in backward}
        backward += [line for line in of_lines(cell, told) if line.latex not in known]  # a line may run in each phase
        backward += handed_back(cell, told, [line for line in backward if line.name == "dh_prev"])
    backward.append(made("dx", r"\delta x_t &= \delta \hat{x}_t W_x^{T}"))
    backward.append(made("dWx", r"\delta W_x &= \sum_t x_t^{T} \delta \hat{x}_t"))
    for k in range(len(cell.phases)):
        some, taken = part(cell, k), "m_t" if k else "h_{t-1}"
        backward.append(made("dWh", rf"\delta W_h{some} &= \sum_t {taken}^{{T}} \delta \hat{{h}}{some}_t", k))
    return Equations(forward, backward)


def made(name: str, latex: str, phase: int = 0) -> Equation:
    """What the time loop makes."""
    return Equation(name, "", latex, phase)


def part(cell: Cell, phase: int) -> str:
    """Which gates a product makes, as an upper index, in a cell of several phases."""
    return "" if len(cell.phases) == 1 else f"^{{{''.join(cell.gates[g] for g in cell.phases[phase])}}}"


def of_lines(cell: Cell, told: Told) -> Iterator[Equation]:
    for line in told.lines:
        for a in line.assignments:
            yield Equation(a.name, a.text, latex(cell, told.phase, a.name, a.text), told.phase, a)


def handed_back(cell: Cell, told: Told, beside: list[Equation]) -> Iterator[Equation]:
    """The gradients by the products of a phase, and what goes back through Wh. beside: the lines' own parts of dh_prev."""
    k, some = told.phase, part(cell, told.phase)
    names = [f"da{cell.gates[g]}" for g in cell.phases[k]] if len(cell.gates) > 1 else ["da"]
    sides = {"xh": names}
    if not cell.shared:  # return dxg, dhg, ds_prev, dp
        sent = ast.parse(told.lines[-1].code).body[0].value.elts  # type: ignore[attr-defined]
        sides = {side: [ast.unparse(name) for name in given.elts] for side, given in zip("xh", sent)}
    for side, given in sides.items():
        first, *rest = (rf"\delta \hat{{{letter}}}{some}_t" for letter in side)
        parts = ", ".join(map(Writer(cell, k).symbol, given))
        yield made("dxg", f"{first} &= {''.join(f'{other} = ' for other in rest)}({parts})", k)
    back = rf"\delta \hat{{h}}{some}_t (W_h{some})^{{T}}"
    if k:
        yield made("dm", rf"\delta m_t &= {back}", k)
    else:
        own = [line.latex.partition(" &= ")[0] for line in beside]
        yield made("dh_prev", rf"\delta h_{{t-1}} &= {' + '.join([*own, back])}", k)


def latex(cell: Cell, phase: int, name: str, text: str) -> str:
    """name = text as LaTeX."""
    right = ast.parse(text, mode="eval").body
    used = {node.id for node in ast.walk(right) if isinstance(node, ast.Name)}
    return f"{Writer(cell, phase).symbol(name)} &= {Writer(cell, phase, {name} & used).write(right)[0]}"


class Writer:
    """Writes the expressions of one phase. arriving: the gradients that are read before they are added to."""

    def __init__(self, cell: Cell, phase: int, arriving: Collection[str] = ()):
        self.cell, self.phase, self.arriving = cell, phase, arriving
        self.gates = [cell.gates[g] for g in cell.phases[phase]]

    def write(self, node: ast.expr) -> tuple[str, int]:
        """An expression, and how strongly it binds: 1 a sum, 2 a product, 3 a power, 4 a symbol."""
        if isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            sign, strength = SIGNS[type(node.op)]
            right_strength = strength + (1 if isinstance(node.op, (ast.Sub, ast.Div)) else 0)
            return f"{self.inside(node.left, strength)} {sign} {self.inside(node.right, right_strength)}", strength
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return f"{self.inside(node.left, 4)}^{{{self.write(node.right)[0]}}}", 3
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return f"-{self.inside(node.operand, 2)}", 1
        if isinstance(node, ast.Call) and not node.keywords:
            name = ast.unparse(node.func)
            function = FUNCTIONS.get(name, rf"\mathrm{{{escaped(name.removeprefix('np.'))}}}")
            return f"{function}({', '.join(self.write(part)[0] for part in node.args)})", 4
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            return f"{node.value:g}", 4
        return self.symbol(ast.unparse(node)), 4

    def inside(self, node: ast.expr, strength: int) -> str:
        written, own = self.write(node)
        return written if own >= strength else f"({written})"

    def symbol(self, name: str) -> str:
        """A name of the code as a symbol with its step: f_t, a^{f}_t, h_{t-1}, \\delta c_t, p_i."""
        cell, gates = self.cell, self.gates
        stem, _, index = name.partition("[")
        if index[:-1].isdigit():
            name = self.element(stem, int(index[:-1]), name)
        if name in self.arriving and name.startswith("d"):
            return rf"\delta {self.symbol(name[1:])}^{{\mathrm{{next}}}}"
        if name[0] == "d" and len(name) > 1 and name not in cell.gates:
            one = f"^{{({self.phase})}}" if name == "dh_prev" or (name.endswith("_prev") and len(cell.phases) > 1) else ""
            return rf"\delta {self.symbol(name[1:])}{one}"
        if name.startswith("hat_"):
            hat, gate = name[4], name[6:]
            return rf"\hat{{{hat}}}" + (f"^{{{gate}}}" if len(cell.gates) > 1 else "") + "_t"
        if name == "a" or (name[0] == "a" and name[1:] in (*gates, *cell.gates)):
            return f"a^{{{name[1:]}}}_t" if name[1:] else "a_t"
        return self.plain(name)

    def element(self, stem: str, index: int, name: str) -> str:
        """The name of xg[0], saved[1], s_prev[0] and the like."""
        cell, gates = self.cell, self.gates
        known: dict[str, list[str]] = {
            "xg": [f"hat_x_{gate}" for gate in gates],
            "hg": [f"hat_h_{gate}" for gate in gates],
            "saved": list(cell.saved),
            "s": list(cell.states),
            "s_prev": [f"{state}_prev" for state in cell.states],
            "d": [*(f"d{state}" for state in cell.states), "dm"],
            "dp": [f"dp_{extra}" for extra in cell.extras],
        }
        names = known.get(stem, [])
        return names[index] if index < len(names) else name

    def plain(self, name: str) -> str:
        cell = self.cell
        if name in ("xg", "hg"):  # of a phase with one gate
            return self.symbol(self.element(name, 0, name)) if len(self.gates) == 1 else rf"\hat{{{name[0]}}}_t"
        if name in ("operand", "m"):
            return "m_t"
        if name in GREEK:
            return rf"\{name}_t"
        if name.startswith("p_") and name[2:] in cell.extras:
            return f"p_{{{name[2:]}}}"
        if name.startswith("hg_"):
            return self.symbol(f"hat_h_{name[3:]}")
        stem = name.removesuffix("_prev")
        if len(stem) > 1:
            return rf"\mathrm{{{escaped(name)}}}"
        return f"{stem}_t" if stem == name else f"{stem}_{{t-1}}"


def escaped(name: str) -> str:
    return name.replace("_", r"\_")


def lines_of(cell: ListedCell) -> dict[str, list[str]]:
    """forward, backward and slopes: the lines of LaTeX."""
    forward, backward = equations(cell)
    return {
        "forward": [line.latex for line in forward],
        "backward": [line.latex for line in backward],
        "slopes, written in the output y": slopes(cell),
    }


def slopes(cell: Cell) -> list[str]:
    """What phi' and sigma' are, for activations that have a name."""
    used = {r"\phi'": getattr(cell, "activation", ""), r"\sigma'": getattr(cell, "recurrent_activation", "")}
    return [f"{sign}(y) &= {SLOPES[name]}" for sign, name in used.items() if name in SLOPES]


def as_latex(cell: ListedCell) -> str:
    """All equations, for a document that uses amsmath."""
    return "\n".join(f"% {way}\n\\begin{{aligned}}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}" for way, lines in lines_of(cell).items())


def as_text(cell: ListedCell) -> str:
    """The lines that ran, in the code's own words."""
    parts = {way: [line for line in lines if line.text] for way, lines in equations(cell)._asdict().items()}
    return "\n".join(f"{way}\n" + "\n".join(f"    {line.name} = {line.text}" for line in lines) for way, lines in parts.items())
