"""Starts the process that judges a learner's file, and sees to the clock."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, NamedTuple

from . import EXERCISES, Exercise
from .judges import Check

SECONDS = 20.0  # that a file may take
SHOWN = 20  # lines of what it prints
HEAD = re.compile(r"# exercise (\S+), seed (\d+), variant (\d+)\n")


class Outcome(NamedTuple):
    """status: right, wrong, not begun or cannot be run; why: a line; printed: what the file wrote."""

    status: str
    why: str
    checks: tuple[Check, ...]
    printed: str
    seconds: float

    @property
    def code(self) -> int:
        return {"right": 0, "wrong": 1, "not begun": 1}.get(self.status, 2)

    @property
    def points(self) -> tuple[int, int]:
        """How many checks hold, of how many; checks of one name count once."""
        names = {check.name for check in self.checks}
        off = {check.name for check in self.checks if not check.ok}
        return len(names - off), max(1, len(names))


def head(exercise: Exercise, seed: int, variant: int) -> str:
    """The first line of a learner's file."""
    return f"# exercise {exercise.id}, seed {seed}, variant {variant}\n"


def asked(text: str) -> tuple[int, int]:
    """Seed and variant that the first line of a file names; else 0, 0."""
    found = HEAD.match(text)
    return (int(found[2]), int(found[3])) if found else (0, 0)


def check(exercise: Exercise, file: Path, seed: int, variant: int) -> Outcome:
    """Judge a file, in a process of its own with limits of time and memory."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        answer, said = Path(folder) / "answer.json", Path(folder) / "said.txt"
        command = [sys.executable, "-m", f"{__package__}.child", str(file), exercise.id, str(seed), str(variant), str(answer)]
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {**os.environ, **threads, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8"}
        with open(said, "wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        late = False
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end(process)
        printed = said.read_bytes()[:100_000].decode(errors="replace")
        seconds = round(time.perf_counter() - began, 2)
        if late:
            return Outcome("cannot be run", f"it did not end within {SECONDS:.0f} seconds: an endless loop?", (), printed, seconds)
        if not answer.exists():
            why = f"it ended Python before it could be judged (exit code {process.returncode})"
            return Outcome("cannot be run", why, (), printed, seconds)
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    checks = tuple(Check(c["name"], c["ok"], c["text"], tuple(c["where"])) for c in found["checks"])
    return Outcome(found["status"], found["why"], checks, printed, seconds)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):  # it has ended, and has left nobody behind
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def report(exercise: Exercise, file: Path, outcome: Outcome) -> str:
    """The verdict, the culprit, its hint, and what the file printed, for people."""
    lines = [f"{exercise.id}  {outcome.status}: {exercise.title}" + f"  ({outcome.seconds} s)" * (outcome.status == "right")]
    if outcome.why:
        lines.append(wrapped(f"{file}: {outcome.why}"))
    off = [c for c in outcome.checks if not c.ok]
    told = next((c for c in off if c.where[0]), next((c for c in off if c.text), None))
    if told:
        lines += [wrapped(line) for line in told.text.splitlines()]
        lines += [wrapped(f"hint: {words}") for words in [hint(exercise, told)] if words]
    others = sorted({c.name for c in off if c is not told and c.name != (told and told.name)})
    if others:
        lines.append(f"  also wrong: {', '.join(others)}")
    printed = outcome.printed.splitlines()
    if printed:
        lines += ["  it printed:", *(f"    {line[:74]}" for line in printed[:SHOWN])]
        lines += [f"    ... {len(printed) - SHOWN} lines more"] * (len(printed) > SHOWN)
    return "\n".join(lines)


def wrapped(text: str) -> str:
    """A paragraph, indented, that fits 80 columns; a long path stays whole."""
    return textwrap.fill(text, 79, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def hint(exercise: Exercise, check: Check) -> str:
    """What an exercise says to a wrong gradient here: of carrying first, then of a gate, then of an array."""
    array, block, step = check.where
    keys = ["carry"] * bool(step) + [f"{array}[{block}]", array]
    return next((exercise.told[key] for key in keys if key in exercise.told), "")


def as_json(exercise: Exercise, outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain values: exercise, ok, points, of, findings, seconds."""
    points, of = outcome.points
    off = [c.text or c.name for c in outcome.checks if not c.ok]
    findings = [outcome.why] * bool(outcome.why) + off
    made = {"exercise": exercise.id, "ok": outcome.status == "right", "status": outcome.status, "points": points, "of": of}
    return {**made, "findings": findings, "seconds": outcome.seconds}


def ticked(folder: Path) -> dict[str, str]:
    """id -> the status of the file of every exercise that has one in this folder, judged now."""
    found = {}
    for row in EXERCISES.values():
        file = folder / row.file
        if file.is_file():
            found[row.id] = check(row, file, *asked(file.read_text(encoding="utf-8", errors="replace"))).status
    return found
