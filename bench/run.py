"""The command `rnn-from-scratch bench`: runs the suites in a process of their own, shows progress, then reports and compares."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
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
from rnn_from_scratch.verify.table import rewrite

from . import report as reports
from .cases import TRAIN

HERE = Path(__file__).parent
NEEDED = {"pytest": "pytest", "pytest_benchmark": "pytest-benchmark", "matplotlib": "matplotlib"}
QUICK = ["--quick", "--within=215", "--seconds=0.1", "--rounds=1", "--benchmark-max-time=0.1", "--benchmark-min-rounds=3"]


def main(quick: bool, report: Path | None, compare: Path | None) -> int:
    """Time everything, or with `quick` a choice in under 4 minutes; returns the exit code.

    report    folder to make; gets bench.json, bench.md and plots. Not quick, in a checkout: the table of bench/README.md is rewritten too
    compare   bench.json of an earlier run: 1 if a row became slower by more than report.THRESHOLD

    1 also if a case failed parity (it has no time then). Raises InputError for what cannot be used, before anything runs.
    """
    console = Console()
    if missing := [title for package, title in NEEDED.items() if find_spec(package) is None]:
        raise InputError(f'needs {", ".join(missing)}: pip install "rnn_from_scratch[bench]"')
    if report is not None and report.exists() and not report.is_dir():
        raise InputError(f"--report {report}: expected a folder, got a file")
    checkout = (HERE.parent / "setup.py").exists()
    readme = HERE / "README.md" if checkout and report is not None and not quick else None
    if readme is not None and readme.read_text(encoding="utf-8").count("<!-- bench: ") != 2:
        raise InputError(f"{readme}: expected <!-- bench: begin --> and <!-- bench: end -->, for the table")
    old = None if compare is None else reports.load(compare)
    if report is not None:
        try:
            report.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--report {report}: cannot be made: {error.strerror}") from error
        check_writable(report, f"--report {report}")
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "bench.json"
        try:
            code = suites(found, QUICK if quick else [], console)
        except KeyboardInterrupt:
            console.print("interrupted; nothing was written")
            return 130
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
    slower = old is not None and grew(old, new, console)
    return 1 if code or slower else 0


def suites(found: Path, options: list[str], console: Console) -> int:
    """Run pytest on this folder; its JSON goes to `found`. Returns its exit code; prints what failed or was skipped."""
    command = [sys.executable, "-m", "pytest", str(HERE), "-v", "-ra", "--tb=short", "--benchmark-json", str(found), *options]
    command += ["-c", os.devnull, "--rootdir", str(HERE), "-p", "no:cacheprovider", "-o", "console_output_style=count"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "200"}
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
    if pytest.returncode not in (0, 1):
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
    console.print(f"\n{reports.where(results)}\n{reports.ABOVE}", markup=False, highlight=False)
    for title, what in (("Forward and all gradients", TRAIN), ("Inference", "inference")):
        peers, lines = reports.peers_lines(results, what)
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
        table.add_column("B,T,I,H", no_wrap=True)
        for name in ("ms", *peers):
            table.add_column(name, justify="right")
        cells = dict.fromkeys(line[0] for line in lines)
        for name in cells:
            table.add_row(Text(name, style="bold", no_wrap=True))
            for _, shape, ms, _, *ratios in (line for line in lines if line[0] == name):
                table.add_row(shape.replace(" ", "\n"), ms, *ratios)
        if lines:
            console.print(f"\n{title}", table, sep="\n", highlight=False)


def grew(old: reports.Results, new: reports.Results, console: Console) -> bool:
    """Print what became slower than in the older file. True if something did, or if the two have no row in common."""
    then, now = (reports.where(results) for results in (old, new))
    if then != now:
        console.out(f"compared with another machine or other versions:\n  then {then}\n  now  {now}", highlight=False)
    slower, common = reports.compare(old, new)
    for name, times in slower:
        console.print(f"slower by {times:.2f}: {name}", markup=False, highlight=False, style="red")
    console.print(f"{common} rows compared, {len(slower)} slower by more than {reports.THRESHOLD}", highlight=False)
    return bool(slower) or not common
