"""Building the native backend: without a compiler, with a failing one, and under the sanitizers."""

import os
import platform
import re
import subprocess
import sys

import pytest

from rnn_from_scratch.backends import native

from ..conftest import ROOT

CXX = os.environ.get("CXX", "c++")
UNITS = [(source, []) for source in ("native.cpp", "native/pool.cpp", "native/tensorflow_op.cpp")]
UNITS += [("native/cells.cpp", [f"-DREAL={real}"]) for real in ("float", "double")]
RUN = """
import sys, pytest
from pathlib import Path
from rnn_from_scratch.backends import native
native.KERNELS = Path(sys.argv[1])
assert native.available() == (True, ""), native.available()
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


def build(folder, **environment):
    """Run the build of setup.py into a folder; what it printed."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", folder, "--build-temp", folder / "temp"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [("/nowhere/c++", "/nowhere/c++: No such file or directory; a C++17 compiler is needed"), ("false", "false -std=c++17")],
)
def test_without_a_compiler_the_rest_installs(tmp_path, monkeypatch, compiler, reason):
    assert f"warning: the native backend was not built for generic: {reason}" in build(tmp_path, CXX=compiler)
    monkeypatch.setattr(native, "KERNELS", tmp_path / "rnn_from_scratch/kernels")
    native.isa.cache_clear(), native.library.cache_clear()
    try:
        usable, why = native.available()
        assert not usable
        assert f"The compiler said: {reason}" in why
    finally:
        native.isa.cache_clear(), native.library.cache_clear()


def test_an_unbuilt_tree_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(native, "KERNELS", tmp_path)
    native.isa.cache_clear(), native.library.cache_clear()
    try:
        assert native.available() == (False, "it was not built. Install the package again with a C++17 compiler, named by CXX")
    finally:
        native.isa.cache_clear(), native.library.cache_clear()


def sanitized(folder, flags):
    """Build the generic level with a sanitizer, wide vectors on x86, into a folder."""
    wide = ["-march=x86-64-v3"] if platform.machine() == "x86_64" else []
    common = [CXX, "-std=c++17", "-O1", "-g", "-fPIC", "-pthread", *wide, *flags]
    objects = [str(folder / f"{i}.o") for i in range(len(UNITS))]
    compilers = [
        subprocess.Popen([*common, *options, "-c", ROOT / "kernels" / source, "-o", to])  # minutes: all at once
        for (source, options), to in zip(UNITS, objects)
    ]
    assert [compiler.wait() for compiler in compilers] == [0] * len(UNITS)
    subprocess.run([*common, "-shared", *objects, "-o", folder / "native-generic.so"], check=True)


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
    sanitized(tmp_path, ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
    tests = [f"tests/backends/test_{name}.py" for name in ("native", "recompute")]
    run_tests(tmp_path, "libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}, *tests)


@pytest.mark.check
def test_thread_sanitizer(tmp_path):
    sanitized(tmp_path, ["-fsanitize=thread"])
    names = "same_bits_for_any or callers_at_once"
    run_tests(tmp_path, "libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1"}, "tests/backends/test_native_threads.py", "-k", names)
