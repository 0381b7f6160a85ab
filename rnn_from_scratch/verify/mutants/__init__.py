"""Do the checks catch bugs? Plant each bug into a copy of the package, import the copy under another name, run the checks in it.

planted.py is the list of bugs by name, sweep.py makes hundreds more from every operator, sign, index and factor, checks.py is what
must catch them all, weak.py what others do.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ... import cells
from .planted import PLANTED, Mutant

__all__ = ["PLANTED", "Mutant", "Verdict", "report", "run", "without_bugs"]
PACKAGE = Path(__file__).parents[2]
COPY = "rnn_from_scratch_mutated"  # the name under which the copy is imported
CHECKS = ("equations", "gradcheck", "invariants")
WEAK = ("constant weights", "one direction")
FORMS = tuple(cells.forms())
CELLS_OF = {f"cells/{name}.py": cell.__name__ for name, cell in cells.CELLS.items()}  # file -> its class
NOTHING = Mutant("nothing", "bptt.py", "\nfrom __future__ import annotations\n", "\nfrom __future__ import annotations\n")


class Verdict(NamedTuple):
    """Which check caught a mutant and at what, "" if none did; and which of the weak checks caught it too."""

    mutant: Mutant
    check: str
    found: str
    weak: tuple[str, ...] = ()


@contextmanager
def copy_of_package() -> Iterator[Path]:
    """A temporary folder with a copy of this package in it, importable as COPY; verify/__init__.py is empty there, for speed."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PACKAGE, Path(folder) / COPY, ignore=shutil.ignore_patterns("layers", "tasks", "data", "oracles", "*.so"))
        (Path(folder) / COPY / "verify/__init__.py").write_text("", encoding="utf-8")
        before = sys.dont_write_bytecode
        sys.dont_write_bytecode = True  # a file that changes twice within a tick of the clock must not come from a cache
        sys.path.insert(0, folder)
        try:
            yield Path(folder) / COPY
        finally:
            sys.path.remove(folder)
            sys.dont_write_bytecode = before


@contextmanager
def planted(mutant: Mutant, copy: Path) -> Iterator[None]:
    """The copy with one bug in it, ready for import. Raises ValueError unless the text before occurs once in its file."""
    path = copy / mutant.file
    right = path.read_text(encoding="utf-8")
    if right.count(mutant.before) != 1:
        raise ValueError(f"mutant '{mutant.what}': expected its text once in {mutant.file}, found it {right.count(mutant.before)} times")
    try:
        path.write_text(right.replace(mutant.before, mutant.after), encoding="utf-8")
        importlib.invalidate_caches()
        yield
    finally:
        path.write_text(right, encoding="utf-8")
        for name in [name for name in sys.modules if name.split(".")[0] == COPY]:
            del sys.modules[name]


def verdict(mutant: Mutant, copy: Path, checks: Iterable[str], weak: Iterable[str] = ()) -> Verdict:
    """Run all the weak checks, then ours in turn until one catches the mutant. A cell's mutant is looked for in that cell alone."""
    with planted(mutant, copy), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ours, others = (importlib.import_module(f"{COPY}.verify.mutants.{name}") for name in ("checks", "weak"))
        except Exception as error:  # what cannot be imported is caught by anybody
            return Verdict(mutant, "import", f"{type(error).__name__}: {error}", tuple(weak))
        own = CELLS_OF.get(mutant.file)
        names = [name for name, cell in ours.CELLS.items() if own in (None, type(cell).__name__)]
        forms = [name for name in names if name in FORMS]
        others_found = tuple(check for check in weak if ours.first_failure(others.WEAK[check], forms))
        for check in checks:
            found = ours.first_failure(ours.CHECKS[check], forms if mutant is NOTHING else names)
            if found:
                return Verdict(mutant, check, found, others_found)
    return Verdict(mutant, "", "", others_found)


def run(mutants: Iterable[Mutant], checks: Sequence[str] = CHECKS, weak: Sequence[str] = ()) -> Iterator[Verdict]:
    """One verdict per mutant. Raises ValueError if a mutant does not fit the package, or if a check fails on it as it is."""
    with copy_of_package() as copy:
        healthy = verdict(NOTHING, copy, checks, weak)
        if healthy.check or healthy.weak:
            raise ValueError(f"mutants: {healthy.check or healthy.weak} fails with nothing planted: {healthy.found}")
        for mutant in mutants:
            yield verdict(mutant, copy, checks, weak)


def without_bugs() -> list[str]:
    """The cells in whose files planted.py plants nothing."""
    files = {mutant.file for mutant in PLANTED}
    return [cell.__name__ for name, cell in cells.CELLS.items() if f"cells/{name}.py" not in files]


def report(console: Any, checks: Sequence[str] = CHECKS) -> bool:
    """Print every planted bug with the check that caught it, and the score; True if all were caught. console: rich's."""
    from rich.markup import escape
    from rich.table import Table

    verdicts: list[Verdict] = []
    with console.status("checks that nothing is found where nothing is planted") as status:
        for v in run(PLANTED, checks, WEAK):
            verdicts.append(v)
            status.update(f"{len(verdicts)} of {len(PLANTED)} bugs; now {v.mutant.file}")
    table = Table("file", "bug", "", "caught by", box=None, header_style="bold", pad_edge=False)
    for v in verdicts:
        outcome = "[green]caught[/green]" if v.check else "[bold red]SURVIVED[/bold red]"
        table.add_row(v.mutant.file, escape(v.mutant.what), outcome, escape(f"{v.check}: {v.found}" if v.check else ""))
    console.print(table)
    console.print(f"\n{score(verdicts)}", highlight=False)
    if names := without_bugs():
        console.print(f"no bugs are planted in {', '.join(names)}: they want a row in verify/mutants/planted.py", highlight=False)
    return all(v.check for v in verdicts)


def score(verdicts: Sequence[Verdict], kind: str = "planted") -> str:
    """Ours, and what the weak checks let through."""
    caught = sum(bool(v.check) for v in verdicts)
    others = "; ".join(f"{name}: {sum(name in v.weak for v in verdicts)}" for name in WEAK)
    return f"{caught} of {len(verdicts)} {kind} bugs caught. The same bugs, as others check: {others}"
