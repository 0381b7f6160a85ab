"""Everything that only a GPU can tell, in one command: `make gpu-check`, or python -m bench.gpu_check. Needs CuPy, no TensorFlow.

    make gpu-check MINUTES=8 PYTHON=...        stop after 8 minutes; the sections of gpu_sections.py run in the order of their worth
    python -m bench.gpu_check --plan           which sections there are and how long they may take; needs no GPU
    python -m bench.gpu_check --only constants "six shapes"

gpu_report.json and gpu_report.md are written again after every piece of work. So they hold what was found when the time is up, when
somebody presses Ctrl-C, when a section crashes, and even when the process dies. Exit code 0: all is right; 1: something is wrong;
2: nothing could run; 3: right as far as it came.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rnn_from_scratch
from rnn_from_scratch.backends.gpu import cuda

from . import gpu_parity, gpu_report, gpu_sections
from .gpu_sections import SECTIONS, Section

BETWEEN_WRITES = 1.0  # seconds


class Stopped(BaseException):
    """No more time, or somebody wants an end. Not an Exception, so that nothing on the way takes it for a fault."""


class Run:
    """What one run has found so far, where it is written, and how long it may still take."""

    def __init__(self, cupy: Any, report: dict[str, Any], out: Path, seconds: float):
        self.cupy, self.report, self.out = cupy, report, out
        self.began, self.seconds, self.written, self.why = time.perf_counter(), seconds, 0.0, ""

    def taken(self) -> float:
        return time.perf_counter() - self.began

    def left(self) -> float:
        """Seconds; inf if no limit was given."""
        return self.seconds - self.taken()

    def go_on(self) -> None:
        """Raises Stopped if this is the end."""
        if self.left() <= 0:
            self.why = self.why or "the time was up"
        if self.why:
            raise Stopped(self.why)

    def stop(self, number: int, frame: Any) -> None:
        """A signal: Ctrl-C, SIGTERM, or the alarm. The next one of its kind does what it always does."""
        alarm = number == getattr(signal, "SIGALRM", None)
        signal.signal(number, signal.SIG_IGN if alarm else signal.SIG_DFL)
        self.why = "the time was up" if alarm else f"stopped by {signal.Signals(number).name}"
        raise Stopped(self.why)

    def write(self, now: bool = False) -> None:
        """Both files, whole or not at all, unless they were written a moment ago."""
        if not now and time.perf_counter() - self.written < BETWEEN_WRITES:
            return
        self.report["seconds"] = round(self.taken(), 1)
        self.out.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("gpu_report.json", json.dumps(self.report, indent=1) + "\n"),
            ("gpu_report.md", gpu_report.markdown(self.report)),
        ):
            draft = self.out / f"{name}.draft"
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.out / name)
        self.written = time.perf_counter()


@contextmanager
def heard(run: Run) -> Iterator[None]:
    """Signals stop the run, and so does the clock, in the middle of a piece of work too."""
    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGALRM] if hasattr(signal, "SIGALRM") else [])]
    kept = {number: signal.signal(number, run.stop) for number in numbers}
    if hasattr(signal, "setitimer") and run.seconds < float("inf"):
        signal.setitimer(signal.ITIMER_REAL, max(run.left(), 1e-3))
    try:
        yield
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in kept.items():
            signal.signal(number, handler)


def carry_out(run: Run, sections: tuple[Section, ...]) -> None:
    """One section after another; what each has found goes into the report piece by piece."""
    rows = run.report["sections"] = {s.name: {"state": "not reached", "seconds": 0.0, "expected": s.seconds} for s in sections}
    try:
        with heard(run):
            for section in sections:
                run.go_on()
                one(run, section, rows[section.name])
    except Stopped:
        pass
    run.write(now=True)


def one(run: Run, section: Section, row: dict[str, Any]) -> None:
    """A section, to its end or as far as it comes."""
    print(f"{section.name} ...", file=sys.stderr, flush=True)
    began, row["state"] = time.perf_counter(), "begun"
    run.write(now=True)
    try:
        for _ in section.run(run):
            row["seconds"] = round(time.perf_counter() - began, 1)
            run.write()
            run.go_on()
        row["state"] = "done"
    except Stopped as why:
        row["state"] = f"cut short: {why}"
        raise
    except Exception as fault:  # whatever it is, the next sections may still have something to say
        row["state"] = f"crashed: {type(fault).__name__}: {fault}"[:500]
    finally:
        row["seconds"] = round(time.perf_counter() - began, 1)


def facts(cupy: Any) -> dict[str, Any]:
    runtime = cupy.cuda.runtime
    return {
        "gpu": runtime.getDeviceProperties(0)["name"].decode(),
        "compute capability": cupy.cuda.Device().compute_capability,
        "CUDA": runtime.runtimeGetVersion(),
        "driver": runtime.driverGetVersion(),
        "cupy": cupy.__version__,
        "rnn_from_scratch": rnn_from_scratch.__version__,
        "python": platform.python_version(),
    }


def chosen(names: list[str] | None) -> tuple[Section, ...]:
    """The sections of these names, all if there are none. Raises ValueError for a name that no section has."""
    known = {section.name: section for section in SECTIONS}
    for name in names or ():
        if name not in known:
            raise ValueError(f"--only: expected some of {', '.join(known)}, got {name!r}")
    return tuple(section for section in SECTIONS if not names or section.name in names)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_check", description="Check and time the CUDA kernels on this GPU.")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for gpu_report.json and gpu_report.md")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many, with what has been found")
    parser.add_argument("--only", nargs="+", metavar="SECTION", help="these sections and no others")
    parser.add_argument("--plan", action="store_true", help="say which sections there are and how long they may take, and run nothing")
    parser.add_argument("--tiny", action="store_true", help="a few comparisons and nothing else: what compute-sanitizer looks at")
    options = parser.parse_args(arguments)
    try:
        sections = chosen(options.only)
        if not options.minutes > 0:
            raise ValueError(f"--minutes: expected a number above 0, got {options.minutes}")
    except ValueError as fault:
        print(f"gpu-check: {fault}", file=sys.stderr)
        return 2
    if options.plan:
        print(gpu_sections.schedule(sections, options.minutes * 60))
        return 0
    usable, why_not = cuda.available()
    if not usable:
        print(f"gpu-check: {why_not}", file=sys.stderr)
        return 2
    import cupy

    if options.tiny:
        return int(any(not row["error"] <= row["allowed"] for row in gpu_parity.in_both_tiers(gpu_parity.FEW)))
    print(gpu_sections.schedule(sections, options.minutes * 60), file=sys.stderr)
    run = Run(cupy, {"facts": facts(cupy), "limits": cuda.limits(0)._asdict()}, options.out, options.minutes * 60)
    carry_out(run, sections)
    print(gpu_report.markdown(run.report))
    return gpu_report.verdict(run.report)


if __name__ == "__main__":
    sys.exit(main())
