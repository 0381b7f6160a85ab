"""Building the native backend: without a compiler, with a failing one, and under the sanitizers."""

import os
import platform
import re
import shutil
import subprocess
import sys

import pytest

from rnn_from_scratch import backends
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import sources

from ..conftest import ROOT
from ..helpers import native_build
from ..helpers.native_build import CXX

ROUNDS = backends.rounds("bfloat16", "native")
GRIDS = "kind_of_grid and (SimpleRNN or before)"  # cells of one phase and of two
RUN = """
import sys, pytest
from pathlib import Path
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import loader
loader.KERNELS = Path(sys.argv[1])
assert native.available() == (True, ""), native.available()
# the package is imported before pytest could rewrite the asserts of its plugin
quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *quiet, *sys.argv[2:]]))
"""


def build(folder, project=ROOT, **environment):
    """Run the build of setup.py into a folder; what it printed."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", folder]
    done = subprocess.run(command, cwd=project, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [("/nowhere/c++", "/nowhere/c++: No such file or directory; a C++17 compiler is needed"), ("false", "false -std=c++17")],
)
def test_without_a_compiler_the_rest_installs(tmp_path, compiler, reason):
    assert f"warning: the native backend was not built for generic: {reason}" in build(tmp_path, CXX=compiler)
    with native_build.in_use(tmp_path / "rnn_from_scratch/kernels"):
        usable, why = native.available()
    assert not usable
    assert f"The compiler said: {reason}" in why


def test_an_unbuilt_tree_says_what_to_do(tmp_path):
    with native_build.in_use(tmp_path):
        assert native.available() == (False, "it was not built. Install the package again with a C++17 compiler, named by CXX")


# stands for the compiler: writes down what it is asked for, and the list of files, and makes nothing of them
PRETENDS = f"""#!{sys.executable}
import subprocess, sys
from pathlib import Path
arguments = sys.argv[1:]
if arguments == ["--version"]:
    sys.exit()
target = Path(arguments[arguments.index("-o") + 1])
target.write_text("made")
with open("made.txt", "a") as log:
    print(target.stem, file=log)
if "-c" in arguments:
    arguments[arguments.index("-MMD")] = "-MM"
    sys.exit(subprocess.run([{CXX!r}, *arguments[: arguments.index("-o")]]).returncode)
"""


@pytest.mark.check
@pytest.mark.skipif(shutil.which(CXX) is None, reason=f"no compiler {CXX}")
def test_only_what_uses_a_changed_file_is_compiled_again(tmp_path):
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("*.so", "*.log"))
    for file in ("setup.py", "README.md", "rnn_from_scratch/__init__.py", "rnn_from_scratch/backends/native/sources.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    compiler = tmp_path / "pretends"
    compiler.write_text(PRETENDS)
    compiler.chmod(0o755)

    def made():
        """The units of the plain level that a build makes."""
        (tmp_path / "made.txt").write_text("")
        build(tmp_path / "installed", tmp_path, CXX=str(compiler))
        names = {line.removesuffix(".o").removesuffix(".so") for line in (tmp_path / "made.txt").read_text().split()}
        return {name.removeprefix("generic-") for name in names if "generic-" in name}

    units = set(sources.units(tmp_path / "kernels"))
    assert made() == units
    assert made() == set()
    (tmp_path / "kernels/cells/gru.h").touch()  # times of files mean nothing
    assert made() == set()
    change(tmp_path / "kernels/cells/gru.h")
    assert made() == {"gru-float", "gru-double", "digest"}
    change(tmp_path / "kernels/native/pool.h")
    assert made() == {"native", "pool", "digest"}
    change(tmp_path / "kernels/cells/activations.h")
    assert made() == {name for name in units if name.endswith(("-float", "-double"))} | {"digest"}


def change(file):
    file.write_text(file.read_text() + "// changed\n")


def sanitized(folder, flags):
    """Build the generic level with a sanitizer, wide vectors on x86, those with products in bfloat16 where they run; where it is."""
    kernels = native_build.copy_of_kernels(folder)
    wide = [f"-march=x86-64-v{4 if ROUNDS else 3}"] if platform.machine() == "x86_64" else []
    native_build.build(kernels, "-O1", "-g1", *wide, *flags)
    return kernels


def run_tests(folder, runtime, options, *tests):
    """Run tests on the build in a folder, with the sanitizer's runtime loaded first."""
    library = subprocess.run([CXX, f"-print-file-name={runtime}"], capture_output=True, text=True, check=True).stdout.strip()
    environment = {**os.environ, "LD_PRELOAD": library, "RNN_NATIVE_ISA": "generic", "OPENBLAS_NUM_THREADS": "1", **options}
    command = [sys.executable, "-c", RUN, folder, *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) > 0


@pytest.mark.check
def test_address_and_undefined_behaviour_sanitizers(tmp_path):
    kernels = sanitized(tmp_path, ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
    tests = [f"tests/backends/test_{name}.py" for name in ("native", "recompute", "stepper")]
    run_tests(kernels, "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}, *tests)
    if ROUNDS:
        rounded = ["tests/backends/test_bfloat16.py", "-k", "whole or odd or order"]
        run_tests(kernels, "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}, *rounded)
    run_tests(kernels, "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}, "tests/backends/test_native_grids.py", "-k", GRIDS)
    second_order = ["tests/backends/test_second_order.py", "-k", "native and (differences or none)"]
    run_tests(kernels, "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}, *second_order)


@pytest.mark.check
def test_thread_sanitizer(tmp_path):
    kernels = sanitized(tmp_path, ["-fsanitize=thread"])
    names = f"same_bits_for_any or callers_at_once or steppers_at_once or ({GRIDS})"
    files = [f"tests/backends/test_{name}.py" for name in ("native_threads", "native_grids", "stepper", *(["bfloat16"] if ROUNDS else []))]
    run_tests(kernels, "libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1"}, *files, "-k", names)
