"""The sdist is a working checkout: it holds every file of the project, builds, and its tests pass there."""

import os
import shutil
import subprocess
import sys
import tarfile

import pytest

from ..conftest import ROOT

pytestmark = pytest.mark.check
SOME_TESTS = ["tests/cells/test_cells.py", "tests/backends/test_native.py", "tests/interop/test_conventions.py", "tests/data"]
WHERE = "import rnn_from_scratch; from rnn_from_scratch.backends import native; print(rnn_from_scratch.__file__, native.library()._name)"


@pytest.fixture(scope="module")
def files():
    """The files of the project, as git knows them."""
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.skip("needs a git checkout, which says what belongs to the project")
    return [name for name in found.stdout.splitlines() if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def unpacked(files, tmp_path_factory):
    """The folder of the sdist of a clean copy: a build leaves lists behind, which the next one would read."""
    folder = tmp_path_factory.mktemp("sdist")
    for name in files:
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "copy" / name)
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=folder / "copy", check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def test_holds_every_file_of_the_project(files, unpacked):
    assert [name for name in files if not (unpacked / name).exists()] == []
    assert not list(unpacked.rglob("*.so"))


@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "c++")), reason="needs a C++ compiler")
def test_builds_and_passes_tests_there(unpacked):
    here = {"cwd": unpacked, "env": {**os.environ, "PYTHONPATH": str(unpacked)}, "capture_output": True, "text": True}
    if (ROOT / "build/native").exists():  # objects whose every source has the same bytes here serve here too
        shutil.copytree(ROOT / "build/native", unpacked / "build/native")
    built = subprocess.run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], **here)
    assert built.returncode == 0, built.stderr
    places = subprocess.run([sys.executable, "-c", WHERE], **here)
    assert all(place.startswith(str(unpacked)) for place in places.stdout.split()), places.stdout
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "not check", "-p", "no:cacheprovider", *SOME_TESTS], **here)
    assert done.returncode == 0, done.stdout[-3000:]
