"""The command `exercise`: the list, a file to fill in, its verdict, hints, the solution."""

from __future__ import annotations

import hashlib
import json as json_module
import time
from pathlib import Path
from typing import Annotated

import typer

from ...backends import emulator
from ...data import InputError
from ...tasks.rundir import check_writable, replace
from . import EXERCISES, SOLUTIONS, STUBS, Exercise, parent

POLL = 0.5  # seconds between two looks at a watched file


def exercise(
    which: Annotated[str | None, typer.Argument(metavar="[ID]", help="Such as 6.1. Without it: all, with those that pass now.")] = None,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="With --check: the file. Else exercise_6_1.py.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Judge the file. Exit code 0: right, 1: wrong, 2: cannot be run.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Judge it again whenever it changes, until it is right.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --check: print JSON.")] = False,
    hint: Annotated[int, typer.Option("--hint", count=True, help="A hint; twice: two.", show_default=False)] = 0,
    solution: Annotated[bool, typer.Option("--solution", help="The solution, once your file passes.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="With --solution: before it passes.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Begin again; the old file is kept under another name.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the inputs it is judged with.", show_default=False)] = None,
    variant: Annotated[int | None, typer.Option(min=0, help="Another form of the exercise.", show_default=False)] = None,
) -> None:
    """Exercises of the lessons. They are judged by the gradient checker, from the forward pass in your own file."""
    ways = {"--check": check or watch, "--hint": bool(hint), "--solution": solution, "--reset": reset}
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: expected one of them")
    if which is None:
        options = {"--seed": seed is not None, "--variant": variant is not None, "--give-up": give_up, "--json": json}
        stray = given + [name for name, value in options.items() if value]
        if stray:
            raise InputError(f"{stray[0]}: which exercise? rnn-from-scratch exercise ID {stray[0]}")
        listing()
        return
    row = find(which)
    for name, value, needed in (("--json", json, check), ("--give-up", give_up, solution), ("FILE", file, check or watch)):
        if value and not needed:
            raise InputError(f"{name}: only with {'--solution' if name == '--give-up' else '--check'}; leave it out")
    if json and watch:
        raise InputError("--json and --watch: expected one of them, got both")
    if variant is not None and variant > len(row.variants):
        raise InputError(f"--variant: exercise {row.id} has 0 to {len(row.variants)}, got {variant}")
    if watch:
        watching(row, file or row.file, seed, variant)
    elif check:
        raise typer.Exit(judge(row, file or row.file, seed, variant, json))
    elif hint:
        hints(row, hint)
    elif solution:
        show_solution(row, give_up, seed, variant)
    else:
        begin(row, reset, seed or 0, variant or 0)


def find(which: str) -> Exercise:
    """The exercise of this id. Raises InputError for an unknown one."""
    id = which.replace("_", ".")
    if id not in EXERCISES:
        raise InputError(f"exercise: expected one of {', '.join(EXERCISES)}, got {which}")
    return EXERCISES[id]


def listing() -> None:
    """Every exercise; a tick where the file in this folder passes now."""
    found = parent.ticked(Path())
    for row in EXERCISES.values():
        status = found.get(row.id, "")
        print(f"{'x' if status == 'right' else ' '} {row.id:5} {row.title}" + f" ({status})" * (status not in ("", "right")))
    print(f"{sum(status == 'right' for status in found.values())} of {len(EXERCISES)} pass in this folder")


def begin(row: Exercise, reset: bool, seed: int, variant: int) -> None:
    """Write the file to fill in, never over another one."""
    path = row.file
    usable, why_not = emulator.available()
    if row.kind == "kernel" and not usable:
        raise InputError(f"exercise {row.id}: {why_not}")
    check_writable(Path(), str(path))
    if path.exists() and not reset:
        raise InputError(f"{path}: is here already; --check judges it, --reset begins again")
    if path.exists():
        number = next(n for n in range(1, 10**6) if not path.with_suffix(f".old{n}.py").exists())
        path.rename(path.with_suffix(f".old{number}.py"))
        print(f"the old one is now {path.with_suffix(f'.old{number}.py')}")
    replace(path, lambda temporary: temporary.write_text(parent.head(row, seed, variant) + row.text(STUBS, variant), encoding="utf-8"))
    print(f"{path}: {row.title}\njudge it by: rnn-from-scratch exercise {row.id} --check")


def judge(row: Exercise, file: Path, seed: int | None, variant: int | None, json: bool = False) -> int:
    """Judge a file and print the verdict; returns the exit code."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        more = f"; rnn-from-scratch exercise {row.id} writes one" if not file.exists() else ""
        raise InputError(f"{file}: cannot be read: {error.strerror}{more}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: expected text in UTF-8") from error
    own_seed, own_variant = parent.asked(text)
    variant = own_variant if variant is None else variant
    if variant > len(row.variants):
        raise InputError(f"{file}: its first line asks for variant {variant}; exercise {row.id} has 0 to {len(row.variants)}")
    outcome = parent.check(row, file, own_seed if seed is None else seed, variant)
    print(json_module.dumps(parent.as_json(row, outcome)) if json else parent.report(row, file, outcome), flush=True)
    if outcome.status == "right" and not json:
        print(parent.wrapped(f"why it is so: {row.hints[-1]}"))
    return outcome.code


def watching(row: Exercise, file: Path, seed: int | None, variant: int | None) -> None:
    """Judge a file whenever it changes. Ends when it is right."""
    seen: tuple[int, int, bytes] | None = None
    try:
        while True:
            now = state(file)
            if now != seen:
                seen = now
                if now is None:
                    print(f"{file}: waits for it", flush=True)
                elif judge(row, file, seed, variant) == 0:
                    return
            time.sleep(POLL)
    except KeyboardInterrupt as stop:
        raise typer.Exit(130) from stop


def state(file: Path) -> tuple[int, int, bytes] | None:
    """Size, time and digest of a file: not every editor changes all three."""
    try:
        about = file.stat()
        return about.st_size, about.st_mtime_ns, hashlib.sha256(file.read_bytes()).digest()
    except OSError:
        return None


def hints(row: Exercise, count: int) -> None:
    for number, words in enumerate(row.hints[:count], 1):
        print(parent.wrapped(f"{number} of {len(row.hints)}: {words}"))
    if count < len(row.hints):
        print(f"one more: rnn-from-scratch exercise {row.id}{' --hint' * (count + 1)}")


def show_solution(row: Exercise, give_up: bool, seed: int | None, variant: int | None) -> None:
    """Print the solution, if the file in this folder passes or who asks gives up."""
    own = parent.asked(row.file.read_text(encoding="utf-8", errors="replace")) if row.file.is_file() else (0, 0)
    seed, variant = own[0] if seed is None else seed, own[1] if variant is None else variant
    if variant > len(row.variants):
        raise InputError(f"{row.file}: its first line asks for variant {variant}; exercise {row.id} has 0 to {len(row.variants)}")
    passes = row.file.is_file() and parent.check(row, row.file, seed, variant).status == "right"
    if not (passes or give_up):
        raise InputError(f"--solution: {row.file} does not pass yet; --give-up shows it all the same")
    print(row.text(SOLUTIONS, variant), end="")
