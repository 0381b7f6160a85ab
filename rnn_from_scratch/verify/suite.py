"""Every row of `rnn-from-scratch verify`: the book's numbers, complex-step gradients, and parity with other frameworks."""

from __future__ import annotations

from collections.abc import Iterator

from .. import cells
from ..measure import EXACT, Row, budget, compare, error
from . import books
from .cases import CELLS, SITUATIONS, cast, problem, solve
from .gradcheck import gradcheck
from .parity import parity


def rows(cell: str | None = None, backend: str = "reference") -> Iterator[Row]:
    """Yield the rows one by one, quick ones first. cell: only this one, as in cells.by_name. backend: whose results are checked.

    Raises ValueError for an unknown cell or a backend that cannot run here.
    """
    wanted = type(cells.by_name(cell)) if cell else None
    if wanted in (None, cells.SimpleRNN):
        yield from book_rows(backend)
    yield from gradient_rows(wanted, backend)
    if backend != "reference":
        yield from twin_rows(wanted, backend)
    yield from parity(cell, backend)


def book_rows(backend: str) -> Iterator[Row]:
    for program in books.run(backend):
        yield Row("book", "SimpleRNN", program.name, "float32", program.difference, books.BUDGET, program.what)


def gradient_rows(wanted: type | None, backend: str) -> Iterator[Row]:
    """Complex step for every cell, situation and dtype."""
    for name, cell in CELLS.items():
        for situation in SITUATIONS if wanted in (None, type(cell)) else ():
            for dtype in ("float64", "float32"):
                p = problem(cell, situation, dtype)
                report = gradcheck(cell, p.params, p.x, backend=backend, **p.options)
                shown = report.culprit or report.worst
                text = shown.array if report.ok else str(report)
                yield Row("gradcheck", name, situation, dtype, shown.error, shown.budget, text)


def twin_rows(wanted: type | None, backend: str) -> Iterator[Row]:
    """Outputs, states and gradients against the reference in float64 on the same numbers."""
    for name, cell in CELLS.items():
        for situation in SITUATIONS if wanted in (None, type(cell)) else ():
            for dtype in ("float64", "float32"):
                p = problem(cell, situation, dtype)
                truth, own = solve(cast(p, "float64")), solve(p)
                budgets = {k: EXACT if dtype == "float64" else budget(k, error(own[k], truth[k])) for k in truth}
                worst, e, allowed = compare(solve(p, backend), truth, budgets)
                yield Row("reference twin", name, situation, dtype, e, allowed, worst)
