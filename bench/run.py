"""The command `rnn-from-scratch bench`: runs the suites in a process of their own, shows progress, then reports and compares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rnn_from_scratch.data import InputError
from rnn_from_scratch.tasks.rundir import check_writable
from rnn_from_scratch.tasks.settings import meant
from rnn_from_scratch.verify.table import rewrite

from . import cases, interleaved
from . import compare as comparison
from . import report as reports

HERE = Path(__file__).parent
NEEDED = {"pytest": "pytest", "pytest_benchmark": "pytest-benchmark", "matplotlib": "matplotlib"}
NO_ROW = 5  # pytest's exit code where nothing was collected
QUICK = ["--quick", "--within=215", "--seconds=0.1", "--rounds=1", "--turns=7", "--benchmark-max-time=0.1", "--benchmark-min-rounds=3"]


def main(
    quick: bool = False,
    report: Path | None = None,
    compare: Path | None = None,
    *,
    cell: str | None = None,
    shape: str | None = None,
    peer: str | None = None,
    what: str | None = None,
    threshold: float = comparison.THRESHOLD,
    within: float | None = None,
) -> int:
    """Time everything, or with `quick` a choice in under 4 minutes; returns the exit code.

    report      folder to make; gets bench.json, bench.md and plots. All rows, in a checkout: the table of bench/README.md is rewritten too
    compare     bench.json of an earlier run, or the folder of an older checkout: 1 if a row became slower by more than `threshold`.
                With a folder nothing else is timed
    cell, shape, peer, what   only rows of this cell (any case), this shape (a name or 'B,T,I,H'), beside this peer, of this pass
    within      seconds after which the rows that are left are skipped

    1 also if a case failed parity (it has no time then). Raises InputError for what cannot be used, before anything runs.
    """
    console = Console()
    if missing := [title for package, title in NEEDED.items() if find_spec(package) is None]:
        raise InputError(f'needs {", ".join(missing)}: pip install "rnn_from_scratch[bench]"')
    asked = check_asked(cell, shape, peer, what)
    for name, value, least in (("threshold", threshold, 1), ("within", within, 0)):
        if value is not None and not least < value < float("inf"):
            raise InputError(f"--{name}: expected a number above {least}, got {value:g}")
    if compare is not None and compare.is_dir():
        return in_turn(compare, quick, report, asked, threshold, within, console)
    if report is not None and report.exists() and not report.is_dir():
        raise InputError(f"--report {report}: expected a folder, got a file")
    checkout = (HERE.parent / "setup.py").exists()
    readme = HERE / "README.md" if checkout and report is not None and not quick and not asked and within is None else None
    if readme is not None and readme.read_text(encoding="utf-8").count("<!-- bench: ") != 2:
        raise InputError(f"{readme}: expected <!-- bench: begin --> and <!-- bench: end -->, for the table")
    old = None if compare is None else reports.load(compare)
    if report is not None:
        try:
            report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--report {report}: cannot be made: {error.strerror}") from error
        check_writable(report, f"--report {report}")
    options = [*(QUICK if quick else []), *(f"--{name}={value}" for name, value in asked.items())]
    options += [f"--within={within}"] * (within is not None)  # the last one counts
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "bench.json"
        try:
            code = suites(found, options, console)
        except KeyboardInterrupt:
            console.print("interrupted; nothing was written")
            return 130
        if code == NO_ROW:
            raise InputError("nothing to time: no row is all of " + ", ".join(f"--{name} {value}" for name, value in asked.items()))
        if code not in (0, 1) or not found.exists():  # interrupted or worse: pytest said what; or no row was reached
            console.print("nothing was timed" if code in (0, 1) else "the suites did not finish; nothing was written")
            return 1
        new = reports.load(found)
        if report is not None:
            target = report / "bench.json"
            target.with_suffix(".part").write_bytes(found.read_bytes())
            target.with_suffix(".part").replace(target)
    summary(new, console)
    if report is not None:
        console.out(f"\nwrote {report / 'bench.json'}", *reports.write(new, report), sep="\n  ", highlight=False)
    if readme is not None:
        rewrite(readme, "bench", reports.readme_table(new))
        console.out(f"rewrote the table in {readme}", highlight=False)
    slower = old is not None and comparison.with_file(old, new, threshold, console)
    return 1 if code or slower else 0


def check_asked(cell: str | None, shape: str | None, peer: str | None, what: str | None) -> dict[str, str]:
    """What was asked for, by the names of the suites. Raises InputError for what they do not have."""
    if cell is not None:
        try:
            cell = cases.named(cell)
        except KeyError as error:
            raise InputError(f"--cell: expected one of {', '.join(cases.CELLS)}, got {cell}" + meant(cell, cases.CELLS)) from error
    if shape is not None and shape not in cases.SHAPES and not re.fullmatch(r"[1-9]\d*(,[1-9]\d*){3}", shape):
        known = f"B,T,I,H, as in 64,50,128,128, or one of {', '.join(cases.SHAPES)}"
        raise InputError(f"--shape: expected {known}, got {shape}" + meant(shape, cases.SHAPES))
    for name, value, names in (("peer", peer, tuple(reports.TITLES)), ("what", what, (*cases.PASSES, cases.STEP))):
        if value is not None and value not in names:
            raise InputError(f"--{name}: expected one of {', '.join(names)}, got {value}" + meant(value, names))
    asked = {"cell": cell, "shape": shape, "peer": peer, "what": what}
    return {name: value for name, value in asked.items() if value is not None}


def in_turn(
    folder: Path, quick: bool, report: Path | None, asked: dict[str, str], threshold: float, within: float | None, console: Console
) -> int:
    """--compare with a folder."""
    if unused := [name for name, given in (("--report", report is not None), ("--peer", "peer" in asked)) if given]:
        raise InputError(f"{unused[0]}: not with --compare FOLDER, which times old and new alone")
    timer = folder / "bench" / "time_one.py"
    if not timer.exists():
        raise InputError(f"--compare {folder}: expected a bench.json, or a checkout of this project; there is no bench/time_one.py")
    if "--turns" not in timer.read_text(encoding="utf-8"):
        raise InputError(f"--compare {folder}: it is too old to take turns; compare with a bench.json that it wrote")
    jobs = comparison.jobs(quick, asked.get("cell"), asked.get("shape"), asked.get("what"))
    if not jobs:
        raise InputError("nothing to time: no row is all of " + ", ".join(f"--{name} {value}" for name, value in asked.items()))
    if within is not None or quick:
        interleaved.deadline = time.monotonic() + (within or comparison.QUICK_WITHIN)
    times = comparison.QUICK if quick else comparison.FULL
    return int(comparison.with_folder(folder, jobs, times, threshold, console))


def suites(found: Path, options: list[str], console: Console) -> int:
    """Run pytest on this folder; its JSON goes to `found`. Returns its exit code; prints what failed or was skipped."""
    command = [sys.executable, "-m", "pytest", str(HERE), "-v", "-ra", "--tb=short", "--benchmark-json", str(found), *options]
    command += ["-c", os.devnull, "--rootdir", str(HERE), "-p", "no:cacheprovider", "-o", "console_output_style=count"]
    # pytest-benchmark times nothing in a worker of pytest-xdist; these processes are none, whatever started this one
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "200"}
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    lines: list[str] = []
    with (
        Progress(*columns, console=console) as progress,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as pytest,
    ):
        bar = progress.add_task("collecting", total=None)
        assert pytest.stdout is not None
        for line in pytest.stdout:
            lines.append(line.rstrip())
            if counted := re.search(r"\[ *(\d+)/(\d+)\]$", lines[-1]):
                done, total = map(int, counted.groups())
                progress.update(bar, completed=done, total=total, description=escape(row_name(lines[-1])))
        progress.update(bar, description="timed")
    for line in lines:
        if re.match("(FAILED|ERROR) ", line):
            console.print(line, markup=False, highlight=False, style="red")
    for reason, rows in not_run(lines).items():
        console.print(f"{rows} rows not run: {reason}", markup=False, highlight=False, style="yellow")
    if pytest.returncode not in (0, 1, NO_ROW):
        console.print("\n".join(lines[-30:]), markup=False, highlight=False)
    return pytest.returncode


def not_run(lines: list[str]) -> Counter[str]:
    """Reason -> rows, of the lines 'SKIPPED [rows] file:line: reason' of pytest -ra."""
    reasons: Counter[str] = Counter()
    for line in lines:
        if skipped := re.match(r"SKIPPED \[(\d+)\] .*?:\d+: (.*)", line):
            reasons[skipped.group(2)] += int(skipped.group(1))
    return reasons


def row_name(line: str) -> str:
    """'torch-LSTM-mnist-inference' of a line of pytest -v."""
    name = re.search(r"\[(.+?)\] ", line)
    return f"{name.group(1):<40.40s}" if name else ""


def summary(results: reports.Results, console: Console) -> None:
    """What the tables of bench/README.md say, for a screen of 80 columns."""
    texts = reports.where(results), reports.ABOVE, reports.unsteady_rows(results)
    console.print("", *texts, sep="\n", markup=False, highlight=False)
    for title, what in reports.TABLES.items():
        peers, lines = reports.peers_lines(results, what)
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
        table.add_column("B,T,I,H", no_wrap=True)
        for name in ("ms", *peers):
            table.add_column(name, justify="right")
        cells = dict.fromkeys(line[0] for line in lines)
        for name in cells:
            table.add_row(Text(name, style="bold", no_wrap=True))
            for _, shape, ms, _, *ratios in (line for line in lines if line[0] == name):
                table.add_row(shape.replace(" ", "\n"), ms, *(ratio.replace(" ", "\n") for ratio in ratios))
        if lines:
            console.print(f"\n{title}", table, sep="\n", highlight=False)
