"""Breaks cells.js and loop.js in one place at a time, and says what nobody noticed.

    python -m tests.helpers.mutate_javascript

A mutant is noticed if a result of some problem is off by more than 1e-12, is no number, or if it fails.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from rnn_from_scratch.cells import forms

from . import javascript
from .twin_cases import MAIN, every_cell, problem

OPERATORS = {  # pattern -> what it is replaced by
    r" \* ": [" + ", " / "],
    r" \+ ": [" - ", " * "],
    r" - ": [" + "],
    r" / ": [" * "],
    r" (\+|-)= (?!4\))": [" = "],  # i = 4 in the head of a loop would never end
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
function main({ before, after, main, mutants, right, problems }) {
  const answer = (text) => {
    try {
      return new Function(`"use strict";${before}\\n${text}\\n${after}\\n${main}\\nreturn main;`)()(problems);
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
  return mutants.map((text) => noticed(answer(text)));
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


# (line of the file, what was changed) -> why the same numbers have to come out
EQUIVALENT = {
    ("const got = backwardUnit(layer, tape, t, u, k, k === K - 1 ? d : [...d, dOperand[t * H + u]]);", " -  ->  + "):
        "the last phase is then handed the operand's gradient, too, and no cell looks at it",
}  # fmt: skip


def problems(name: str) -> list[dict]:
    """For the cells: every cell with every activation, plain, and with inputs so large that the corners of hard_sigmoid are passed.

    For the loop: every form, masked and backwards, in stacks, of sizes that four divides or not, and with a loss before the last step.
    """
    asked = []
    if name == "loop.js":
        for seed, cell in enumerate(forms().values()):
            for T, inputs, units, masked, backwards in ((3, 2, 3, False, False), (5, 6, 5, True, True), (4, 8, 4, False, True)):
                one, _ = problem([(cell, backwards)], T, inputs, units, masked, seed)
                bare = [{"row": layer["row"], "params": without_bias(layer["params"])} for layer in one["layers"]]
                asked += [one, {**one, "upTo": T - 2}, {**one, "layers": bare, "initial": None, "dstate": None}, {**one, "dy": None}]
        one, _ = problem([(cell, back) for cell, back in zip(forms().values(), (False, True, False, True, True))], 5, 3, 4, True, 0)
        masks = ([False, True, True, True, True], [True, True, True, True, False], 5 * [False])
        return [*asked, one, {**one, "upTo": 3}, {**one, "everywhere": True}, *({**one, "live": live} for live in masks)]
    for seed, cell in enumerate(every_cell().values()):
        one, _ = problem([(cell, False)], 3, 2, 3, False, seed)
        asked += [one, {**one, "x": [8 * v for v in one["x"]]}]
    return asked


def without_bias(params: dict[str, list]) -> dict[str, list]:
    return {name: values for name, values in params.items() if name not in ("b", "bx", "bh")}


def survivors(name: str) -> list[Mutant]:
    """The mutants of a file that no problem notices, and that do not stand in EQUIVALENT."""
    every = list(mutants(name))
    cells, loop = javascript.sources("cells.js"), javascript.sources("loop.js")
    others = {"before": cells, "after": ""} if name == "loop.js" else {"before": "", "after": loop}
    given = {**others, "main": MAIN, "right": javascript.sources(name), "problems": problems(name)}
    noticed = javascript.call(RUN, {**given, "mutants": [mutant.text for mutant in every]})
    left = [mutant for mutant, seen in zip(every, noticed) if not seen and (mutant.where, mutant.what) not in EQUIVALENT]
    for mutant in left:
        print(f"{name}:{mutant.line}: {mutant.what}\n    {mutant.where}")
    print(f"{len(every)} mutants, {len(left)} survive")
    return left


if __name__ == "__main__":
    sys.exit(any([survivors(name) for name in ("cells.js", "loop.js")]))
