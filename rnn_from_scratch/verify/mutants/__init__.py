"""Do the checks catch bugs? Plant each bug into a copy of the package, import the copy under another name, run the checks in it.

planted.py is the list of bugs by name, sweep.py makes hundreds more from every operator, sign, index and factor, checks.py is what
must catch them all.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .planted import PLANTED, Mutant

__all__ = ["PLANTED", "Mutant", "Verdict", "report", "run"]
PACKAGE = Path(__file__).parents[2]
COPY = "rnn_from_scratch_mutated"  # the name under which the copy is imported
CHECKS = ("gradcheck", "equations", "promises")
FORMS = ("SimpleRNN", "LSTM", "PeepholeLSTM", "GRU reset after", "GRU reset before")
CELLS_OF = {"cells/simple_rnn.py": "SimpleRNN", "cells/lstm.py": "LSTM", "cells/peephole_lstm.py": "PeepholeLSTM", "cells/gru.py": "GRU"}


class Verdict(NamedTuple):
    """Which check caught a mutant, and at what; "" if none did."""

    mutant: Mutant
    check: str
    found: str


@contextmanager
def copy_of_package() -> Iterator[Path]:
    """A temporary folder with a copy of this package in it, importable as COPY."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder) / COPY, ignore=shutil.ignore_patterns("layers", "tasks", "data", "oracles", "*.so"))
        before = sys.dont_write_bytecode
        sys.dont_write_bytecode = True  # a file changed twice within the clock's resolution must not come from a cache
        sys.path.insert(0, folder)
        try:
            yield Path(folder) / COPY
        finally:
            sys.path.remove(folder)
            sys.dont_write_bytecode = before


@contextmanager
def planted(mutant: Mutant, copy: Path) -> Iterator[ModuleType]:
    """The checks of the copy with one bug in it. Raises ValueError unless the text before occurs once in its file."""
    path = copy / mutant.file
    right = path.read_text(encoding="utf-8")
    if right.count(mutant.before) != 1:
        raise ValueError(f"mutant '{mutant.what}': expected its text once in {mutant.file}, found it {right.count(mutant.before)} times")
    try:
        path.write_text(right.replace(mutant.before, mutant.after), encoding="utf-8")
        importlib.invalidate_caches()
        yield importlib.import_module(f"{COPY}.verify.mutants.checks")
    finally:
        path.write_text(right, encoding="utf-8")
        for name in [name for name in sys.modules if name.split(".")[0] == COPY]:
            del sys.modules[name]


def verdict(mutant: Mutant, copy: Path, checks: Iterable[str]) -> Verdict:
    """Run the checks in turn until one catches the mutant. A mutant that cannot be imported is caught."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with planted(mutant, copy) as tools:
                cells = [name for name in tools.CELLS if name.startswith(CELLS_OF.get(mutant.file, ""))]
                for check in checks:
                    found = tools.first_failure(check, cells)
                    if found:
                        return Verdict(mutant, check, found)
        except (ImportError, NameError, SyntaxError, TypeError, AttributeError) as error:
            return Verdict(mutant, "import", f"{type(error).__name__}: {error}")
    return Verdict(mutant, "", "")


def run(mutants: Iterable[Mutant] = tuple(PLANTED), checks: Iterable[str] = CHECKS) -> Iterator[Verdict]:
    """One verdict per mutant. Raises ValueError if the checks fail on the package as it is, or if a mutant does not fit it."""
    checks = tuple(checks)
    with copy_of_package() as copy:
        with planted(Mutant("none", "bptt.py", "\nfrom __future__", "\nfrom __future__"), copy) as tools:
            for check in checks:
                found = tools.first_failure(check, list(FORMS))
                if found:
                    raise ValueError(f"mutants: {check} fails without any mutant: {found}")
        for mutant in mutants:
            yield verdict(mutant, copy, checks)


def report(console: Any, checks: Iterable[str] = CHECKS) -> bool:
    """Print every planted bug with the check that caught it, and the score; True if all were caught. console: rich's."""
    from rich.markup import escape
    from rich.table import Table

    verdicts = []
    with console.status("plants bugs") as status:
        for v in run(checks=checks):
            verdicts.append(v)
            status.update(f"{len(verdicts)} of {len(PLANTED)} bugs planted; now {v.mutant.file}")
    table = Table("file", "bug", "", "caught by", box=None, header_style="bold", pad_edge=False)
    for v in verdicts:
        outcome = "[green]caught[/green]" if v.check else "[bold red]SURVIVED[/bold red]"
        table.add_row(v.mutant.file, escape(v.mutant.what), outcome, escape(f"{v.check}: {v.found}" if v.check else ""))
    console.print(table)
    caught = sum(bool(v.check) for v in verdicts)
    console.print(f"\n{caught} of {len(verdicts)} planted bugs caught", highlight=False)
    return caught == len(verdicts)
