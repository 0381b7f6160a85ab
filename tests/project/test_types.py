"""What a type checker and help() say of the public functions: types, not Any."""

import inspect
import os
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import rnn_from_scratch
from rnn_from_scratch import backends, cells, verify
from rnn_from_scratch.bptt import Gradients, Tape
from rnn_from_scratch.interop import conventions
from rnn_from_scratch.second_order import SecondGradients, Tangents
from rnn_from_scratch.typing import Array, Cell, ListedCell, PhasedCell

from ..conftest import ROOT

SCRIPT = """
import numpy as np
from rnn_from_scratch import backends, backward, cells, forward, gradcheck, init_params

class MinimalCell:
    gates, states, saved, extras, shared, phases = ("n",), ("h",), (), (), True, ((0,),)

    def forward(self, k, xg, hg, s_prev, saved, p):
        return (np.tanh(xg[0] + hg[0]),), ()

    def backward(self, k, d, saved, s_prev, s, p):
        da = d[0] * (1 - s[0] ** 2)
        return (da,), (da,), (0.0,), ()

cell = cells.LSTM()
params = init_params(cell, 3, 4)
result = forward(cell, params, np.ones((2, 3, 3), np.float32), lengths=np.array([1, 2]))
grads = backward(result[2], np.ones_like(result[0]))
gradcheck(MinimalCell())
reveal_type(result[0])
reveal_type(result[1])
reveal_type(result[2])
reveal_type(grads.params)
reveal_type(gradcheck(cell))
reveal_type(params)
reveal_type(backends.choose(cell, params, result[0]).reason)
reveal_type(cells.CELLS["gru"](reset_after=False))
forward(3, params, result[0])
"""
ARRAY = "numpy.ndarray[tuple[Any, ...], numpy.dtype[Any]]"
REVEALED = [
    ARRAY,
    f"tuple[{ARRAY}, ...]",
    "rnn_from_scratch.bptt.Tape | None",
    f"dict[str, {ARRAY}]",
    "rnn_from_scratch.verify.report.Report",
    f"dict[str, {ARRAY}]",
    "str",
    "rnn_from_scratch.typing.ListedCell",
]
FUNCTIONS = {
    "forward": (rnn_from_scratch.forward, tuple[Array, tuple[Array, ...], Tape | None]),
    "backward": (rnn_from_scratch.backward, Gradients),
    "truncated_bptt": (rnn_from_scratch.truncated_bptt, tuple[Array, tuple[Array, ...], Gradients]),
    "jvp": (rnn_from_scratch.jvp, Tangents),
    "backward_vjp": (rnn_from_scratch.backward_vjp, SecondGradients),
    "hvp": (rnn_from_scratch.hvp, Gradients),
    "init_params": (rnn_from_scratch.init_params, dict[str, Array]),
    "gradcheck": (rnn_from_scratch.gradcheck, verify.Report),
    "check_function": (verify.check_function, verify.FunctionReport),
    "available": (backends.available, dict[str, tuple[bool, str]]),
    "choose": (backends.choose, backends.Choice),
    "by_name": (cells.by_name, ListedCell),
    "to_framework": (conventions.to_framework, dict[str, Array]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_what_they_take_and_return(name):
    function, returns = FUNCTIONS[name]
    hints = typing.get_type_hints(function)  # names in annotations exist when the program runs
    assert hints["return"] == returns
    assert set(inspect.signature(function).parameters) < set(hints)
    assert hints.get("cell", Cell) in (Cell, ListedCell)


@pytest.mark.parametrize("made", [Tape, Gradients, verify.Report, verify.FunctionReport, verify.Pair, backends.Choice])
def test_fields_have_types(made):
    assert typing.Any not in typing.get_type_hints(made).values()


@pytest.mark.parametrize("name", cells.forms())
def test_cells_have_every_member_of_the_protocol(name):
    cell, protocol = cells.forms()[name], PhasedCell if len(cells.forms()[name].phases) > 1 else ListedCell
    members = [n for p in (Cell, protocol) for n, v in vars(p).items() if n[0] != "_" and (callable(v) or isinstance(v, property))]
    assert members and [n for n in members if not hasattr(cell, n)] == []


def test_help_shows_the_types():
    shown = str(inspect.signature(rnn_from_scratch.forward)).replace("'", "")
    assert shown.startswith("(cell: Cell, params: dict[str, Array], x: Array, ")
    assert shown.endswith("-> tuple[Array, tuple[Array, ...], Tape | None]")


@pytest.mark.check
def test_mypy_sees_the_types_of_the_installed_package(tmp_path):
    """Installed as a user has it: built from a copy, in a folder of its own. No compiler: types need no native library."""
    copy, target, script = tmp_path / "copy", tmp_path / "site", tmp_path / "mine.py"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "dist", "tests", "runs", "*.so", "*.egg-info"))
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(copy)]
    subprocess.run([sys.executable, *install], check=True, env={**os.environ, "CXX": "false", "CC": "false"})
    script.write_text(SCRIPT, encoding="utf-8")
    found = mypy(script, target)
    revealed = [line.split('Revealed type is "')[1].rstrip('"') for line in found if "Revealed type" in line]
    errors = [line for line in found if ": error:" in line]
    assert [r.replace("builtins.", "") for r in revealed] == REVEALED
    assert len(errors) == 1
    assert 'Argument 1 to "forward" has incompatible type "int"; expected "Cell"' in errors[0]


def mypy(script: Path, packages: Path) -> list[str]:
    """What mypy says of a script that imports from a folder of packages."""
    (script.parent / "mypy.ini").write_text("[mypy]\nignore_missing_imports = true\nfollow_imports = silent\n", encoding="utf-8")
    code = f"import os, sys; os.environ['MYPYPATH'] = {str(packages)!r}; from mypy import api; print(*api.run(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, script.name], cwd=script.parent, capture_output=True, text=True)
    return done.stdout.splitlines()
