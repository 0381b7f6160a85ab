"""Habits that a test holds: file lengths, the direction of imports, what importing costs, the files a wheel needs."""

import ast
import re
import statistics
import subprocess
import sys

import pytest

from rnn_from_scratch import __version__

from ..conftest import LONGEST, ROOT
from ..helpers.guides import PAGES

PACKAGE = ROOT / "rnn_from_scratch"
SOURCES = [p for folder in ("rnn_from_scratch", "kernels", "bench", "tests") for p in (ROOT / folder).rglob("*")]
CXX = {".cpp", ".h", ".cu", ".cuh"}
WEB = {".js", ".css", ".html"}
SOURCES = [p for p in SOURCES if p.suffix in {".py", *CXX, *WEB}]
# imports only run to the left
LAYERS = ["typing", ("array_kinds", "cells", "measure", "rounding", "shown"), ("params", "products"), "bptt", "second_order", "backends"]
# the site of the lessons has the pages of the cells
LAYERS += [("data", "interop"), "verify", "torch", "layers", "tasks", "explain", "lessons", "doctor", "cli"]
HEAVY = {"tensorflow", "keras", "tf_keras", "torch", "jax", "cupy", "matplotlib", "onnx", "onnxruntime"}


def rank(module):
    return next((i for i, names in enumerate(LAYERS) if module in (names if isinstance(names, tuple) else (names,))), -1)


def imports(path):
    """(module, top level or inside a function) of every import in a file; relative ones as dotted names of the package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    package = ["rnn_from_scratch", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, id(node) not in inside) for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            names = [base] if node.module else [[*base, a.name] for a in node.names]
            yield from ((".".join(n), id(node) not in inside) for n in names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, id(node) not in inside


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_source_file_above_250_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("path", [p for p in SOURCES if p.suffix in CXX], ids=lambda p: str(p.relative_to(ROOT)))
def test_cxx_lines_have_at_most_110_characters(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [n for n, line in enumerate(lines, 1) if len(line) > 110]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.suffix in WEB], ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_of_pages_have_at_most_140_characters(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [n for n, line in enumerate(lines, 1) if len(line) > 140]


def test_simple_rnn_is_at_most_60_lines():
    assert len((PACKAGE / "cells/simple_rnn.py").read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    here = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for module, top_level in imports(path):
        root, *rest = module.split(".")
        if root in HEAVY:
            assert not top_level or here in ("layers", "torch", "tasks", "lessons"), f"{module} at the top of {path.name}"
        if root == "rnn_from_scratch" and rest and rank(here) >= 0:
            allowed = rank(rest[0]) < rank(here) or rest[0] == here or rank(rest[0]) == -1
            assert allowed, f"{here} imports {rest[0]}"


def test_importing_is_quick_and_needs_numpy_alone():
    code = "import sys, time, numpy; t = time.process_time(); import rnn_from_scratch; print(time.process_time() - t); "
    code += f"print(sorted({HEAVY!r} & set(sys.modules)))"
    times = []
    for _ in range(5):
        cost, heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
        assert heavy == "[]"
        times.append(float(cost))
    assert statistics.median(times) <= 0.15


def test_the_repository_speaks_of_the_project_alone():
    """No machine paths in any text of the project."""
    texts = [p for p in ROOT.glob("*") if p.is_file() and p.suffix in {".py", ".toml", ""} and p.name != ".git"]
    for path in (*texts, *SOURCES, *(ROOT / page for page in PAGES)):
        if path.name != "test_project.py":
            assert not re.search(r"/(work|home|root|tmp/w)/", path.read_text(encoding="utf-8", errors="ignore")), path


def test_the_files_that_the_tests_begin_with_are_there():
    assert [name for name in LONGEST if not (ROOT / name).exists()] == []


def test_version_is_in_the_changelog():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
