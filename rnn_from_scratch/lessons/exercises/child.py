"""What runs in the process of a learner's file: load it, let its judge ask, write down what came out.

    python -m rnn_from_scratch.lessons.exercises.child FILE ID SEED VARIANT ANSWER

The file is somebody else's code. Whatever it does (print, exit, fail, eat memory) becomes an answer in words; parent.py sees to
what it may do to the clock.
"""

from __future__ import annotations

import errno
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from ...backends import emulator
from . import EXERCISES, STUBS, behaviours, judges, kernels

MEMORY = 2 << 30  # bytes
PRINTED = 1 << 20  # bytes that a file may print, or write


def limit() -> None:
    """Set the limits of this process, where the system has them."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, PRINTED)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def module_of(text: str, name: str) -> ModuleType:
    """A module made of a text."""
    made = ModuleType(Path(name).stem)
    made.__file__ = name
    exec(compile(text, name, "exec"), vars(made))
    return made


def judged(file: str, id: str, seed: int, variant: int) -> dict[str, Any]:
    """status: right, wrong, not begun or cannot be run; why: a line; checks: name, ok, text, where."""
    row, text = EXERCISES[id], Path(file).read_text(encoding="utf-8")
    usable, why_not = emulator.available()
    if row.kind == "kernel" and not usable:
        return {"status": "cannot be run", "why": why_not, "checks": []}
    stub = module_of(row.text(STUBS, variant), "stub")
    try:
        module = module_of(text, file)
        missing = [name for name in vars(stub) if name not in vars(module)]
        if missing:
            return {"status": "cannot be run", "why": f"{', '.join(missing)}: in the exercise, but not in {file}", "checks": []}
        judge = next(getattr(file_of, row.judge) for file_of in (judges, behaviours, kernels) if hasattr(file_of, row.judge))
        checks = [check._asdict() for check in judge(row, module, stub, seed)]
    except NotImplementedError as error:
        return {"status": "not begun", "why": str(error) or "fill in what raises NotImplementedError", "checks": []}
    except SystemExit:
        return {"status": "cannot be run", "why": f"{place(sys.exc_info()[2], file)}it calls sys.exit; leave that out", "checks": []}
    except MemoryError:
        why = f"{place(sys.exc_info()[2], file)}it asks for more than {MEMORY >> 30} GB of memory"
        return {"status": "cannot be run", "why": why, "checks": []}
    except SyntaxError as error:
        return {"status": "cannot be run", "why": f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}", "checks": []}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a learner's file may raise anything
        said = " ".join(str(error).split()) or "no message"
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            said = f"it prints more than {PRINTED >> 20} MB"
        return {"status": "cannot be run", "why": f"{place(sys.exc_info()[2], file)}{type(error).__name__}: {said}", "checks": []}
    right = bool(checks) and all(check["ok"] for check in checks)
    untouched = without_head(text) == row.text(STUBS, variant)
    status = "right" if right else "not begun" if untouched else "wrong"
    why = "the bug is still in it" if status == "not begun" else ""
    return {"status": status, "why": why, "checks": checks}


def without_head(text: str) -> str:
    """A learner's file without the line that says which exercise it is."""
    return text.partition("\n")[2] if text.startswith("# exercise ") else text


def place(trace: Any, file: str) -> str:
    """The last line of a file in a traceback, with its text."""
    found = [frame for frame in traceback.extract_tb(trace) if frame.filename == file]
    if not found:
        return ""
    line = Path(file).read_text(encoding="utf-8").splitlines()[found[-1].lineno - 1] if found[-1].lineno else ""
    return f"line {found[-1].lineno}: {line.strip()}: "


def main() -> None:
    file, id, seed, variant, answer = sys.argv[1:]
    limit()
    found = judged(file, id, int(seed), int(variant))
    Path(answer).write_text(json.dumps(found, default=float), encoding="utf-8")


if __name__ == "__main__":
    main()
