"""CONTRIBUTING's "Add a cell" done in a copy of the project: what it says is enough for NumPy, native, CUDA and the emulator."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from ..conftest import ROOT

CXX = os.environ.get("CXX", "c++")
NEW = "minimal_gated_unit"
CHECK = """
import rnn_from_scratch
from rnn_from_scratch import backends, cells, gradcheck
from rnn_from_scratch.measure import EXACT, compare
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem, solve
from rnn_from_scratch.verify.coverage import not_covered

new = cells.CELLS["minimal_gated_unit"]
forms = {name: cell for name, cell in CELLS.items() if type(cell) is new}
print(rnn_from_scratch.__file__, *forms, sep="|")
assert len(forms) >= 3, "the cell's cases come by themselves"
wrong, compared = [], 0
for name, cell in forms.items():
    for n, situation in enumerate(SITUATIONS):
        p = problem(cell, situation, sizes=((6, 7, 3, 5), (3, 5, 2, 19), (1, 1, 1, 1))[n % 3], seed=n)
        assert backends.choose(cell, p.params, p.x).name == "native", backends.choose(cell, p.params, p.x)
        truth = solve(p)
        for backend in ("reference", "native", "emulated"):
            report = gradcheck(cell, p.params, p.x, backend=backend, **p.options)
            array, error, _ = compare(solve(p, backend), truth, dict.fromkeys(truth, EXACT))
            if not report.ok or not error <= EXACT:
                wrong.append(f"{backend}, {name}, {situation}: {array} off by {error}; {report}")
            compared += 1
assert compared == 27 * len(forms) and "oracle tf.keras" in not_covered("minimal_gated_unit")
assert not wrong, "\\n".join(wrong)
print("all are equal")
"""


def blocks():
    """(file, its code) of every block that CONTRIBUTING shows under "Add a cell", in order."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("\n## Add a cell\n")[1].split("\n## ")[0]
    file = ""
    for named, code in re.findall(r"^(?:[\w ]*`([\w/.]+)`[^\n]*\n\n)?```\w+\n(.*?)^```$", section, re.S | re.M):
        file = named or file
        yield file, code


def written(copy):
    """Do in a copy what the blocks say: a new file, an import after the others, a row after the others. Returns what was done."""
    done = []
    for file, code in blocks():
        path = copy / file
        if not path.exists():
            path.write_text(code, encoding="utf-8")
        elif path.suffix == ".h":
            path.write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")
        else:
            last_import = code.startswith("from .")
            pattern = r"((?:^from \.\w+ import \w+\n)+)" if last_import else r"(^CELLS: [^\n]*\{\n(?:    [^\n]*\n)+)"
            text, count = re.subn(pattern, lambda match, code=code: match[1] + code, path.read_text(encoding="utf-8"), flags=re.M)
            assert count == 1, file
            path.write_text(text, encoding="utf-8")
        done.append(file)
    return done


def run(copy, *command):
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True)


def build(copy):
    done = run(copy, "setup.py", "-q", "build_ext", "--inplace")
    assert done.returncode == 0 and "warning" not in done.stdout, done.stdout + done.stderr


@pytest.mark.check
@pytest.mark.skipif(shutil.which(CXX) is None, reason=f"no compiler {CXX}")
def test_a_cell_is_added_as_contributing_says(tmp_path):
    copy = tmp_path / "project"
    for folder in ("rnn_from_scratch", "kernels", "build/native"):  # what was compiled there serves here: only the new cell is
        if (ROOT / folder).exists():
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for file in ("setup.py", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, copy / file)
    assert written(copy) == [
        f"rnn_from_scratch/cells/{NEW}.py",
        "rnn_from_scratch/cells/__init__.py",
        "rnn_from_scratch/cells/__init__.py",
        f"kernels/cells/{NEW}.h",
        "kernels/cells/forms.h",
    ]
    build(copy)
    done = run(copy, "-c", CHECK)
    assert done.returncode == 0 and "all are equal" in done.stdout, done.stdout + done.stderr
    assert done.stdout.startswith(str(copy)), done.stdout
    verified = run(copy, "-m", "rnn_from_scratch", "verify", "--cell", NEW, "--backend", "native")
    assert verified.returncode == 0 and " 0 failed" in verified.stdout, verified.stdout + verified.stderr

    header = copy / f"kernels/cells/{NEW}.h"
    text = header.read_text(encoding="utf-8")
    assert text.count("dm * f;") == 1
    header.write_text(text.replace("dm * f;", "dm;"), encoding="utf-8")
    stale = run(copy, "-c", CHECK)
    assert stale.returncode != 0 and "built from other sources" in stale.stdout + stale.stderr, stale.stdout + stale.stderr
    build(copy)
    broken = run(copy, "-c", CHECK)
    assert broken.returncode != 0
    assert "native, MinimalGatedUnit" in broken.stderr and "emulated, MinimalGatedUnit" in broken.stderr, broken.stderr
    assert "reference, MinimalGatedUnit" not in broken.stderr
