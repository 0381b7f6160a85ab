"""Which lines of a cell ran, and with what numbers: the call itself is watched, so that branches and phases need no parsing.

A line of several assignments, `i, f = sigma(ai), sigma(af)`, is told apart: i = sigma(ai) and f = sigma(af). A return line tells
what it computes under the name of what it returns: a GRU's `return (z * h_prev + (1 - z) * n,), ...` is h = z * h_prev + (1 - z) * n.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from ..typing import Cell


class Assignment(NamedTuple):
    """name = text: the right side in the code's own words, and the arrays before and after."""

    name: str
    text: str
    value: Any
    before: dict[str, Any]  # the names that the line could read


class Line(NamedTuple):
    """A line of a cell's file that ran."""

    number: int
    code: str
    comment: str
    assignments: tuple[Assignment, ...]


Names = Any  # a name, or a tuple of these: what is returned, by name


def watch(cell: Cell, way: str, *args: Any) -> tuple[Any, list[Line]]:
    """Call cell.forward or cell.backward, and keep its lines that made a number, in the order in which they ran.

    cell  any object of the shape of Cell
    way   "forward" or "backward"
    args  what the method takes: k, xg, hg, s_prev, saved, p; or k, d, saved, s_prev, s, p

    Returns what the method returned, and the lines. There are none if its source cannot be found.

    >>> import numpy as np
    >>> from rnn_from_scratch import cells
    >>> from rnn_from_scratch.explain.watch import watch
    >>> a = np.array([[[0.5]]])
    >>> (h,), lines = watch(cells.SimpleRNN(), "forward", 0, a, a / 2, (a[0],), (), ())
    >>> for line in lines:
    ...     print([f"{a.name} = {a.text}" for a in line.assignments])
    ['a = xg[0] + hg[0]']
    ['h = phi(a)']
    """
    method = getattr(cell, way)
    watched = {code_of(method): returned_names(cell, way, *args)}
    if hasattr(cell, "operand"):
        watched[code_of(cell.operand)] = "operand"
    lines: list[Line] = []
    running: dict[int, tuple[ast.stmt, dict[str, Any]]] = {}  # frame -> the statement that it is in, and its names before that

    def finish(frame: Any, result: Any) -> None:
        if id(frame) in running:
            statement, before = running.pop(id(frame))
            after = dict(frame.f_locals)
            told = tuple(assignments(statement, before, after, result, watched[frame.f_code]))
            if told:
                lines.append(Line(statement.lineno, *text_of(frame.f_code, statement), told))

    def tracer(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code not in watched:
            return None
        statement = statements(frame.f_code).get(frame.f_lineno)
        if event == "line" and (statement is None or statement is not running.get(id(frame), (None,))[0]):
            finish(frame, None)
            if statement is not None:
                running[id(frame)] = statement, {name: kept(value) for name, value in frame.f_locals.items()}
        elif event == "return":
            finish(frame, arg)
        return tracer

    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        result = method(*args)
    finally:
        sys.settrace(old)
    return result, lines


def kept(value: Any) -> Any:
    """A copy of an array, which a line may change in place."""
    return np.array(value) if isinstance(value, np.ndarray) else value


def code_of(method: Any) -> CodeType | None:
    return getattr(inspect.unwrap(getattr(method, "__func__", method)), "__code__", None)


def returned_names(cell: Cell, way: str, k: int, *args: Any) -> Names:
    """The names of what phase k returns."""
    gates = [cell.gates[g] for g in cell.phases[k]]
    if way == "forward":
        saved = args[3]
        return (tuple(cell.states) if k == len(cell.phases) - 1 else "operand", tuple(cell.saved[len(saved) :]))
    dxg, dhg = tuple(f"da{gate}" for gate in gates), tuple(f"dhg_{gate}" for gate in gates)
    return dxg, dxg if cell.shared else dhg, tuple(f"d{state}_prev" for state in cell.states), tuple(f"dp_{e}" for e in cell.extras)


@cache
def source(code: CodeType) -> tuple[list[str], int, ast.AST]:
    """The lines of a function, the number of the first, and its tree, numbered as in the file; no lines where there is no source."""
    try:
        lines, first = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):  # typed at a prompt, or a lambda amid a call
        return [], 0, ast.Module([], [])
    return lines, first, ast.increment_lineno(tree, first - 1)


@cache
def statements(code: CodeType) -> dict[int, ast.stmt]:
    """Line number -> the assignment or return that it belongs to."""
    kinds = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return)
    found = [s for s in ast.walk(source(code)[2]) if isinstance(s, kinds) and s.value is not None]
    return {n: s for s in found for n in range(s.lineno, (s.end_lineno or s.lineno) + 1)}


def text_of(code: CodeType, statement: ast.stmt) -> tuple[str, str]:
    """A statement as it is written, and the comment after it."""
    lines, first, _ = source(code)
    written = " ".join(line.strip() for line in lines[statement.lineno - first : (statement.end_lineno or statement.lineno) - first + 1])
    text, _, comment = written.partition("  # ")
    return text, comment


