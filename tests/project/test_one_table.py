"""cells.CELLS is the one table of cells: no other source file lists them, but the tables of rows named here, each with its reason.

A file lists cells if three or more of their names stand in it as whole words: of the class or of the table, in code, in a
comment or in a docstring, since a list in words goes out of date too. A cell's own file may name itself.
"""

import re
from pathlib import Path

import pytest

from rnn_from_scratch import cells

ROOT = Path(__file__).parents[2]
FOLDERS, SUFFIXES = ("rnn_from_scratch", "kernels", "bench"), (".py", ".h", ".cpp", ".cu", ".js")
MANY = 3
ROW_TABLES = {
    "rnn_from_scratch/cells/__init__.py": "the one table",
    "kernels/cells/forms.h": "the one list in C++: what the libraries are built from",
    "rnn_from_scratch/verify/cases.py": "the other options that a form is tried with, where the rule is not enough",
    "rnn_from_scratch/verify/equations.py": "the second writing of each cell's equations",
    "rnn_from_scratch/verify/mutants/planted.py": "the bugs planted in each cell's file",
    "rnn_from_scratch/interop/weight_layouts.py": "how each framework lays out the weights of each form",
    "rnn_from_scratch/interop/to_onnx.py": "the ONNX operator of each form",
    "rnn_from_scratch/layers/step.py": "one Keras cell class for each cell",
    "rnn_from_scratch/layers/recurrent.py": "one Keras layer class for each cell",
    "rnn_from_scratch/torch/__init__.py": "what can be imported from torch, by name for type checkers",
    "rnn_from_scratch/torch/modules.py": "one PyTorch module class for each cell",
    "rnn_from_scratch/torch/single_step.py": "the cells of which torch.nn has a single step",
    "rnn_from_scratch/layers/__init__.py": "what can be imported from layers, by name for type checkers",
    "rnn_from_scratch/explain/web/cells.js": "the twin of each cell's file in JavaScript",
    "rnn_from_scratch/tasks/__init__.py": "the cell of each program of the books",
    "rnn_from_scratch/lessons/exercises/behaviours.py": "the cell that each exercise sets weights of",
    "rnn_from_scratch/lessons/08_variants.py": "the variants whose weights the lesson counts",
    "rnn_from_scratch/lessons/07_carousel.py": "the three cells whose memory the lesson compares",
    "bench/scaling.py": "the shapes that scaling is predicted for, of cells with one, three and four gates",
    "bench/cases.py": "the cells that published benchmarks ran at each shape",
}


def sources(root):
    return [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.suffix in SUFFIXES]


def named_cells(path):
    """The cells of the table that a file names."""
    text = path.read_text(encoding="utf-8")
    return [
        name
        for name, cell in cells.CELLS.items()
        if path.stem != name and re.search(rf"(?<!\w)({re.escape(name)}|{re.escape(cell.__name__)})(?!\w)", text)
    ]


def lists(root):
    """Path -> cells, of the files that list cells."""
    found = {path.relative_to(root).as_posix(): named_cells(path) for path in sources(root)}
    return {path: names for path, names in found.items() if len(names) >= MANY}


def test_no_file_lists_the_cells_but_the_tables_of_rows():
    others = {path: names for path, names in lists(ROOT).items() if path not in ROW_TABLES}
    assert not others, f"derive these from cells.CELLS, or give a reason in ROW_TABLES: {others}"


def test_every_table_of_rows_is_there_and_lists_cells():
    assert set(ROW_TABLES) <= set(lists(ROOT))
    assert all(ROW_TABLES.values())


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("bench/new.py", "KNOWN = (cells.{0}, cells.{1}, cells.{2})", True),
        ("bench/new.py", "KNOWN = (cells.{0}, cells.{1})", False),
        ("bench/new.py", "KNOWN = ({0}Cell, My{1}, cells.{2})", False),
        ("rnn_from_scratch/deep/new.py", '"""Runs {0}, {1} or {2}."""', True),
        ("kernels/new.h", "// {0}<Tanh>, {1}<Tanh>\nFORM(x, {2}<Tanh>)", True),
        ("kernels/new.md", "{0}, {1}, {2}", False),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("by_class", [True, False])
def test_a_list_is_found(tmp_path, file, text, found, first, by_class):
    names = [cell.__name__ if by_class else name for name, cell in cells.CELLS.items()]
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.format(*names[first:]), encoding="utf-8")
    assert (file in lists(tmp_path)) == found
