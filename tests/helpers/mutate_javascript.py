"""Breaks cells.js in one place at a time, and says what nobody noticed.

    python -m tests.helpers.mutate_javascript

A mutant is noticed if a result of some problem is off by more than 1e-12, is no number, or if it fails.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from . import javascript
from .twin_cases import MAIN, every_cell, problem

OPERATORS = {  # pattern -> what it is replaced by
    r" \* ": [" + ", " / "],
    r" \+ ": [" - ", " * "],
    r" - ": [" + "],
    r" / ": [" * "],
    r" (\+|-)= ": [" = "],
    r" <= ": [" > "],
    r" >= ": [" < "],
    r" > ": [" >= ", " < "],
    r" < ": [" <= ", " > "],
    r" === ": [" !== "],
    r" && ": [" || "],
    r" \? ([^:?;]+) : ([^,;)\]}]+)": [r" ? \2 : \1"],
    r"\[(\d)\](?!,)": ["[0]", "[1]", "[2]"],
    r"\[, (\w+)\] = ": [r"[\1] = "],
    r"Math\.(min|max)": ["Math.hypot"],
    r"-a\b": ["a"],
    r"\b[36]\b(?!\])": ["5"],
    r"\bphi\.f\b": ["sigma.f"],
    r"\bsigma\.f\b": ["phi.f"],
    r"\bphi\.derivative\b": ["sigma.derivative"],
    r"\bsigma\.derivative\b": ["phi.derivative"],
}
RUN = """
function main({ loop, main, mutants, right, problems }) {
  const answer = (cells) => {
    try {
      return new Function(`"use strict";${cells}\\n${loop}\\n${main}\\nreturn main;`)()(problems);
    } catch (broken) {
      return null;
    }
  };
  const truth = answer(right);
  const same = (a, b) => {
    if (a.length !== b.length) return false;
    const size = Math.max(...b.map(Math.abs), 0);
    return a.every((v, j) => typeof v === "number" && Math.abs(v - b[j]) <= 1e-12 * size);
  };
  const differs = (one, n) => Object.keys(truth[n]).some((name) => !same(one[name], truth[n][name]));
  const noticed = (found) => found === null || found.some(differs);
  if (noticed(truth)) throw new Error("the unbroken twins are not even equal to themselves");
  return mutants.map((cells) => noticed(answer(cells)));
}
"""


class Mutant(NamedTuple):
    line: int
    what: str
    where: str
    text: str


def mutants(name: str = "cells.js") -> Iterator[Mutant]:
    """Every way in which the file is broken; comments and lists of names are left alone."""
    text = javascript.sources(name)
    code = re.sub(r"//[^\n]*|\"[^\"\n]*\"|phases: [^\n]*|return \{[^\n]*|const names = [^\n]*", lambda found: "\0" * len(found[0]), text)
    for pattern, replacements in OPERATORS.items():
        for found in re.finditer(pattern, code):
            for new in replacements:
                made = found.expand(new) if "\\" in new else new
                if made == found[0]:
                    continue
                line = text.count("\n", 0, found.start())
                yield Mutant(
                    line + 1, f"{found[0]} -> {made}", text.splitlines()[line].strip(), text[: found.start()] + made + text[found.end() :]
                )


def problems() -> list[dict]:
    """Every cell with every activation: plain, and with inputs so large that the corners of hard_sigmoid are passed."""
    asked = []
    for seed, cell in enumerate(every_cell().values()):
        one, _ = problem([(cell, False)], 3, 2, 3, False, seed)
        asked += [one, {**one, "x": [8 * v for v in one["x"]]}]
    return asked


def survivors() -> list[Mutant]:
    """The mutants that no problem notices."""
    every = list(mutants())
    given = {"loop": javascript.sources("loop.js"), "main": MAIN, "right": javascript.sources("cells.js"), "problems": problems()}
    noticed = javascript.call(RUN, {**given, "mutants": [mutant.text for mutant in every]})
    left = [mutant for mutant, seen in zip(every, noticed) if not seen]
    for mutant in left:
        print(f"cells.js:{mutant.line}: {mutant.what}\n    {mutant.where}")
    print(f"{len(every)} mutants, {len(left)} survive")
    return left


if __name__ == "__main__":
    sys.exit(bool(survivors()))