def assignments(statement: ast.stmt, before: dict[str, Any], after: dict[str, Any], result: Any, names: Names) -> Iterator[Assignment]:
    """What a statement computed, one name at a time."""
    if isinstance(statement, ast.Return):
        yield from returned(statement.value or ast.Constant(None), names, result, before)
    elif isinstance(statement, ast.AugAssign):
        plain = ast.BinOp(ast.parse(ast.unparse(statement.target), mode="eval").body, statement.op, statement.value)
        yield from assigned(statement.target, plain, before, after)
    elif isinstance(statement, ast.AnnAssign):
        yield from assigned(statement.target, statement.value or ast.Constant(None), before, after)
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from assigned(target, statement.value, before, after)


def assigned(target: ast.expr, value: ast.expr, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Assignment]:
    if isinstance(target, (ast.Tuple, ast.List)):
        n = len(target.elts)
        same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == n
        for index, part in enumerate(target.elts):
            yield from assigned(part, value.elts[index] if same else element(value, index, n, before), before, after)  # type: ignore[attr-defined]
    elif isinstance(value, ast.Tuple) and isinstance(target, ast.Name):
        for index, part in enumerate(value.elts):
            if not isinstance(part, (ast.Name, ast.Constant)):  # da = (dai, daf) computes nothing
                yield from assigned(ast.Subscript(target, ast.Constant(index), ast.Load()), part, before, after)
    elif not is_renaming(value, before):
        yield from one(ast.unparse(target), value, evaluate(target, after), before)


def returned(value: ast.expr, names: Names, result: Any, before: dict[str, Any]) -> Iterator[Assignment]:
    if isinstance(names, tuple):
        if isinstance(value, ast.Tuple) and len(value.elts) <= len(names):
            for part, name, made in zip(value.elts, names, result):
                yield from returned(part, name, made, before)
    elif not isinstance(value, (ast.Name, ast.Constant)) and not is_renaming(value, before) and not calls_operand(value):
        yield from one(names, value, result, before)


def one(name: str, value: ast.expr, made: Any, before: dict[str, Any]) -> Iterator[Assignment]:
    if isinstance(made, (np.ndarray, np.number, float)):
        yield Assignment(name, ast.unparse(value), made, before)


def calls_operand(value: ast.expr) -> bool:
    """Is it self.operand(...)? Its own line tells more."""
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "operand"


def element(value: ast.expr, index: int, n: int, names: dict[str, Any]) -> ast.expr:
    """The expression of one of n elements: xg + hg -> xg[0] + hg[0]."""

    class Select(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            held: Any = names.get(node.id)
            whole = isinstance(held, tuple) or (isinstance(held, np.ndarray) and held.ndim > 2)
            if whole and len(held) == n:
                return ast.Subscript(node, ast.Constant(index), ast.Load())
            return node

    if isinstance(value, ast.Name):
        return ast.Subscript(value, ast.Constant(index), ast.Load())
    text = ast.unparse(value)
    chosen = Select().visit(ast.parse(text, mode="eval").body)
    return chosen if ast.unparse(chosen) != text else ast.Subscript(chosen, ast.Constant(index), ast.Load())


def is_renaming(value: ast.expr, names: dict[str, Any]) -> bool:
    """Does it only take an element of an argument that has names already, as in f = saved[1]? Those of the arrays xg and hg have none."""
    while isinstance(value, (ast.Subscript, ast.Attribute)):
        value = value.value
    return isinstance(value, ast.Name) and not isinstance(names.get(value.id), np.ndarray)


def evaluate(target: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return evaluate(target.value, names)[target.slice.value]
    return names.get(target.id) if isinstance(target, ast.Name) else None


def number(value: Any, unit: int) -> float | None:
    """What an array has for a unit of the first row: of [B,H], [H] or a plain number; else None."""
    if not isinstance(value, (np.ndarray, np.number, float, int)) or np.ndim(value) > 2:
        return None
    array = np.atleast_1d(np.asarray(value))
    row = array if array.ndim == 1 else array[0]
    return float(row[unit if len(row) > 1 else 0]) if row.size else None


def with_numbers(assignment: Assignment, unit: int) -> str:
    """The right side with a number for every name: sigma(af) -> sigma(0.5)."""
    found: list[tuple[int, int, str]] = []

    def visit(node: ast.AST) -> None:
        value = evaluate(node, assignment.before) if isinstance(node, (ast.Name, ast.Subscript)) else None
        shown = number(value, unit)
        if shown is not None:
            found.append((node.col_offset, node.end_col_offset, f"{shown:.4g}"))  # type: ignore[attr-defined]
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(assignment.text, mode="eval").body)
    text = assignment.text
    for start, end, shown in sorted(found, reverse=True):
        text = text[:start] + shown + text[end:]
    return text
