"""Every operator, sign, index, factor and order of the cells and of the time loop, changed one at a time.

A generated mutant has the same form as a planted one: a text that occurs once, whole lines of it, and what it becomes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from . import CELLS_OF, PACKAGE, WEAK, Verdict, run, score
from .harmless import HARMLESS
from .planted import Mutant

FILES = ("cells/activations.py", *CELLS_OF, "bptt.py", "products.py")
SKIPPED = ("__post_init__", "check_names")  # argument checks, which tests/backends/test_errors.py holds word by word
OPERATORS: dict[type, tuple[str, tuple[str, ...]]] = {  # operator -> its text, what it becomes
    ast.Add: ("+", ("-",)),
    ast.Sub: ("-", ("+",)),
    ast.Mult: ("*", ("+", "/")),
    ast.Div: ("/", ("*",)),
    ast.FloorDiv: ("//", ("*",)),
    ast.MatMult: ("@", ("*",)),
    ast.BitAnd: ("&", ("|",)),
    ast.BitOr: ("|", ("&",)),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
    ast.And: ("and", ("or",)),
    ast.Or: ("or", ("and",)),
}


class Edit(NamedTuple):
    """Characters start..stop of a source become `text`."""

    start: int
    stop: int
    text: str


class Source:
    """One file: its text, and where its syntax tree's nodes lie in it. The files are plain ASCII, so columns are characters."""

    def __init__(self, file: str):
        self.file, self.text = file, (PACKAGE / file).read_text(encoding="utf-8")
        self.lines = [0]
        for line in self.text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def of(self, node: ast.AST) -> str:
        start, stop = self.span(node)
        return self.text[start:stop]

    def replaced(self, node: ast.AST, text: str) -> Edit:
        return Edit(*self.span(node), text)

    def between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> Edit:
        """The operator between two operands; brackets may stand there too."""
        start = self.text.index(old, self.span(left)[1], self.span(right)[0])
        return Edit(start, start + len(old), new)

    def mutant(self, edit: Edit, where: str) -> Mutant:
        """The edit as whole lines: as few before and after it as make its text occur once. `what` is the changed line."""
        first = self.text.rindex("\n", 0, edit.start) + 1
        last = self.text.index("\n", edit.stop) + 1
        changed = " ".join((self.text[first : edit.start] + edit.text + self.text[edit.stop : last]).split("  #")[0].split())
        while self.text.count(self.text[first:last]) != 1:
            first, last = self.text.rindex("\n", 0, first - 1) + 1, self.text.index("\n", last) + 1
        after = self.text[first : edit.start] + edit.text + self.text[edit.stop : last]
        return Mutant(f"{where}: {changed}", self.file, self.text[first:last], after)


def generate(files: tuple[str, ...] = FILES) -> Iterator[Mutant]:
    """Every mutant of every function in the files, each text once."""
    for file in files:
        source, seen = Source(file), set[str]()
        for function, where in functions(ast.parse(source.text)):
            for node in inside(function):
                for edit in edits(source, node):
                    mutant = source.mutant(edit, where)
                    if mutant.after not in (*seen, mutant.before) and compiles(source.text.replace(mutant.before, mutant.after)):
                        seen.add(mutant.after)
                        yield mutant


def functions(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Functions and methods with their names, and tables of lambdas."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name not in SKIPPED:
            yield node, node.name
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name not in SKIPPED:
                    yield method, f"{node.name}.{method.name}"
        if isinstance(node, ast.Assign) and any(isinstance(n, ast.Lambda) for n in ast.walk(node)):
            yield node.value, ast.unparse(node.targets[0])


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of the body, but for annotations, docstrings, error messages."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            if name in ("annotation", "returns", "args", "decorator_list") and not isinstance(node, ast.Call):
                continue
            if isinstance(child, (ast.Raise, ast.JoinedStr)) or (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
                continue
            yield child
            yield from inside(child)


def edits(source: Source, node: ast.AST) -> Iterator[Edit]:
    """The ways to change one node."""
    if isinstance(node, ast.BinOp):
        old, others = OPERATORS[type(node.op)]
        yield from (source.between(node.left, node.right, old, new) for new in others)
        for side in (node.left, node.right):  # without a term, without a factor
            yield source.replaced(node, f"({source.of(side)})")
    elif isinstance(node, ast.BoolOp):
        old, others = OPERATORS[type(node.op)]
        yield from (source.between(a, b, old, new) for a, b in zip(node.values, node.values[1:]) for new in others)
        yield from (source.replaced(node, f"({source.of(value)})") for value in node.values)
    elif isinstance(node, ast.Compare):
        old, others = OPERATORS[type(node.ops[0])]
        yield from (source.between(node.left, node.comparators[0], old, new) for new in others)
    elif isinstance(node, ast.UnaryOp):
        yield source.replaced(node, f"({source.of(node.operand)})")
    elif isinstance(node, ast.IfExp):
        yield from (source.replaced(node, f"({source.of(side)})") for side in (node.body, node.orelse))
    elif isinstance(node, ast.If):
        yield from (source.replaced(node.test, text) for text in ("True", "False"))
    elif isinstance(node, ast.AugAssign):
        start, stop = source.span(node.target)[1], source.span(node.value)[0]
        yield from (Edit(start, stop, text) for text in (" = ", " -= "))
        yield source.replaced(node, "pass")
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield source.replaced(node, str(not node.value))
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield from (source.replaced(node, repr(node.value + by)) for by in (1, -1))
    elif isinstance(node, ast.Tuple):
        for a, b in zip(node.elts, node.elts[1:]):
            text = source.text[source.span(a)[1] : source.span(b)[0]]
            yield Edit(source.span(a)[0], source.span(b)[1], source.of(b) + text + source.of(a))
    if isinstance(node, (ast.Assign, ast.Return)) and isinstance(node.value, ast.BinOp):
        yield source.replaced(node.value, f"-({source.of(node.value)})")


def compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def sweep(mutants: Sequence[Mutant], workers: int = 2) -> list[Verdict]:
    """A verdict for each, in their order, with the weak checks run too; worked out in several processes."""
    parts = [list(range(k, len(mutants), 4 * workers)) for k in range(4 * workers)]
    found: dict[int, Verdict] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for part, verdicts in zip(parts, pool.map(verdicts_of, [[mutants[k] for k in part] for part in parts])):
            found.update(zip(part, verdicts))
    return [found[k] for k in range(len(mutants))]


def summary(verdicts: Sequence[Verdict]) -> str:
    """The score, and every survivor with the reason why it changes nothing."""
    lines = [score(verdicts, "generated")]
    for v in verdicts:
        if not v.check:
            name = f"{v.mutant.file} {v.mutant.what}"
            lines += [f"  {name}", f"    {HARMLESS.get(name, 'NO REASON GIVEN')}"]
    return "\n".join(lines)


def verdicts_of(mutants: list[Mutant]) -> list[Verdict]:
    return list(run(mutants, weak=WEAK))
