"""What README and the guides show is what happens: their code runs as pasted, their links lead somewhere, their numbers are the tables'."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from ..conftest import ROOT
from ..helpers.guides import PAGES, blocks, section, text

BLOCKS = {f"{page}, {number}": code for page in PAGES for number, code in enumerate(blocks(page), 1)}
# what a block has in it that another test runs -> which test
ELSEWHERE = {
    "column_sum_text": "test_kernels_guide.py: the block is to fail",
    "MultiWorkerMirroredStrategy": "layers/test_layers_workers.py: on two workers",
    "MinimalGatedUnit": "test_add_a_cell.py: files of a copy of the project",
}
PASTED = [where for where, code in BLOCKS.items() if not any(word in code for word in ELSEWHERE)]


@pytest.mark.parametrize("word", ELSEWHERE)
def test_an_exception_is_of_one_page(word):
    assert len({where.split(",")[0] for where, code in BLOCKS.items() if word in code}) == 1


@pytest.mark.parametrize("where", [pytest.param(w, marks=() if w.startswith("README") else pytest.mark.check) for w in PASTED])
def test_a_block_runs_as_pasted(where, tmp_path):
    if 'backend="emulated"' in BLOCKS[where] and not shutil.which("g++"):
        pytest.skip("needs g++")
    if "import torch" in BLOCKS[where] and not find_spec("torch"):
        pytest.skip("needs torch")
    (tmp_path / "pasted.py").write_text(BLOCKS[where], encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "pasted.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_the_worked_example_says_what_is_printed_there():
    page = "rnn_from_scratch/verify/README.md"
    code = next(code for code in blocks(page) if "def test_gradients" in code)
    shown = [line[4:] for line in re.search(r"\n    AssertionError: .*?\n\n", text(page), re.S)[0].strip("\n").splitlines()]
    shown[0] = shown[0].removeprefix("AssertionError: ")
    assert shown.pop() == "  ..."
    names = {}
    exec(code, names)
    with pytest.raises(AssertionError) as failure:
        names["test_gradients"]()
    numbers = re.compile(r"\d\.\d+(e[+-]\d+)?")  # the last digits depend on the processor
    found = str(failure.value).splitlines()[: len(shown)]
    assert [numbers.sub("#", line) for line in found] == [numbers.sub("#", line) for line in shown], "\n".join(found)

    wrong = "(n - h_prev) * f,"
    assert code.count(wrong) == 1
    exec(code.replace(wrong, "(n - h_prev) * f * (1 - f),"), names)
    names["test_gradients"]()


@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "c++")), reason="needs a C++ compiler")
def test_the_plain_tile_is_a_product(tmp_path):
    (code,) = blocks("kernels/native/README.md", "cpp")
    assert len(code.splitlines()) <= 20
    arguments = "const float* a, int K, const float* w, const float* init, float* out"
    code += f'extern "C" void run({arguments}) {{ tile<6, 8>(a, K, w, init, out); }}\n'
    (tmp_path / "tile.cpp").write_text(code)
    options = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([os.environ.get("CXX", "c++"), *options, "tile.cpp", "-o", "tile.so"], cwd=tmp_path, check=True)
    run = ctypes.CDLL(str(tmp_path / "tile.so")).run
    for seed in range(3):
        rng = np.random.default_rng(seed)
        a, w, init = (rng.standard_normal(shape).astype("float32") for shape in ((6, 50), (50, 8), (6, 8)))
        out = np.full((6, 8), np.nan, "float32")
        run(*(ctypes.c_void_p(v.ctypes.data) if isinstance(v, np.ndarray) else v for v in (a, 50, w, init, out)))
        assert np.abs(out - (init + a @ w)).max() < 1e-5


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    shown = re.sub(r"^```.*?^```", "", text(page), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", shown):
        if not re.match(r"https?://|#", target):
            assert ((ROOT / page).parent / target.split("#")[0]).exists(), target


# pages to which the guide of their room has a link
OF_A_ROOM = (*(f"kernels/{name}.md" for name in ("sequence", "clusters", "tensor")), "rnn_from_scratch/data/embedded/ATTRIBUTION.md")


def test_the_front_door_is_short_and_leads_to_every_guide():
    readme = text("README.md")
    assert len(readme.splitlines()) <= 150
    for page in PAGES:
        if page not in ("README.md", *OF_A_ROOM):
            assert f"]({page})" in readme, page


def cell_of(page, row, column):
    """The text of a table's cell: in the row that begins so, under this heading."""
    lines = text(page).splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith(row))
    heading = next(line for line in reversed(lines[:place]) if re.match(r"\| -|\|-", lines[lines.index(line) + 1]))
    return [c.strip() for c in lines[place].split("|")][[c.strip() for c in heading.split("|")].index(column)]


def ratios(page, title, *columns):
    """Smallest and largest number of these columns of the table that follows `title`."""
    table = text(page).split(title)[1].lstrip().split("\n\n")[0].splitlines()
    heading = [c.strip() for c in table[0].split("|")]
    for column in columns:
        values = [float(v) for v in (line.split("|")[heading.index(column)].strip() for line in table[2:]) if re.match(r"[\d.]+$", v)]
        yield min(values), max(values)


def test_headline_numbers_are_those_of_the_tables():
    readme = " ".join(section("README.md", "Is it right? Is it fast?").split())
    torch, keras = ratios("bench/README.md", "Forward and all gradients:", "torch", "tf.keras")
    assert f"{torch[0]:.1f} to {torch[1]:.0f} times as fast as torch, {keras[0]:.1f} to {keras[1]:.1f} times as tf.keras" in readme
    (fit,) = ratios("rnn_from_scratch/layers/README.md", "<!-- fit: begin -->", "tf.keras / ours")
    assert f"takes {fit[0]:.1f} to {fit[1]:.1f} times as long with tf.keras' layers" in readme
    verify = "rnn_from_scratch/verify/README.md"
    n = {column: cell_of(verify, "| by name", column) for column in ("planted", "caught here", "constant weights", "one direction")}
    assert f"they catch {n['caught here']} of {n['planted']} planted bugs" in readme
    assert f"outputs beside constant weights catch {n['constant weights']}, one random direction {n['one direction']}" in readme
    worst = [float(e) for e in re.findall(r"^\| tf.keras \|.*?\| (\S+) / 1e-12", text(verify), re.M)]
    assert len(worst) >= 4 and max(worst) <= 1e-15 and "float64: to 1e-15" in readme
    right = cell_of("rnn_from_scratch/tasks/README.md", "| `train mnist-lstm --data mnist`", "ours").split("%")[0]
    assert f"three stacked LSTMs read digits with {right} % right" in readme
