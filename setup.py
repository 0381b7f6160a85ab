"""Packages, extras, the mapping of kernels/ and bench/ into the package, and the build of the native backend.

The native backend is optional: without a compiler everything else installs, and kernels/native-LEVEL.log keeps what the
compiler said. It is no Python extension module but a shared library for ctypes, one for each instruction set level.
"""

import os
import platform
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "rnn_from_scratch/__init__.py").read_text(encoding="utf-8")).group(1)

FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra", "-Werror"]
X86 = platform.machine().lower() in ("x86_64", "amd64")
LEVELS = {"generic": [], **({level: [f"-march={level}"] for level in ("x86-64-v3", "x86-64-v4")} if X86 else {})}
UNITS = {  # translation unit -> source, options
    "native": ["native.cpp"],
    "pool": ["native/pool.cpp"],
    "tensorflow_op": ["native/tensorflow_op.cpp"],
    "cells32": ["native/cells.cpp", "-DREAL=float"],
    "cells64": ["native/cells.cpp", "-DREAL=double"],
}


class BuildNative(build_ext):
    """Compiles kernels/native-LEVEL.so for every level; a level that fails is left out, and the reason logged."""

    def run(self):
        kernels = here / "kernels" if self.inplace else Path(self.build_lib) / "rnn_from_scratch/kernels"
        kernels.mkdir(parents=True, exist_ok=True)
        Path(self.build_temp).mkdir(parents=True, exist_ok=True)
        sources = [p for p in (here / "kernels").rglob("*") if p.suffix in (".h", ".cpp")]
        newest = max(p.stat().st_mtime for p in [*sources, here / "setup.py"])
        libraries = {level: kernels / f"native-{level}.so" for level in LEVELS}
        stale = [n for n, p in libraries.items() if self.force or not p.exists() or p.stat().st_mtime < newest]
        if not stale:
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = {(level, unit): pool.submit(self.compile, level, unit) for level in stale for unit in UNITS}
        for level in stale:
            errors = [e for e in (objects[level, unit].result() for unit in UNITS) if e]
            errors = errors or [compiler_error(["-shared", *(self.object(level, unit) for unit in UNITS), "-o", libraries[level]])]
            (kernels / f"native-{level}.log").write_text(errors[0], encoding="utf-8")
            if errors[0]:
                libraries[level].unlink(missing_ok=True)
                print(f"warning: the native backend was not built for {level}: {errors[0]}")

    def object(self, level, unit):
        return Path(self.build_temp) / f"{level}-{unit}.o"

    def compile(self, level, unit):
        source, *options = UNITS[unit]
        return compiler_error([*LEVELS[level], *options, "-c", here / "kernels" / source, "-o", self.object(level, unit)])

    def get_outputs(self):
        return []

    def get_output_mapping(self):
        return {}


def compiler_error(arguments):
    """What the compiler says when it fails, else an empty string. CXX and CXXFLAGS are heeded."""
    command = [os.environ.get("CXX", "c++"), *FLAGS, *os.environ.get("CXXFLAGS", "").split(), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return f"{command[0]}: {error.strerror}; a C++17 compiler is needed, named by CXX"
    return "" if done.returncode == 0 else f"{' '.join(command)}\n{done.stderr}"


class Wheel(bdist_wheel):
    """The library serves every Python: one wheel per platform."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


LINUX = '; platform_system == "Linux"'
extras = {
    "tensorflow": ["tensorflow>=2.18", "matplotlib>=3.7"],
    # ctk brings cuBLAS and NVRTC, which CuPy leaves to the system otherwise
    "cuda12": ["cupy-cuda12x[ctk]>=14", "ml_dtypes>=0.4"],  # beside TensorFlow, whose own CUDA is 12
    "cuda13": ["cupy-cuda13x[ctk]>=14", "ml_dtypes>=0.4"],
    "bench": ["pytest>=8", "pytest-benchmark>=4", "matplotlib>=3.7"],
    "test": [
        "tensorflow>=2.18",
        "tf_keras>=2.18",
        "matplotlib>=3.7",
        "pytest>=8",
        "pytest-benchmark>=4",
        "hypothesis>=6.100",
        "onnx>=1.16",
        "onnxruntime>=1.18",
        "ruff>=0.6",
        "mypy>=1.11",
        "setuptools>=68",
        "wheel",
        "ml_dtypes>=0.4",
        # CUDA's compiler and disassembler, of one release; no GPU and no driver needed
        f"nvidia-cuda-nvrtc==13.5.37{LINUX}",
        f"nvidia-cuda-cuobjdump==13.5.37{LINUX}",
        f"nvidia-cuda-nvdisasm==13.5.37{LINUX}",
        f"nvidia-cuda-nvrtc-cu12==12.9.86{LINUX}",
    ],
}
extras["all"] = sorted({requirement for name in ("tensorflow", "bench") for requirement in extras[name]})

setup(
    name="rnn_from_scratch",
    version=version,
    description="RNNs from the inside out: readable cells and BPTT, fused kernels, Keras layers, and the tools to check them",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["rnn_from_scratch", "rnn_from_scratch.*"]),
        "rnn_from_scratch.kernels",
        "rnn_from_scratch.bench",
    ],
    package_dir={"rnn_from_scratch.kernels": "kernels", "rnn_from_scratch.bench": "bench"},
    package_data={
        "rnn_from_scratch": ["py.typed", "*/README.md", "data/embedded/*", "verify/book_rnn.json"],
        "rnn_from_scratch.bench": ["*.cu", "README.md"],
        "rnn_from_scratch.kernels": ["*.cu", "**/*.cpp", "**/*.h", "**/*.md", "**/*.png"],
    },
    ext_modules=[Extension("rnn_from_scratch.kernels.native", ["kernels/native.cpp"])],
    cmdclass={"build_ext": BuildNative, "bdist_wheel": Wheel},
    install_requires=["numpy>=1.26", "typer>=0.12", "rich>=13"],
    extras_require=extras,
    entry_points={"console_scripts": ["rnn-from-scratch = rnn_from_scratch.cli:main"]},
)
