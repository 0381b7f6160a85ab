"""Breaks the text of kernels in one place at a time, and gathers what nobody noticed: what the mutate_*.py scripts share."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from types import ModuleType
from typing import NamedTuple
from unittest.mock import patch

from rnn_from_scratch.backends.gpu import source

from .sample import drawn

MASKS = {  # a choice by mask, direction or state that every kernel makes -> what it is replaced by
    r"\bon(\[i\])? \?": ["true ?", "false ?"],
    r"\bif \(on(\[i\])?\)": ["if (true)", "if (false)"],
    r"\brev \?": ["!rev ?"],
    r"!zero_masked && step >= (first|first_live)\[b\]": [r"step >= \1[b]", "!zero_masked"],
    r"!live \|\| on(\[i\])? \|\|": ["!live ||"],
}


TYPES = r"extern|REAL|Number|STORE\*|Four|bool|unsigned|Words|OPERAND|float|RNN_FN|__shared__"  # what declarations begin with


class Mutant(NamedTuple):
    """One break: what is replaced by what, in which line of a file, and the whole text that results."""

    file: str
    line: int
    what: str
    where: str
    text: str


def mutants(file: str, selections: dict[str, list[str]], local: set[str]) -> Iterator[Mutant]:
    """Every way in which a file is broken: barriers dropped, selections replaced, indices moved by one, those of local arrays to 0."""
    text = (source.folder() / file).read_text(encoding="utf-8")
    code = re.sub(r"//[^\n]*|#define[^\n]*", lambda m: " " * len(m[0]), text)  # the same places, without comments

    def made(start: int, end: int, new: str) -> Mutant:
        old = text[start:end]
        what = f"{old.strip()} -> {new.strip() or 'nothing'}"
        line = text.count("\n", 0, start)
        return Mutant(file, line + 1, what, text.splitlines()[line].strip(), text[:start] + new + text[end:])

    for barrier in re.finditer(r"__syncthreads\(\);", code):
        yield made(*barrier.span(), ";")
    for pattern, replacements in selections.items():
        for found in re.finditer(pattern, code):
            for new in replacements:
                yield made(*found.span(), found.expand(new))
    for name, start, end in subscripts(code):
        inside = text[start:end]
        if name not in local:
            yield made(start, end, f"({inside}) + 1")
        elif inside != "0":
            yield made(start, end, "0")


def subscripts(code: str) -> Iterator[tuple[str, int, int]]:
    """(array, start, end) of what is inside every pair of brackets that is an index, not a declaration or a capture."""
    for opened in re.finditer(r"(\w+|\))(\[)", code):
        line = code[code.rfind("\n", 0, opened.start()) + 1 : opened.start()]
        if re.search(rf"^\s*((const )?({TYPES}))\s", line) and "=" not in line:
            continue
        depth, end = 1, opened.end()
        while depth:
            depth += {"[": 1, "]": -1}.get(code[end], 0)
            end += 1
        yield opened[1], opened.end(), end - 1


def left_out(file: str, mutated: list[Mutant], names: str) -> list[str]:
    """Lines with a barrier, or with a choice by one of the names (a pattern), that no mutant touches."""
    broken, choice = {m.line for m in mutated if m.file == file}, r"(\?|&&|\|\||if \(|while \()"
    need = re.compile(rf"__syncthreads|\b({names})\b.*{choice}|{choice}.*\b({names})\b")
    text = (source.folder() / file).read_text(encoding="utf-8").splitlines()
    lines = enumerate((line.partition("//")[0] for line in text), 1)
    return [f"{file}:{n}: {line.strip()}" for n, line in lines if need.search(line) and n not in broken]


def out_of_date(files: tuple[str, ...], selections: dict[str, list[str]]) -> list[str]:
    """The patterns that match nothing in these files."""
    texts = [(source.folder() / file).read_text(encoding="utf-8") for file in files]
    return [pattern for pattern in selections if not any(re.search(pattern, text) for text in texts)]


@contextmanager
def planted(mutant: Mutant, *makers: tuple[ModuleType, str]) -> Iterator[None]:
    """The texts that these functions, (module, name), make hold the mutant in place of its file."""
    mark = f'#line 1 "{mutant.file}"\n'
    right = mark + (source.folder() / mutant.file).read_text(encoding="utf-8")
    with ExitStack() as stack:
        for module, name in makers:
            make = getattr(module, name)
            broken = lambda *args, make=make: make(*args).replace(right, mark + mutant.text)  # noqa: E731
            stack.enter_context(patch.object(module, name, broken))
        yield


def survivors(every: list[Mutant], caught: Callable[[Mutant], str], known: dict[tuple[str, str], str], limit: float) -> list[Mutant]:
    """The mutants that `caught` does not notice; each is printed with its fate. known: (what, where) -> why it changes nothing.

    Raises TimeoutError after `limit` seconds.
    """
    left = []
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, XDG_CACHE_HOME=folder):  # none of this is worth keeping
        caught(every[0])  # the machine is compiled once
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
            for mutant, report in zip(every, pool.map(caught, every, chunksize=2, timeout=limit)):
                fate = report.splitlines()[0] if report else f"SURVIVES: {known.get((mutant.what, mutant.where), 'nobody knows why')}"
                print(f"{mutant.file}:{mutant.line}: {mutant.what}\n    {fate}", flush=True)
                if not report:
                    left.append(mutant)
    print(f"{len(every)} mutants, {len(left)} survive")
    return left


def unexplained(
    every: list[Mutant], caught: Callable[[Mutant], str], known: dict[tuple[str, str], str], limit: float
) -> tuple[list[Mutant], set[tuple[str, str]]]:
    """Of a draw of the mutants those that `caught` does not notice and `known` does not explain; what `known` explains without need."""
    tried = drawn(every)
    left = survivors(tried, caught, known, limit)
    # several mutants may have one name: another one may survive
    unsure = {(m.what, m.where) for m in left} | {(m.what, m.where) for m in every if m not in tried}
    return [m for m in left if (m.what, m.where) not in known], set(known) & {(m.what, m.where) for m in tried} - unsure
